"""SageMaker Runtime: ``POST /endpoints/{name}/invocations`` goes to a model server, its answer goes to the caller.

This is the path every prediction takes, so it does little: choose a server, pass on, capture. Errors have the shapes
of AWS's REST protocol. Asynchronous and streamed invocations are not served.
"""

import json
import logging
import re
import time
import uuid

from ml_platform.local_sagemaker.capture import Exchange
from ml_platform.local_sagemaker.cloudwatch.monitoring import monitoring_of
from ml_platform.local_sagemaker.deployments import deployments_of
from ml_platform.local_sagemaker.endpoint_metrics import Invocation
from ml_platform.local_sagemaker.fleets import Fleet, Variant, log_group
from ml_platform.local_sagemaker.http_client import Answer, ConnectionLostError
from ml_platform.local_sagemaker.live_endpoint import LiveEndpoint, NoServerError, UnknownVariantError
from ml_platform.local_sagemaker.model_servers import ModelServer
from ml_platform.local_sagemaker.protocol import Reply
from ml_platform.local_sagemaker.service import AwsError, Service

logger = logging.getLogger(__name__)

INVOCATIONS = re.compile(r"/endpoints/([^/]+)/invocations")
PREFIX = "x-amzn-sagemaker-"
TARGET_VARIANT = f"{PREFIX}target-variant"
INFERENCE_ID = f"{PREFIX}inference-id"
# What of a caller's headers reaches the container, and what of the container's reaches the caller.
FORWARDED = ("content-type", "accept", f"{PREFIX}custom-attributes", TARGET_VARIANT, INFERENCE_ID)
RETURNED = (f"{PREFIX}custom-attributes",)
DEFAULT_CONTENT_TYPE = "application/octet-stream"
WAIT_SECONDS = 30.0
SETTLE_SECONDS = 0.5
OK = range(200, 300)
# What the metrics count when the server answered nothing: its connection broke, or its time was up.
CONNECTION_LOST, NO_ANSWER = 503, 0
MAX_SHOWN_CHARACTERS = 5_000


class ModelError(AwsError):
    """The model's server answered with an error, or not in time."""

    def __init__(self, service: Service, endpoint: str, status: int, said: str) -> None:
        side = "client" if status in range(400, 500) else "server"
        group = log_group(endpoint)
        super().__init__(
            "ModelError",
            f'Received {side} error ({status}) from primary with message "{said}". '
            f"See https://{service.region}.console.aws.amazon.com/cloudwatch/home?region={service.region}"
            f"#logEventViewer:group={group} in account {service.account} for more information.",
            status=424,
        )
        self.members = {
            "ErrorCode": "CLIENT_ERROR_FROM_MODEL" if side == "client" else "INTERNAL_FAILURE_FROM_MODEL",
            "LogStreamArn": f"arn:aws:logs:{service.region}:{service.account}:log-group:{group}",
            "OriginalMessage": said,
            "OriginalStatusCode": status,
        }


async def invoke(service: Service, method: str, path: str, headers: dict[str, str], body: bytes) -> Reply:
    """Answer one request to ``/endpoints/...``; never raises."""
    match = INVOCATIONS.fullmatch(path)
    if method != "POST" or match is None:
        message = f"The local SageMaker stand-in does not serve {method} {path}."
        return _error_reply(AwsError("UnknownOperationException", message))
    try:
        return await _invoke(service, match[1], headers, body)
    except AwsError as error:
        return _error_reply(error)
    except Exception:
        logger.exception("an invocation failed inside the stand-in")
        message = "The invocation failed inside the local stand-in; its log has the traceback."
        return _error_reply(AwsError("InternalFailure", message, status=500))


async def _invoke(service: Service, endpoint: str, headers: dict[str, str], body: bytes) -> Reply:
    began = time.perf_counter()
    live = deployments_of(service).live.get(endpoint)
    if live is None:
        raise AwsError("ValidationError", f"Endpoint {endpoint} of account {service.account} not found.")
    forwarded = {name: headers[name] for name in FORWARDED if name in headers}
    forwarded.setdefault("content-type", DEFAULT_CONTENT_TYPE)
    fleet, variant, answer = await _ask(service, endpoint, live, forwarded, body, began)
    captured = fleet.capture is not None and fleet.capture.sampled()
    for shadow in fleet.shadows():
        _send_copy(service, endpoint, fleet, shadow, (forwarded, body, captured))
    if answer.status not in OK:
        said = answer.body[:MAX_SHOWN_CHARACTERS].decode(errors="replace")
        raise ModelError(service, endpoint, answer.status, said)
    answer_type = answer.headers.get("content-type", DEFAULT_CONTENT_TYPE)
    if captured:
        _capture(service, endpoint, fleet, variant, (forwarded, body, answer))
    returned = {name: answer.headers[name] for name in RETURNED if name in answer.headers}
    return Reply(
        200,
        answer.body,
        {
            "content-type": answer_type,
            "x-amzn-invoked-production-variant": variant.plan.name,
            "x-amzn-requestid": str(uuid.uuid4()),
            **returned,
        },
    )


async def _ask(
    service: Service, endpoint: str, live: LiveEndpoint, headers: dict[str, str], body: bytes, began: float
) -> tuple[Fleet, Variant, Answer]:
    """Ask a server; when it goes away before it answered, ask once more, another one if there is one.

    Each try is an invocation in the metrics: a server that crashes must show, even if another one then answers.
    """
    lost: ModelServer | None = None
    for _ in range(2):
        try:
            fleet, variant, server = await live.pick(headers.get(TARGET_VARIANT), lost, WAIT_SECONDS)
        except UnknownVariantError as error:
            raise AwsError("ValidationError", f"Variant {error} of endpoint {endpoint} not found.") from error
        except NoServerError as error:
            _count_unserved(service, endpoint, live)
            raise AwsError("ServiceUnavailable", f"{error}; see {log_group(endpoint)}.", status=503) from error
        asked, status = time.perf_counter(), NO_ANSWER
        try:
            answer = await server.invoke(headers, body)
        except ConnectionLostError as error:
            logger.warning("a server of endpoint %s broke the connection: %s", endpoint, error)
            lost, status = server, CONNECTION_LOST
        except TimeoutError as error:
            said = (
                "Your invocation timed out while waiting for a response from container primary. Review the latency "
                "metrics for each container in Amazon CloudWatch, resolve the issue, and try again."
            )
            raise ModelError(service, endpoint, 0, said) from error
        else:
            status = answer.status
            return fleet, variant, answer
        finally:
            answered = time.perf_counter()
            config = fleet.plan.config if live.guarded else None
            overhead = asked - began if status != NO_ANSWER else None
            monitoring_of(service).endpoints.record(
                Invocation(
                    time.time(),
                    endpoint,
                    variant.plan.name,
                    config,
                    len(variant.instances),
                    status,
                    answered - asked,
                    overhead,
                )
            )
        await server.settle(SETTLE_SECONDS)
    raise AwsError("ServiceUnavailable", f"A model server broke the connection; see {log_group(endpoint)}.", status=503)


def _count_unserved(service: Service, endpoint: str, live: LiveEndpoint) -> None:
    """Count a request that no server was there for: an outage must show in the metrics."""
    variant = live.fleet.choose() if live.fleet else None
    if live.fleet and variant:
        config = live.fleet.plan.config if live.guarded else None
        count = len(variant.instances)
        unserved = Invocation(time.time(), endpoint, variant.plan.name, config, count, CONNECTION_LOST, None, None)
        monitoring_of(service).endpoints.record(unserved)


def _capture(
    service: Service, endpoint: str, fleet: Fleet, variant: Variant, said: tuple[dict[str, str], bytes, Answer]
) -> None:
    headers, body, answer = said
    assert fleet.capture is not None  # noqa: S101 - asked by the callers
    exchange = Exchange(
        headers["content-type"],
        body,
        answer.headers.get("content-type", DEFAULT_CONTENT_TYPE),
        answer.body,
        headers.get(INFERENCE_ID),
        service.clock.now(),
    )
    try:
        deployments_of(service).capture.write(endpoint, variant.plan.name, fleet.capture, exchange)
    except OSError as error:
        # A full disk must not take the endpoint down with it.
        logger.error("an exchange with endpoint %s was not captured: %s", endpoint, error)  # noqa: TRY400


def _send_copy(
    service: Service, endpoint: str, fleet: Fleet, shadow: Variant, request: tuple[dict[str, str], bytes, bool]
) -> None:
    """Ask a shadow variant as well, without anybody waiting for it."""
    server = shadow.least_busy()
    if server is None or fleet.copies.full:
        monitoring = monitoring_of(service)
        monitoring.endpoints.drop(endpoint, shadow.plan.name, monitoring.milliseconds(60))
        return
    fleet.copies.start(_ask_shadow(service, endpoint, fleet, shadow, server, request), service.spawn)


async def _ask_shadow(
    service: Service,
    endpoint: str,
    fleet: Fleet,
    shadow: Variant,
    server: ModelServer,
    request: tuple[dict[str, str], bytes, bool],
) -> None:
    headers, body, captured = request
    asked, status = time.perf_counter(), NO_ANSWER
    try:
        answer = await server.invoke(headers, body)
        status = answer.status
        if captured and status in OK:
            _capture(service, endpoint, fleet, shadow, (headers, body, answer))
    except ConnectionLostError:
        status = CONNECTION_LOST
    except TimeoutError:
        pass
    took = time.perf_counter() - asked
    monitoring_of(service).endpoints.record(
        Invocation(time.time(), endpoint, shadow.plan.name, None, len(shadow.instances), status, took, None)
    )


def _error_reply(error: AwsError) -> Reply:
    members = error.members if isinstance(error, ModelError) else {}
    body = json.dumps({"Message": error.message, **members}).encode()
    headers = {
        "content-type": "application/json",
        "x-amzn-errortype": error.code,
        "x-amzn-requestid": str(uuid.uuid4()),
    }
    return Reply(error.status, body, headers)
