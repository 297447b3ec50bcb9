"""What comes of an asynchronous invocation: its answer or failure in S3, its notification, its metrics.

The queue is ``async_invocations``'. Notifications have the shape that AWS documents for asynchronous inference.
"""

import base64
import json
import time
from datetime import UTC, datetime
from typing import Any

from ml_platform.local_sagemaker.cloudwatch.monitoring import monitoring_of
from ml_platform.local_sagemaker.endpoint_metrics import endpoint_metric
from ml_platform.local_sagemaker.http_client import Answer
from ml_platform.local_sagemaker.notifications import Message, notifications_of
from ml_platform.local_sagemaker.objects import ObjectsError
from ml_platform.local_sagemaker.service import Service

ORIGIN = "async-invocation"
# An answer travels in a notification up to this size.
MOST_IN_NOTIFICATION = 128 * 1024

Item = dict[str, Any]


class Failure(Exception):  # noqa: N818 - an outcome, written down as one
    """The request is not answered; the metric counts what went wrong."""

    def __init__(self, reason: str, metric: str, body: bytes | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.metric = metric
        self.body = body


def output_locations(config: dict[str, Any], identity: str, request: dict[str, Any]) -> dict[str, str]:
    """Return where a request's answer and failure will be, as far as the endpoint config names places."""
    output = config["OutputConfig"]
    extension = request.get("S3OutputPathExtension", "").strip("/")
    found = {}
    for member, path, name in (
        ("OutputLocation", output.get("S3OutputPath"), request.get("Filename", f"{identity}.out")),
        ("FailureLocation", output.get("S3FailurePath"), f"{identity}-error.out"),
    ):
        if path:
            parts = [path.rstrip("/"), extension if member == "OutputLocation" else "", name]
            found[member] = "/".join(part for part in parts if part)
    return found


async def download(service: Service, item: Item, variant: str | None) -> bytes:
    """Return a request's body.

    Raises:
        Failure: When S3 does not give it.
    """
    if item.get("InputLocation") is None:
        return base64.b64decode(item["Body"])
    began = time.perf_counter()
    try:
        body = await service.objects.aread(item["InputLocation"])
    except ObjectsError as error:
        reason = f"ClientError: Failed to download the input from {item['InputLocation']}: {error}"
        raise Failure(reason, "RequestDownloadFailures") from error
    _emit(service, item, variant, "RequestDownloadLatency", "Microseconds", (time.perf_counter() - began) * 1e6)
    return body


async def conclude(service: Service, item: Item, answer: Answer, variant: str) -> None:
    """Store an answer and tell the success topic.

    Raises:
        Failure: When S3 does not take it.
    """
    location = item.get("OutputLocation")
    if location is not None:
        began = time.perf_counter()
        try:
            await service.objects.awrite(location, answer.body)
        except ObjectsError as error:
            reason = f"ClientError: Failed to upload the response to {location}: {error}"
            raise Failure(reason, "ResponseUploadFailures") from error
        _emit(service, item, variant, "ResponseUploadLatency", "Microseconds", (time.perf_counter() - began) * 1e6)
    response = {"contentType": answer.headers.get("content-type"), "outputLocation": location}
    said: dict[str, Any] = {"invocationStatus": "Completed", "responseParameters": _present(response)}
    _notify(service, item, "SuccessTopic", said, answer.body, variant)
    _emit(service, item, variant, "InvocationsProcessed", "Count", 1.0)


async def fail(service: Service, item: Item, failure: Failure, variant: str | None = None) -> None:
    """Store why a request failed and tell the error topic. A failure that S3 does not take is told all the same."""
    said: dict[str, Any] = {"invocationStatus": "Failed", "failureReason": failure.reason}
    body = failure.reason.encode() if failure.body is None else failure.body
    location = item.get("FailureLocation")
    if location is not None:
        try:
            await service.objects.awrite(location, body)
        except ObjectsError:
            _emit(service, item, variant, "ResponseUploadFailures", "Count", 1.0)
        else:
            said["responseParameters"] = {"failureLocation": location}
    _notify(service, item, "ErrorTopic", said, body, variant)
    _emit(service, item, variant, failure.metric, "Count", 1.0)


def count_undelivered(service: Service, message: Message, refusal: str | None) -> None:
    """Count a notification that its topic does not take."""
    if refusal is not None:
        item = {"Endpoint": message["Endpoint"]}
        _emit(service, item, message.get("Variant"), "NotificationFailures", "Count", 1.0)


def _notify(service: Service, item: Item, member: str, said: dict[str, Any], body: bytes, variant: str | None) -> None:
    rules = item["Config"]["OutputConfig"].get("NotificationConfig", {})
    topic = rules.get(member)
    if topic is None:
        return
    request = {
        "accept": item.get("Accept"),
        "contentType": item["ContentType"],
        "customAttributes": item.get("CustomAttributes"),
        "endpointName": item["Endpoint"],
        "inputLocation": item.get("InputLocation"),
    }
    document = {
        "awsRegion": service.region,
        "eventTime": _instant(service.clock.timestamp()),
        "receivedTime": _instant(item["ReceivedAt"]),
        **said,
        "requestParameters": _present(request),
        "inferenceId": item["InferenceId"],
        "eventVersion": "1.0",
        "eventSource": "aws:sagemaker",
        "eventName": "InferenceResult",
    }
    wanted = "SUCCESS_NOTIFICATION_TOPIC" if member == "SuccessTopic" else "ERROR_NOTIFICATION_TOPIC"
    if wanted in rules.get("IncludeInferenceResponseIn", ()) and len(body) <= MOST_IN_NOTIFICATION:
        document["responseBody"] = {"content": base64.b64encode(body).decode(), "encoding": "BASE64"}
    notifications_of(service).send(
        topic, json.dumps(document), origin=ORIGIN, Endpoint=item["Endpoint"], Variant=variant
    )


def _emit(service: Service, item: Item, variant: str | None, name: str, unit: str, value: float) -> None:
    monitoring_of(service).endpoints.emit(endpoint_metric(name, item["Endpoint"], variant), unit, value)


def _present(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _instant(timestamp: float) -> str:
    return datetime.fromtimestamp(timestamp, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
