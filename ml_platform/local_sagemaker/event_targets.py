"""Where events go: SQS queues and SNS topics, with the input that a target asks for.

Other targets (Lambda, Step Functions ...) are not served; which events a target gets is ``events``' business.
"""

import json
import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.session import Session

CONNECTIONS = 32
"""How many targets may be served at a time."""
PLACE = re.compile(r"<([^<>]+)>")
STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


class UndeliverableError(Exception):
    """The target cannot take the event, now or later; the message says why, the code what EventBridge calls it."""

    def __init__(self, message: str, code: str = "SDK_CLIENT_ERROR") -> None:
        super().__init__(message)
        self.code = code


class Targets:
    """The clients of the services that take events."""

    def __init__(self, region: str) -> None:
        self._region = region
        self._clients: dict[str, Any] = {}
        self._queues: dict[str, str] = {}
        self._senders: dict[str, Callable[[dict[str, Any], str], None]] = {"sqs": self._to_queue, "sns": self._to_topic}

    def send(self, target: dict[str, Any], event: dict[str, Any]) -> None:
        """Deliver an event to a rule's target.

        Raises:
            UndeliverableError: When this target will never take it.
            BotoCoreError: When the service cannot be reached at present.
        """
        service = (str(target["Arn"]).split(":") + [""] * 3)[2]
        sender = self._senders.get(service)
        if sender is None:
            raise UndeliverableError("only SQS and SNS targets are served here")
        try:
            sender(target, target_input(target, event))
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] >= HTTPStatus.INTERNAL_SERVER_ERROR:
                raise
            self._queues.pop(target["Arn"], None)
            raise UndeliverableError(str(error), _error_code(error)) from error

    def bury(self, queue: str, event: dict[str, Any], about: dict[str, str]) -> None:
        """Put an event into a dead-letter queue, with attributes that say why.

        Raises:
            UndeliverableError: When there is no such queue.
            BotoCoreError: When the service cannot be reached at present.
        """
        attributes = {name: {"DataType": "String", "StringValue": value} for name, value in about.items() if value}
        try:
            self._send_message(queue, json.dumps(event), MessageAttributes=attributes)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] >= HTTPStatus.INTERNAL_SERVER_ERROR:
                raise
            self._queues.pop(queue, None)
            raise UndeliverableError(str(error)) from error

    def _to_queue(self, target: dict[str, Any], body: str) -> None:
        group = target.get("SqsParameters", {}).get("MessageGroupId")
        options = {"MessageGroupId": group} if group else {}
        self._send_message(target["Arn"], body, **options)

    def _send_message(self, arn: str, body: str, **options: Any) -> None:
        if arn not in self._queues:
            self._queues[arn] = self._client("sqs").get_queue_url(QueueName=arn.rpartition(":")[2])["QueueUrl"]
        self._client("sqs").send_message(QueueUrl=self._queues[arn], MessageBody=body, **options)

    def _to_topic(self, target: dict[str, Any], body: str) -> None:
        self._client("sns").publish(TopicArn=target["Arn"], Message=body)

    def _client(self, service: str) -> Any:
        if service not in self._clients:
            # Whoever sends tries again, and meanwhile serves the other targets.
            config = Config(
                connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 1}, max_pool_connections=CONNECTIONS
            )
            self._clients[service] = Session().create_client(service, region_name=self._region, config=config)
        return self._clients[service]


def _error_code(error: ClientError) -> str:
    """EventBridge's name for why a target takes nothing."""
    absent = any(word in str(error) for word in ("NonExistentQueue", "QueueDoesNotExist", "NotFound"))
    return "NO_RESOURCE" if absent else "NO_PERMISSIONS" if "AccessDenied" in str(error) else "SDK_CLIENT_ERROR"


def target_input(target: dict[str, Any], event: dict[str, Any]) -> str:
    """Return what a target is sent: the event, a part of it, a constant or a filled-in template."""
    if "Input" in target:
        return str(target["Input"])
    if "InputPath" in target:
        return json.dumps(_at(target["InputPath"], event))
    if "InputTransformer" in target:
        transformer = target["InputTransformer"]
        values = {name: _at(path, event) for name, path in transformer.get("InputPathsMap", {}).items()}
        return _fill(transformer["InputTemplate"], values)
    return json.dumps(event)


def _at(path: str, event: Any) -> Any:
    """Return what a path such as ``$.resources[0]`` leads to, or None."""
    value = event
    for name, index in STEP.findall(path.removeprefix("$")):
        try:
            value = value[int(index)] if index else value[name]
        except (LookupError, TypeError):
            return None
    return value


def _fill(template: str, values: dict[str, Any]) -> str:
    """Fill in each ``<name>``: as text inside of a string, as JSON outside of one."""

    def value_of(match: re.Match[str]) -> str:
        if match[1] not in values:
            return match[0]
        value = values[match[1]]
        if match.string.count('"', 0, match.start()) % 2 == 0:
            return json.dumps(value)
        return json.dumps(value if isinstance(value, str) else json.dumps(value))[1:-1]

    return PLACE.sub(value_of, template)
