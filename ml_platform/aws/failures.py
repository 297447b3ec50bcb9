"""How a failed AWS call becomes one of our errors, and which refusals mean "not there" or "there already".

What a failed *job* becomes is ``job_lifecycle``.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import botocore.exceptions
from botocore.exceptions import ClientError

from ml_platform.core.errors import CapacityError, ConfigurationError, MLPlatformError, ServiceUnavailableError

_NO_CREDENTIALS = (botocore.exceptions.NoCredentialsError, botocore.exceptions.PartialCredentialsError)
_NO_ANSWER = (botocore.exceptions.ConnectionError, botocore.exceptions.HTTPClientError)
_DENIED = {"AccessDenied", "AccessDeniedException", "UnrecognizedClientException", "ExpiredTokenException"}
_BUSY = {"ThrottlingException", "Throttling", "TooManyRequestsException", "ServiceUnavailable", "InternalFailure"}
_SERVER_ERROR = 500
_MISSING_CODES = {"ResourceNotFound", "ResourceNotFoundException"}
# SageMaker has no code of its own for most absent and duplicate resources: the message decides.
_MISSING_TEXT = re.compile(r"could not find|not found|does not exist", re.IGNORECASE)
_ENDED_TEXT = re.compile(r"is in status|in a terminal|cannot be stopped", re.IGNORECASE)
_PRESENT_TEXT = re.compile(r"already exist", re.IGNORECASE)


def code(error: ClientError) -> str:
    """Return the error code AWS answered with."""
    return str(error.response.get("Error", {}).get("Code", ""))


def message(error: ClientError) -> str:
    """Return the sentence AWS answered with."""
    return str(error.response.get("Error", {}).get("Message", "")) or str(error)


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def means_missing(error: ClientError) -> bool:
    """Whether AWS refused because the thing does not exist."""
    return code(error) in _MISSING_CODES or (
        code(error) == "ValidationException" and bool(_MISSING_TEXT.search(message(error)))
    )


def means_present(error: ClientError) -> bool:
    """Whether AWS refused because a thing of that name exists."""
    return code(error) == "ResourceInUse" or bool(_PRESENT_TEXT.search(message(error)))


def means_ended(error: ClientError) -> bool:
    """Whether AWS refused to stop a job because it has ended, or is about to."""
    return code(error) == "ValidationException" and bool(_ENDED_TEXT.search(message(error)))


def as_ours(error: ClientError, doing: str) -> MLPlatformError:
    """Return our error for AWS's refusal to do something, e.g. ``start training job x``."""
    said = message(error)
    if code(error) == "ResourceLimitExceeded":
        return CapacityError(f"Cannot {doing}: {said} Retry later, or ask AWS for a higher quota.")
    if code(error) in _DENIED:
        return ConfigurationError(f"Cannot {doing}: {said} Check the credentials and the permissions of their role.")
    if code(error) in _BUSY or _status(error) >= _SERVER_ERROR:
        return ServiceUnavailableError(f"Cannot {doing} now: {said} Retry in a minute.")
    return ConfigurationError(f"AWS refused to {doing}: {said}")


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn errors of boto3 inside the block into ours; ``doing`` completes "Cannot ...".

    Raises:
        ServiceUnavailableError: When AWS or the stand-in does not answer, or is too busy.
        ConfigurationError: When credentials, permissions or the request are wrong.
        CapacityError: When an account quota is used up.
    """
    try:
        yield
    except ClientError as error:
        raise as_ours(error, doing) from error
    except botocore.exceptions.ParamValidationError as error:
        raise ConfigurationError(f"Cannot {doing}: the request is not one that AWS takes. {error}") from error
    except _NO_CREDENTIALS as error:
        raise ConfigurationError(f"Cannot {doing}: {error}. Configure AWS credentials.") from error
    except _NO_ANSWER as error:
        raise ServiceUnavailableError(
            f"Cannot {doing}: the service does not answer ({error}). Locally, start it with `ml-platform dev`."
        ) from error
