"""CloudWatch over HTTP: the protocol that the pinned botocore speaks (Smithy RPC v2 with CBOR) and AWS JSON 1.0.

Both directions use botocore's own CBOR reader and writer and its service model. The older query protocol (XML) is
refused with a hint.
"""

import gzip
import io
import json
import logging
import re
import uuid
import zlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from botocore.model import OperationModel
from botocore.parsers import ResponseParserError, RpcV2CBORParser
from botocore.serialize import RpcV2CBORSerializer

from ml_platform.local_sagemaker.cloudwatch import alarms, metrics
from ml_platform.local_sagemaker.cloudwatch.operation_registry import CLOUDWATCH_OPERATIONS
from ml_platform.local_sagemaker.protocol import Reply, defects_as_errors, serialise, service_model
from ml_platform.local_sagemaker.service import AwsError, Service
from ml_platform.local_sagemaker.validation import WrongTypeError, parse, refusal, violations

logger = logging.getLogger(__name__)

MODULES = (alarms, metrics)
TARGET_PREFIX = "GraniteServiceVersion20100801"
RPC_PATH = re.compile(rf"/service/{TARGET_PREFIX}/operation/([A-Za-z]+)")
CBOR, JSON = "application/cbor", "application/x-amz-json-1.0"
# PutMetricData takes 1 MB; compressed requests must not unfold to more than a few.
MAX_UNPACKED_BYTES = 4 * 1024 * 1024
SHAPES = {
    "InvalidParameterValue": "InvalidParameterValueException",
    "InvalidParameterCombination": "InvalidParameterCombinationException",
    "MissingParameter": "MissingRequiredParameterException",
}
"""Errors whose shape is called otherwise than the code that callers get."""


class _Reader(RpcV2CBORParser):
    def read(self, body: bytes) -> Any:
        return _plain(self.parse_data_item(io.BufferedReader(io.BytesIO(body)))) if body else {}


class _Writer(RpcV2CBORSerializer):
    def write(self, value: Any, shape: Any) -> bytes:
        body = bytearray()
        self._serialize_data_item(body, value, shape)  # type: ignore[attr-defined]
        return bytes(body)

    def write_texts(self, texts: Mapping[str, str]) -> bytes:
        body = bytearray([0xA0 | len(texts)])
        for text in (part for pair in texts.items() for part in pair):
            self._serialize_type_string(body, text, None, None)  # type: ignore[attr-defined]
        return bytes(body)


def operation_of(method: str, path: str, headers: Mapping[str, str]) -> tuple[str, str] | None:
    """Return which operation of CloudWatch a request asks for and in what format, or None when it is not for us."""
    if method != "POST":
        return None
    if match := RPC_PATH.fullmatch(path):
        return match[1], CBOR
    prefix, _, name = headers.get("x-amz-target", "").partition(".")
    return (name, JSON) if prefix == TARGET_PREFIX else None


async def answer(service: Service, name: str, kind: str, headers: Mapping[str, str], body: bytes) -> Reply:
    """Answer one request. Never raises and never answers 500 for what a caller sent."""
    try:
        with defects_as_errors(name):
            model = _model(name)
            request = _request(model, _read(kind, _unpacked(headers, body)))
            content = _written(kind, model, await CLOUDWATCH_OPERATIONS[name](service, request))
    except AwsError as error:
        return _error(kind, error)
    return Reply(200, content, _headers(kind))


def _written(kind: str, model: OperationModel, response: dict[str, Any] | None) -> bytes:
    if model.output_shape is None:
        return b"" if kind == JSON else b"\xa0"
    values = serialise(model.output_shape, response or {})
    return json.dumps(values).encode() if kind == JSON else _Writer().write(values, model.output_shape)


def _model(name: str) -> OperationModel:
    model = service_model("cloudwatch")
    if name not in model.operation_names:
        raise AwsError("UnknownOperationException", f"CloudWatch has no operation {name!r}.")
    if name not in CLOUDWATCH_OPERATIONS:
        logger.warning("CloudWatch %s is not implemented by the local stand-in", name)
        raise AwsError("UnknownOperationException", f"The local CloudWatch stand-in does not implement {name}.")
    return model.operation_model(name)


def _unpacked(headers: Mapping[str, str], body: bytes) -> bytes:
    encoding = headers.get("content-encoding", "").lower()
    if encoding in ("", "identity"):
        return body
    if encoding != "gzip":
        raise AwsError("SerializationException", f"The content encoding {encoding!r} is not known.")
    try:
        unpacked = gzip.GzipFile(fileobj=io.BytesIO(body)).read(MAX_UNPACKED_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise AwsError("SerializationException", f"The request body is not gzip: {error}") from error
    if len(unpacked) > MAX_UNPACKED_BYTES:
        raise AwsError("RequestEntityTooLarge", "The unpacked request is too large.", status=413)
    return unpacked


def _read(kind: str, body: bytes) -> Any:
    try:
        return json.loads(body or b"{}") if kind == JSON else _Reader().read(body)
    except (
        ResponseParserError,
        ValueError,
        TypeError,
        OverflowError,
        RecursionError,
        MemoryError,
    ) as error:
        raise AwsError("SerializationException", f"The request body cannot be read: {error}") from error


def _request(model: OperationModel, document: Any) -> dict[str, Any]:
    shape = model.input_shape
    if shape is None:
        return {}
    try:
        request: dict[str, Any] = parse(shape, document)
    except (WrongTypeError, RecursionError) as error:
        raise AwsError("SerializationException", str(error)) from error
    problems = list(violations(shape, request))
    if problems:
        raise AwsError("ValidationError", refusal(problems))
    return request


def _plain(value: Any) -> Any:
    """Return a CBOR document with times as epoch seconds, as JSON has them."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.timestamp() if isinstance(value, datetime) else value


def _error(kind: str, error: AwsError) -> Reply:
    shape = SHAPES.get(error.code, error.code)
    members = {"__type": shape, "message": error.message}
    body = json.dumps(members).encode() if kind == JSON else _Writer().write_texts(members)
    # Callers of the query protocol knew these codes; botocore restores them from this header.
    headers = _headers(kind) | {"x-amzn-query-error": f"{error.code};Sender", "x-amzn-ErrorType": shape}
    return Reply(error.status, body, headers)


def _headers(kind: str) -> dict[str, str]:
    headers = {"content-type": kind, "x-amzn-RequestId": str(uuid.uuid4())}
    return headers | {"smithy-protocol": "rpc-v2-cbor"} if kind == CBOR else headers
