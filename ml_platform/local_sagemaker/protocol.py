"""AWS JSON 1.1 for the control plane: one POST, the operation named in ``X-Amz-Target``.

Requests, responses and errors follow botocore's service model. What an operation does is in its own module.
"""

import json
import logging
import math
import uuid
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

from botocore.model import OperationModel, ServiceModel
from botocore.session import Session

from ml_platform.local_sagemaker.service import OPERATIONS, AwsError, Request, Service, validation
from ml_platform.local_sagemaker.validation import WrongTypeError, parse, refusal, violations

logger = logging.getLogger(__name__)

TARGET_PREFIX = "SageMaker."
CONTENT_TYPE = "application/x-amz-json-1.1"


@dataclass(frozen=True)
class Reply:
    """An HTTP answer."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class StreamedReply:
    """An HTTP answer whose body comes in parts."""

    status: int
    parts: AsyncGenerator[bytes, None]
    headers: dict[str, str] = field(default_factory=dict)


@cache
def service_model(name: str = "sagemaker") -> ServiceModel:
    """Return botocore's model of a service."""
    return Session().get_service_model(name)


async def answer(service: Service, target: str, body: bytes) -> Reply:
    """Answer one control-plane request. Never raises and never answers 500 for what a caller sent."""
    name = target.removeprefix(TARGET_PREFIX)
    try:
        with defects_as_errors(name):
            content = json.dumps(await _call(service, name, body)).encode()
    except AwsError as error:
        return error_reply(error)
    return Reply(200, content, _headers())


@contextmanager
def defects_as_errors(what: str, code: str = "InternalFailure", status: int = 400) -> Iterator[None]:
    """Let only AwsError out of an operation: what else it raises is logged, and told in AWS's words for a failure."""
    try:
        yield
    except AwsError:
        raise
    except Exception as error:
        # Whatever it is, it is a defect of ours: it must neither cut the caller's connection nor end the service.
        logger.exception("%s failed inside the stand-in", what)
        raise AwsError(code, f"{what} failed inside the local stand-in; its log has the traceback.", status) from error


async def _call(service: Service, name: str, body: bytes) -> dict[str, Any]:
    if name not in service_model().operation_names:
        raise AwsError("UnknownOperationException", f"SageMaker has no operation {name!r}.")
    handler = OPERATIONS.get(name)
    if handler is None:
        logger.warning("%s is not implemented by the local stand-in", name)
        raise AwsError("UnknownOperationException", f"The local SageMaker stand-in does not implement {name}.")
    if service.faults.take("throttling", name) is not None:
        raise AwsError("ThrottlingException", "Rate exceeded")
    model = service_model().operation_model(name)
    response = await handler(service, parse_request(model, body))
    return dict(serialise(model.output_shape, response or {})) if model.output_shape else {}


def parse_request(model: OperationModel, body: bytes) -> Request:
    """Return a request's known members.

    Raises:
        AwsError: When the body is no JSON object, a type is wrong or a rule of the model is broken.
    """
    try:
        document = json.loads(body or b"{}", parse_constant=_refuse_constant)
        request: Request = parse(model.input_shape, document) if model.input_shape else {}
    except (ValueError, RecursionError) as error:
        raise AwsError("SerializationException", f"The request body is not JSON: {error}") from error
    except WrongTypeError as error:
        raise AwsError("SerializationException", str(error)) from error
    problems = list(violations(model.input_shape, request)) if model.input_shape else []
    if problems:
        raise validation(refusal(problems))
    return request


def _refuse_constant(text: str) -> float:
    raise ValueError(f"{text} is no JSON number")


def serialise(shape: Any, value: Any) -> Any:
    """Return wire values: only members the model knows, times as epoch seconds, nothing null."""
    kind = shape.type_name
    if kind == "structure":
        members = shape.members.items()
        return {name: serialise(member, value[name]) for name, member in members if value.get(name) is not None}
    if kind == "map":
        return {key: serialise(shape.value, item) for key, item in value.items() if item is not None}
    if kind == "list":
        return [serialise(shape.member, item) for item in value if item is not None]
    if isinstance(value, datetime):
        return round(value.timestamp(), 3)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def error_reply(error: AwsError) -> Reply:
    """Return an error the way AWS JSON 1.1 writes it."""
    body = {"__type": error.code, "message": error.message}
    return Reply(error.status, json.dumps(body).encode(), _headers() | {"x-amzn-ErrorType": error.code})


def _headers() -> dict[str, str]:
    return {"content-type": CONTENT_TYPE, "x-amzn-RequestId": str(uuid.uuid4())}
