"""Lines of containers to CloudWatch Logs at ``AWS_ENDPOINT_URL``, in batches, while the container runs."""

import asyncio
import logging
import time
from contextlib import suppress
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

logger = logging.getLogger(__name__)

FLUSH_SECONDS = 0.3
# PutLogEvents takes 1 MB and 10,000 events a call and 256 KB an event; stay well inside.
MAX_EVENTS = 1000
MAX_EVENT_CHARACTERS = 50_000


class Logs:
    """The CloudWatch Logs client of the stand-in."""

    def __init__(self, session: Session, region: str) -> None:
        config = Config(retries={"mode": "standard", "max_attempts": 5})
        self._client: Any = session.create_client("logs", region_name=region, config=config)

    def stream(self, group: str, name: str) -> "LogStream":
        """Return a stream that sends its lines until it is closed. Call from the event loop."""
        return LogStream(self, group, name)

    def create(self, group: str, stream: str) -> None:
        """Make the group and the stream when they do not exist."""
        for call, arguments in (
            (self._client.create_log_group, {"logGroupName": group}),
            (self._client.create_log_stream, {"logGroupName": group, "logStreamName": stream}),
        ):
            try:
                call(**arguments)
            except ClientError as error:
                # Not by class: botocore makes a client's exception classes anew in each thread that asks first.
                if error.response["Error"]["Code"] != "ResourceAlreadyExistsException":
                    raise

    def put(self, group: str, stream: str, events: list[dict[str, Any]]) -> None:
        """Append events (timestamp in ms, message) to a stream."""
        self._client.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)


class LogStream:
    """One container's log. ``write`` never waits and never fails: a container must not die of its log."""

    def __init__(self, logs: Logs, group: str, name: str) -> None:
        self.group = group
        self.name = name
        self._logs = logs
        self._events: list[dict[str, Any]] = []
        self._created = False
        self._closing = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._send_until_closed(), name=f"log {name}")

    def write(self, line: str) -> None:
        """Add a line, stamped now."""
        # CloudWatch refuses empty messages.
        self._events.append({"timestamp": int(time.time() * 1000), "message": line[:MAX_EVENT_CHARACTERS] or " "})

    async def close(self) -> None:
        """Send what is left and stop."""
        self._closing.set()
        await self._task

    async def _send_until_closed(self) -> None:
        while not self._closing.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), FLUSH_SECONDS)
            await self._flush()

    async def _flush(self) -> None:
        while self._events:
            batch, self._events = self._events[:MAX_EVENTS], self._events[MAX_EVENTS:]
            try:
                await asyncio.to_thread(self._send, batch)
            except (BotoCoreError, ClientError) as error:
                logger.warning("lost %d log lines of %s: %s", len(batch), self.name, error)

    def _send(self, batch: list[dict[str, Any]]) -> None:
        if not self._created:
            self._logs.create(self.group, self.name)
            self._created = True
        self._logs.put(self.group, self.name, batch)
