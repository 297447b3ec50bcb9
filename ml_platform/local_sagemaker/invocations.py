"""One invocation of a variant, whoever asks for it: choose a server, pass on, count, capture, copy to shadows.

The REST requests around it are ``runtime``'s, the queue of asynchronous ones is ``async_invocations``'.
"""

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from ml_platform.local_sagemaker.capture import Exchange
from ml_platform.local_sagemaker.cloudwatch.monitoring import monitoring_of
from ml_platform.local_sagemaker.deployments import deployments_of
from ml_platform.local_sagemaker.endpoint_metrics import Invocation
from ml_platform.local_sagemaker.fleets import Fleet, Variant, log_group
from ml_platform.local_sagemaker.http_client import Answer, ConnectionLostError
from ml_platform.local_sagemaker.live_endpoint import LiveEndpoint, NoServerError, UnknownVariantError
from ml_platform.local_sagemaker.model_servers import INVOCATION_SECONDS, ModelServer
from ml_platform.local_sagemaker.serverless import ThrottledError
from ml_platform.local_sagemaker.service import AwsError, Service

logger = logging.getLogger(__name__)

PREFIX = "x-amzn-sagemaker-"
CUSTOM_ATTRIBUTES = f"{PREFIX}custom-attributes"
TARGET_VARIANT = f"{PREFIX}target-variant"
INFERENCE_ID = f"{PREFIX}inference-id"
DEFAULT_CONTENT_TYPE = "application/octet-stream"
WAIT_SECONDS = 30.0
SETTLE_SECONDS = 0.5
OK = range(200, 300)
# What the metrics count when the server answered nothing: its connection broke, or its time was up.
CONNECTION_LOST, NO_ANSWER = 503, 0
MAX_SHOWN_CHARACTERS = 5_000


class _HasStatus(Protocol):
    status: int


Answered = TypeVar("Answered", bound=_HasStatus)


@dataclass(frozen=True, slots=True)
class Call:
    """What somebody asks of an endpoint: headers as the container gets them, and when it was asked."""

    endpoint: str
    live: LiveEndpoint
    headers: dict[str, str]
    body: bytes
    began: float
    seconds: float = INVOCATION_SECONDS


@dataclass(frozen=True, slots=True)
class Served(Generic[Answered]):
    """Who answered a call, and what."""

    fleet: Fleet
    variant: Variant
    answer: Answered


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


def find_live(service: Service, endpoint: str) -> LiveEndpoint:
    """Return an endpoint that serves.

    Raises:
        AwsError: When none of that name does.
    """
    live = deployments_of(service).live.get(endpoint)
    if live is None:
        raise AwsError("ValidationError", f"Endpoint {endpoint} of account {service.account} not found.")
    return live


async def ask(service: Service, call: Call) -> Served[Answer]:
    """Ask a server and return its whole answer, whatever its status; see ``ask_by``."""
    return await ask_by(service, call, lambda server: server.invoke(call.headers, call.body, call.seconds))


async def ask_by(
    service: Service, call: Call, send: Callable[[ModelServer], Awaitable[Answered]], *, streamed: bool = False
) -> Served[Answered]:
    """Let ``send`` ask a server; when it goes away before it answered, once more, another one if there is one.

    Each try is an invocation in the metrics: a server that crashes must show, even if another one then answers.

    Raises:
        AwsError: When nobody can answer, or nobody did in time.
    """
    lost: ModelServer | None = None
    for _ in range(2):
        fleet, variant, server = await _pick(service, call, lost)
        asked, status = time.perf_counter(), NO_ANSWER
        try:
            answer = await send(server)
        except ConnectionLostError as error:
            logger.warning("a server of endpoint %s broke the connection: %s", call.endpoint, error)
            lost, status = server, CONNECTION_LOST
        except TimeoutError as error:
            said = (
                "Your invocation timed out while waiting for a response from container primary. Review the latency "
                "metrics for each container in Amazon CloudWatch, resolve the issue, and try again."
            )
            raise ModelError(service, call.endpoint, 0, said) from error
        else:
            status = answer.status
            return Served(fleet, variant, answer)
        finally:
            # How long a model streams is known at the end of the stream.
            took = None if streamed else time.perf_counter() - asked
            overhead = asked - call.began if status != NO_ANSWER else None
            _count(service, call, fleet, variant, (status, took, overhead))
        await server.settle(SETTLE_SECONDS)
    reason = f"A model server broke the connection; see {log_group(call.endpoint)}."
    raise AwsError("ServiceUnavailable", reason, status=503)


async def _pick(service: Service, call: Call, lost: ModelServer | None) -> tuple[Fleet, Variant, ModelServer]:
    try:
        return await call.live.pick(call.headers.get(TARGET_VARIANT), lost, WAIT_SECONDS)
    except ThrottledError as error:
        raise AwsError("ThrottlingException", "Rate exceeded") from error
    except UnknownVariantError as error:
        raise AwsError("ValidationError", f"Variant {error} of endpoint {call.endpoint} not found.") from error
    except NoServerError as error:
        fleet = call.live.fleet
        variant = fleet.choose() if fleet else None
        if fleet and variant:
            # An outage must show in the metrics.
            _count(service, call, fleet, variant, (CONNECTION_LOST, None, None))
        raise AwsError("ServiceUnavailable", f"{error}; see {log_group(call.endpoint)}.", status=503) from error


def _count(
    service: Service, call: Call, fleet: Fleet, variant: Variant, how: tuple[int, float | None, float | None]
) -> None:
    status, took, overhead = how
    config = fleet.plan.config if call.live.guarded else None
    count = len(variant.instances)
    monitoring_of(service).endpoints.record(
        Invocation(call.endpoint, variant.plan.name, config, count, status, took, overhead)
    )


def accept_answer(service: Service, call: Call, served: Served[Answer]) -> None:
    """Capture an exchange and send it to shadow variants as well.

    Raises:
        ModelError: When the model answered an error, which is not captured.
    """
    fleet, answer = served.fleet, served.answer
    captured = fleet.capture is not None and fleet.capture.sampled()
    for shadow in fleet.shadows():
        _send_copy(service, call, fleet, shadow, captured=captured)
    if answer.status not in OK:
        raise ModelError(service, call.endpoint, answer.status, shown(answer.body))
    if captured:
        _capture(service, call, served)


def shown(body: bytes) -> str:
    """Return what an error says of a model's own words."""
    return body[:MAX_SHOWN_CHARACTERS].decode(errors="replace")


def _capture(service: Service, call: Call, served: Served[Answer]) -> None:
    rules, answer = served.fleet.capture, served.answer
    assert rules is not None  # noqa: S101 - asked by the callers
    exchange = Exchange(
        call.headers["content-type"],
        call.body,
        answer.headers.get("content-type", DEFAULT_CONTENT_TYPE),
        answer.body,
        call.headers.get(INFERENCE_ID),
        service.clock.now(),
    )
    try:
        deployments_of(service).capture.write(call.endpoint, served.variant.plan.name, rules, exchange)
    except OSError as error:
        # A full disk must not take the endpoint down with it.
        logger.error("an exchange with endpoint %s was not captured: %s", call.endpoint, error)  # noqa: TRY400


def _send_copy(service: Service, call: Call, fleet: Fleet, shadow: Variant, *, captured: bool) -> None:
    """Ask a shadow variant as well, without anybody waiting for it."""
    server = shadow.least_busy()
    if server is None or fleet.copies.full:
        monitoring = monitoring_of(service)
        monitoring.endpoints.drop(call.endpoint, shadow.plan.name, monitoring.milliseconds(60))
        return
    fleet.copies.start(_ask_shadow(service, call, (fleet, shadow, server), captured=captured), service.spawn)


async def _ask_shadow(
    service: Service, call: Call, whom: tuple[Fleet, Variant, ModelServer], *, captured: bool
) -> None:
    fleet, shadow, server = whom
    began, status = time.perf_counter(), NO_ANSWER
    try:
        answer = await server.invoke(call.headers, call.body)
        status = answer.status
        if captured and status in OK:
            _capture(service, call, Served(fleet, shadow, answer))
    except ConnectionLostError:
        status = CONNECTION_LOST
    except TimeoutError:
        pass
    took = time.perf_counter() - began
    monitoring_of(service).endpoints.record(
        Invocation(call.endpoint, shadow.plan.name, None, len(shadow.instances), status, took, None)
    )
