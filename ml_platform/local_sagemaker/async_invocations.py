"""Asynchronous invocations: a queue of requests for each endpoint, kept in the store until they are answered.

A request is written down before its caller is told that it was accepted and forgotten once its result is in S3 and its
notification written down: a crash answers one twice, but loses none. What is written where is ``async_results``.
"""

import asyncio
import base64
import logging
import time
import uuid
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from ml_platform.local_sagemaker.async_results import Failure, conclude, download, fail, output_locations
from ml_platform.local_sagemaker.cloudwatch.monitoring import monitoring_of
from ml_platform.local_sagemaker.deployments import KIND as ENDPOINT_KIND
from ml_platform.local_sagemaker.deployments import deployments_of
from ml_platform.local_sagemaker.endpoint_metrics import endpoint_metric
from ml_platform.local_sagemaker.invocations import (
    CUSTOM_ATTRIBUTES,
    DEFAULT_CONTENT_TYPE,
    INFERENCE_ID,
    Call,
    ModelError,
    accept_answer,
    ask,
    find_live,
)
from ml_platform.local_sagemaker.live_endpoint import LiveEndpoint
from ml_platform.local_sagemaker.runtime_requests import parse, validation_error
from ml_platform.local_sagemaker.service import AwsError, Service
from ml_platform.local_sagemaker.store import Query

logger = logging.getLogger(__name__)

KIND = "async-invocation"
OLDEST_FIRST = Query(sort="name", descending=False)
# AWS "chooses an optimal value" when the endpoint config names none.
DEFAULT_CONCURRENCY = 4
DEFAULT_TTL_SECONDS, DEFAULT_TIMEOUT_SECONDS = 21_600, 900
LOOK_SECONDS = 0.1

Item = dict[str, Any]


@dataclass
class _Queue:
    """The requests of one endpoint: names of those that wait, with the time on the clock at which each expires."""

    waiting: deque[tuple[str, float, float]] = field(default_factory=deque)
    """Name, when it was received (real time), when it expires (AWS seconds of the clock)."""
    running: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    worker: "asyncio.Task[None] | None" = None


class AsyncInvocations:
    """The queues of all asynchronous endpoints."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._queues: dict[str, _Queue] = {}

    def recover(self) -> None:
        """Take up again what the last stop or crash left."""
        now = time.time()
        for row in self._service.store.select(KIND, OLDEST_FIRST):
            waited = (now - row.body["ReceivedAt"]) / (self._service.clock.scale or 1.0)
            self._enqueue(row.name, row.body, row.body["RequestTTLSeconds"] - waited)

    def add(self, item: Item) -> None:
        """Write a request down and let it be answered in its turn."""
        self._enqueue(self._service.store.append(KIND, item), item, item["RequestTTLSeconds"])

    def backlog(self, endpoint: str) -> tuple[int, float]:
        """Return how many requests wait or are being answered, and for how long the oldest has waited (seconds)."""
        queue = self._queues.get(endpoint)
        if queue is None:
            return 0, 0.0
        oldest = queue.waiting[0][1] if queue.waiting else time.time()
        return len(queue.waiting) + queue.running, time.time() - oldest

    def _enqueue(self, name: str, item: Item, seconds: float) -> None:
        queue = self._queues.setdefault(item["Endpoint"], _Queue())
        queue.waiting.append((name, item["ReceivedAt"], self._service.clock.elapsed_seconds + seconds))
        queue.changed.set()
        if queue.worker is None or queue.worker.done():
            queue.worker = self._service.spawn(self._work(item["Endpoint"], queue), f"queue of {item['Endpoint']}")

    async def _work(self, endpoint: str, queue: _Queue) -> None:
        """Answer a queue's requests, as many at a time as its instances take, until there are none."""
        while queue.waiting or queue.running:
            queue.changed.clear()
            record = self._service.store.get(ENDPOINT_KIND, endpoint)
            if record is None:
                self._drop(queue)
                return
            now = self._service.clock.elapsed_seconds
            for name in [name for name, _, expires in queue.waiting if expires <= now]:
                await self._expire(queue, name, record["Plan"]["variants"][0]["name"])
            live = deployments_of(self._service).live.get(endpoint)
            while queue.waiting and live is not None and queue.running < capacity(live):
                name, _, _ = queue.waiting.popleft()
                queue.running += 1
                self._service.spawn(self._answer(queue, live, name), f"asynchronous invocation of {endpoint}")
            try:
                # Servers come up and requests expire without telling this queue.
                async with asyncio.timeout(LOOK_SECONDS if queue.waiting else None):
                    await queue.changed.wait()
            except TimeoutError:
                continue

    def _drop(self, queue: _Queue) -> None:
        """Forget the requests of an endpoint that was deleted."""
        while queue.waiting:
            self._service.store.delete(KIND, queue.waiting.popleft()[0])

    async def _expire(self, queue: _Queue, name: str, variant: str) -> None:
        queue.waiting = deque(waiting for waiting in queue.waiting if waiting[0] != name)
        item = self._service.store.get(KIND, name)
        if item is not None:
            reason = f"The request was in the queue for more than RequestTTLSeconds ({item['RequestTTLSeconds']})."
            await fail(self._service, item, Failure(reason, "ExpiredRequests"), variant)
            self._service.store.delete(KIND, name)

    async def _answer(self, queue: _Queue, live: LiveEndpoint, name: str) -> None:
        try:
            item = self._service.store.get(KIND, name)
            if item is not None:
                await _process(self._service, live, item)
                self._service.store.delete(KIND, name)
        finally:
            queue.running -= 1
            queue.changed.set()


def accept(service: Service, endpoint: str, headers: dict[str, str], body: bytes) -> Item:
    """Take a request for later; return where its results will be.

    Raises:
        AwsError: When it cannot be taken.
    """
    request = parse("InvokeEndpointAsync", endpoint, headers, body)
    if ("InputLocation" in request) == bool(body):
        raise validation_error("Exactly one of InputLocation and Body must be provided.")
    if request.get("InputLocation", "s3://").startswith("https://"):
        raise validation_error("The local stand-in reads inputs from s3:// addresses only.")
    find_live(service, endpoint)
    record = service.store.get(ENDPOINT_KIND, endpoint)
    config = record["Plan"].get("asynchronous") if record else None
    if config is None:
        raise validation_error(f"Endpoint {endpoint} is not asynchronous: its config has no AsyncInferenceConfig.")
    identity = str(uuid.uuid4())
    item = {
        "Endpoint": endpoint,
        "InferenceId": request.get("InferenceId", identity),
        "Config": config,
        "ReceivedAt": service.clock.timestamp(),
        "RequestTTLSeconds": request.get("RequestTTLSeconds", DEFAULT_TTL_SECONDS),
        "InvocationTimeoutSeconds": request.get("InvocationTimeoutSeconds", DEFAULT_TIMEOUT_SECONDS),
        "InputLocation": request.get("InputLocation"),
        "Body": base64.b64encode(body).decode() if body else None,
        "ContentType": request.get("ContentType", DEFAULT_CONTENT_TYPE),
        "Accept": request.get("Accept"),
        "CustomAttributes": request.get("CustomAttributes"),
        **output_locations(config, identity, request),
    }
    queues_of(service).add(item)
    return item


def queues_of(service: Service) -> AsyncInvocations:
    """Return the service's queues; made on first use."""
    if service.async_invocations is None:
        service.async_invocations = AsyncInvocations(service)
    return service.async_invocations


def capacity(live: LiveEndpoint) -> int:
    """Return how many requests an endpoint's ready instances take at a time."""
    fleets = [fleet for fleet in (live.fleet, live.green) if fleet is not None]
    return sum(
        (fleet.plan.asynchronous or {})
        .get("ClientConfig", {})
        .get("MaxConcurrentInvocationsPerInstance", DEFAULT_CONCURRENCY)
        * sum(instance.server.ready for instance in fleet.variants[plan.name].instances)
        for fleet in fleets
        for plan in fleet.plan.production
    )


def report_backlogs(service: Service) -> None:
    """Emit the gauges of every asynchronous endpoint, as AWS does each minute."""
    emit = monitoring_of(service).endpoints.emit
    for endpoint, live in deployments_of(service).live.items():
        if live.asynchronous is None or live.fleet is None:
            continue
        size, age = queues_of(service).backlog(endpoint)
        instances = sum(len(live.fleet.variants[plan.name].instances) for plan in live.fleet.plan.production)
        emit(endpoint_metric("ApproximateBacklogSize", endpoint), "Count", size)
        emit(endpoint_metric("ApproximateAgeOfOldestRequest", endpoint), "Seconds", age)
        emit(endpoint_metric("HasBacklogWithoutCapacity", endpoint), "Count", float(size > 0 and not instances))
        if instances:
            emit(endpoint_metric("ApproximateBacklogSizePerInstance", endpoint), "Count", size / instances)


async def _process(service: Service, live: LiveEndpoint, item: Item) -> None:
    """Answer one request, for better or worse."""
    began = time.perf_counter()
    variant = live.fleet.plan.production[0].name if live.fleet else None
    try:
        headers = {"content-type": item["ContentType"], INFERENCE_ID: item["InferenceId"]}
        for name, member in (("accept", "Accept"), (CUSTOM_ATTRIBUTES, "CustomAttributes")):
            if member in item and item[member] is not None:
                headers[name] = item[member]
        body = await download(service, item, variant)
        call = Call(item["Endpoint"], live, headers, body, began, float(item["InvocationTimeoutSeconds"]))
        served = await ask(service, call)
        variant = served.variant.plan.name
        accept_answer(service, call, served)
        await conclude(service, item, served.answer, variant)
    except Failure as failure:
        await fail(service, item, failure, variant)
    except ModelError as error:
        side = "ClientError" if error.members["ErrorCode"] == "CLIENT_ERROR_FROM_MODEL" else "InternalServerError"
        await fail(service, item, Failure(f"{side}: {error.message}", "InvocationFailures"), variant)
    except AwsError as error:
        await fail(service, item, Failure(f"InternalServerError: {error.message}", "InvocationFailures"), variant)
    if variant is not None:
        emit = monitoring_of(service).endpoints.emit
        took = (time.perf_counter() - began) * 1000
        waited = max(0.0, (time.time() - item["ReceivedAt"]) * 1000 - took)
        emit(endpoint_metric("TimeInBacklog", item["Endpoint"], variant), "Milliseconds", waited)
        emit(endpoint_metric("TotalProcessingTime", item["Endpoint"], variant), "Milliseconds", took)
