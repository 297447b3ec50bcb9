"""AWS's refusals become our errors, and say what to do."""

import pytest
from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    ReadTimeoutError,
)

from ml_platform.aws import failures
from ml_platform.core.errors import CapacityError, ConfigurationError, ServiceUnavailableError


def refusal(code: str, message: str, status: int = 400) -> ClientError:
    answer = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "Operation")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("raised", "ours"),
    [
        (refusal("ValidationException", "1 validation error detected"), ConfigurationError),
        (refusal("AccessDeniedException", "not authorized"), ConfigurationError),
        (refusal("ResourceLimitExceeded", "limit is 0 instances"), CapacityError),
        (refusal("ThrottlingException", "Rate exceeded"), ServiceUnavailableError),
        (refusal("500", "Internal Server Error", status=500), ServiceUnavailableError),
        (ParamValidationError(report="Missing required parameter"), ConfigurationError),
        (NoCredentialsError(), ConfigurationError),
        (EndpointConnectionError(endpoint_url="http://127.0.0.1:1"), ServiceUnavailableError),
        (ReadTimeoutError(endpoint_url="http://127.0.0.1:1"), ServiceUnavailableError),
    ],
)
def test_an_error_of_aws_becomes_one_a_person_can_act_on(raised: Exception, ours: type[Exception]) -> None:
    with pytest.raises(ours, match="start training job x"), failures.translated("start training job x"):
        raise raised


@pytest.mark.parametrize(
    "error",
    [
        refusal("ValidationException", "Could not find endpoint"),
        refusal("ValidationException", "Requested resource not found."),
        refusal("ValidationException", "Model Package Group arn:x does not exist."),
        refusal("ResourceNotFound", ""),
    ],
)
def test_absence_is_recognised_in_all_of_sagemakers_wordings(error: ClientError) -> None:
    assert failures.means_missing(error)


@pytest.mark.parametrize(
    "error",
    [
        refusal("ResourceInUse", "Training job names must be unique within an AWS account and region"),
        refusal("ValidationException", 'Cannot create already existing model "arn:x".'),
        refusal("ValidationException", "Model Package Group already exists: arn:x"),
    ],
)
def test_presence_is_recognised_in_all_of_sagemakers_wordings(error: ClientError) -> None:
    assert failures.means_present(error)


def test_a_stop_that_comes_too_late_is_recognised() -> None:
    too_late = "The request was rejected because the training job is in status Stopped."
    assert failures.means_ended(refusal("ValidationException", too_late))
    assert not failures.means_ended(refusal("ValidationException", "Requested resource not found."))
