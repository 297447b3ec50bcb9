"""Requests of SageMaker Runtime's REST protocol: members in the path, in headers and in the body.

What is checked follows botocore's model. InvokeEndpoint itself is not read here: it is passed on, as it comes.
"""

from typing import Any

from ml_platform.local_sagemaker.protocol import service_model
from ml_platform.local_sagemaker.service import AwsError
from ml_platform.local_sagemaker.validation import refusal, violations

MODEL = "sagemaker-runtime"


def parse(operation: str, endpoint: str, headers: dict[str, str], body: bytes) -> dict[str, Any]:
    """Return the members of a request but its body.

    Raises:
        AwsError: When a rule of the model is broken.
    """
    shape = service_model(MODEL).operation_model(operation).input_shape
    assert shape is not None  # noqa: S101 - every operation of the runtime has one
    request: dict[str, Any] = {"EndpointName": endpoint}
    for name, member in shape.members.items():
        text = headers.get(member.serialization.get("name", "").lower())
        if member.serialization.get("location") == "header" and text is not None:
            request[name] = _integer(name, text) if member.type_name == "integer" else text
    problems = [*violations(shape, request | {"Body": ""})]
    largest = shape.members["Body"].metadata["max"]
    if len(body) > largest:
        problems.append(
            f"Value at 'body' failed to satisfy constraint: Member must have length less than or equal to {largest}"
        )
    if problems:
        raise validation_error(refusal(problems))
    return request


def validation_error(message: str) -> AwsError:
    """Return SageMaker Runtime's ValidationError."""
    return AwsError("ValidationError", message)


def _integer(name: str, text: str) -> int:
    # Not int(): it takes underscores, blanks and digits of any script.
    if not (text.isascii() and text.removeprefix("-").isdigit()) or len(text) > 18:  # noqa: PLR2004 - fits a long
        raise validation_error(f"{name} must be an integer, not {text[:50]!r}.")
    return int(text)
