"""SageMaker Runtime's REST operations: real-time, asynchronous and streamed invocations of an endpoint.

This is the path every prediction takes, so it does little. Errors have the shapes of AWS's REST protocol. How a server
is asked is in ``invocations``; what becomes of an asynchronous request in ``async_invocations``,
of a streamed answer in ``response_streams``.
"""

import json
import re
import time
import uuid
from collections.abc import Awaitable, Callable

from ml_platform.local_sagemaker import async_invocations, response_streams
from ml_platform.local_sagemaker.invocations import (
    CUSTOM_ATTRIBUTES,
    DEFAULT_CONTENT_TYPE,
    INFERENCE_ID,
    TARGET_VARIANT,
    Call,
    ModelError,
    accept_answer,
    ask,
    find_live,
)
from ml_platform.local_sagemaker.live_endpoint import LiveEndpoint
from ml_platform.local_sagemaker.protocol import Reply, StreamedReply, defects_as_errors
from ml_platform.local_sagemaker.runtime_requests import parse, validation_error
from ml_platform.local_sagemaker.service import AwsError, Service

ROUTE = re.compile(r"/endpoints/([^/]+)/([a-z-]+)")
# What of a caller's headers reaches the container, and what of the container's reaches the caller.
FORWARDED = ("content-type", "accept", CUSTOM_ATTRIBUTES, TARGET_VARIANT, INFERENCE_ID)
RETURNED = (CUSTOM_ATTRIBUTES,)

Operation = Callable[[Service, str, dict[str, str], bytes], Awaitable[Reply | StreamedReply]]


async def invoke(
    service: Service, method: str, path: str, headers: dict[str, str], body: bytes
) -> Reply | StreamedReply:
    """Answer one request to ``/endpoints/...``; never raises."""
    match = ROUTE.fullmatch(path)
    operation = OPERATIONS.get(match[2]) if match else None
    if method != "POST" or match is None or operation is None:
        message = f"The local SageMaker stand-in does not serve {method} {path}."
        return _error_reply(AwsError("UnknownOperationException", message))
    try:
        with defects_as_errors("The invocation", status=500):
            return await operation(service, match[1], headers, body)
    except AwsError as error:
        return _error_reply(error)


async def _invoke(service: Service, endpoint: str, headers: dict[str, str], body: bytes) -> Reply:
    began = time.perf_counter()
    live = _require_synchronous(service, endpoint)
    forwarded = {name: headers[name] for name in FORWARDED if name in headers}
    forwarded.setdefault("content-type", DEFAULT_CONTENT_TYPE)
    call = Call(endpoint, live, forwarded, body, began)
    served = await ask(service, call)
    accept_answer(service, call, served)
    answer = served.answer
    return Reply(
        200,
        answer.body,
        {
            "content-type": answer.headers.get("content-type", DEFAULT_CONTENT_TYPE),
            "x-amzn-invoked-production-variant": served.variant.plan.name,
            "x-amzn-requestid": str(uuid.uuid4()),
            **{name: answer.headers[name] for name in RETURNED if name in answer.headers},
        },
    )


async def _invoke_async(service: Service, endpoint: str, headers: dict[str, str], body: bytes) -> Reply:
    accepted = async_invocations.accept(service, endpoint, headers, body)
    answer = {
        "x-amzn-sagemaker-outputlocation": accepted.get("OutputLocation"),
        "x-amzn-sagemaker-failurelocation": accepted.get("FailureLocation"),
        "x-amzn-requestid": str(uuid.uuid4()),
    }
    fields = {name: value for name, value in answer.items() if value is not None}
    content = json.dumps({"InferenceId": accepted["InferenceId"]}).encode()
    return Reply(202, content, {"content-type": "application/json", **fields})


async def _invoke_streamed(service: Service, endpoint: str, headers: dict[str, str], body: bytes) -> StreamedReply:
    began = time.perf_counter()
    request = parse("InvokeEndpointWithResponseStream", endpoint, headers, body)
    live = _require_synchronous(service, endpoint)
    members = {
        "content-type": request.get("ContentType", DEFAULT_CONTENT_TYPE),
        "accept": request.get("Accept"),
        CUSTOM_ATTRIBUTES: request.get("CustomAttributes"),
        TARGET_VARIANT: request.get("TargetVariant"),
        INFERENCE_ID: request.get("InferenceId"),
    }
    forwarded = {name: value for name, value in members.items() if value is not None}
    call = Call(endpoint, live, forwarded, body, began)
    served = await response_streams.start(service, call)
    answer = served.answer
    return StreamedReply(
        200,
        response_streams.events(service, call, served),
        {
            "content-type": response_streams.CONTENT_TYPE,
            "x-amzn-sagemaker-content-type": answer.headers.get("content-type", DEFAULT_CONTENT_TYPE),
            "x-amzn-invoked-production-variant": served.variant.plan.name,
            "x-amzn-requestid": str(uuid.uuid4()),
            **{name: answer.headers[name] for name in RETURNED if name in answer.headers},
        },
    )


def _require_synchronous(service: Service, endpoint: str) -> LiveEndpoint:
    live = find_live(service, endpoint)
    if live.asynchronous is not None:
        raise validation_error(f"Endpoint {endpoint} is asynchronous: it serves InvokeEndpointAsync only.")
    return live


def _error_reply(error: AwsError) -> Reply:
    members = error.members if isinstance(error, ModelError) else {}
    body = json.dumps({"Message": error.message, **members}).encode()
    headers = {
        "content-type": "application/json",
        "x-amzn-errortype": error.code,
        "x-amzn-requestid": str(uuid.uuid4()),
    }
    return Reply(error.status, body, headers)


OPERATIONS: dict[str, Operation] = {
    "invocations": _invoke,
    "async-invocations": _invoke_async,
    "invocations-response-stream": _invoke_streamed,
}
