"""Lines of containers to CloudWatch Logs at ``AWS_ENDPOINT_URL``, in batches, while the container runs.

The ground services may be killed and forget them; ``log_copies`` keeps them, and what is missing is written again.
"""

import asyncio
import logging
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

from ml_platform.local_sagemaker.log_copies import Event, LogCopies

logger = logging.getLogger(__name__)

FLUSH_SECONDS = 0.3
# How long logs may be missing after the ground services were killed and came back.
LOOK_SECONDS = 3.0
# PutLogEvents takes 1 MB and 10,000 events a call and 256 KB an event; stay well inside.
MAX_EVENTS = 1000
MAX_EVENT_CHARACTERS = 50_000
MARK_GROUP = "/ml-platform/local-sagemaker/"
"""With the mark of our copies it names a log group of the ground services. Where that is gone, so are the others."""


class Logs:
    """The CloudWatch Logs client of the stand-in.

    Args:
        session: Where clients come from.
        region: The stand-in's region.
        folder: Where copies are kept.
    """

    def __init__(self, session: Session, region: str, folder: Path) -> None:
        config = Config(retries={"mode": "standard", "max_attempts": 5})
        self._client: Any = session.create_client("logs", region_name=region, config=config)
        self._copies = LogCopies(folder)
        # A stream is written by its container and, when its lines were lost, by whoever notices.
        self._lock = threading.Lock()
        self._left: list[tuple[str, str]] = []

    def stream(self, group: str, name: str) -> "LogStream":
        """Return a stream that sends its lines until it is closed. Call from the event loop."""
        return LogStream(self, group, name)

    def create(self, group: str, stream: str) -> None:
        """Make the group and the stream when they do not exist."""
        self._unless("ResourceAlreadyExistsException", self._client.create_log_group, logGroupName=group)
        names = {"logGroupName": group, "logStreamName": stream}
        self._unless("ResourceAlreadyExistsException", self._client.create_log_stream, **names)

    def send(self, group: str, stream: str, events: list[Event], *, first: bool) -> None:
        """Append events (timestamp in ms, message) to a stream; after a failure to send, all of it is written again."""
        with self._lock:
            self._copies.append(group, stream, events)
            if first:
                self.create(group, stream)
            self._put(group, stream, events)

    def rewrite(self, group: str, stream: str, events: list[Event] | None = None) -> None:
        """Replace a stream by our copy of it, to which events may be added."""
        with self._lock:
            if events:
                self._copies.append(group, stream, events)
            names = {"logGroupName": group, "logStreamName": stream}
            self._unless("ResourceNotFoundException", self._client.delete_log_stream, **names)
            self.create(group, stream)
            kept = [*self._copies.events(group, stream)]
            for start in range(0, len(kept), MAX_EVENTS):
                self._put(group, stream, kept[start : start + MAX_EVENTS])

    def close(self, group: str, stream: str) -> None:
        """Note that all of a stream has arrived."""
        with self._lock:
            self._copies.close(group, stream)

    def leave(self, group: str, stream: str) -> None:
        """Note that a stream has ended and its last lines have not arrived."""
        self._left.append((group, stream))

    async def keep(self) -> None:
        """Write again what a crash of ours left unsent, and all logs whenever the ground services have lost them."""
        self._left = await asyncio.to_thread(self._copies.streams, only_open=True)
        while True:
            try:
                await asyncio.to_thread(self._restore)
            except (BotoCoreError, ClientError, OSError) as error:
                logger.warning("logs of containers cannot be looked after now: %s", error)
            await asyncio.sleep(LOOK_SECONDS)

    def _restore(self) -> None:
        mark = f"{MARK_GROUP}{self._copies.mark()}"
        lost = not self._client.describe_log_groups(logGroupNamePrefix=mark)["logGroups"]
        left = [*self._left]
        for group, stream in self._copies.streams() if lost else left:
            self.rewrite(group, stream)
        for group, stream in left:
            self.close(group, stream)
            self._left.remove((group, stream))
        if lost:
            self._unless("ResourceAlreadyExistsException", self._client.create_log_group, logGroupName=mark)

    def _put(self, group: str, stream: str, events: list[Event]) -> None:
        self._client.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)

    def _unless(self, code: str, call: Any, **arguments: Any) -> None:
        try:
            call(**arguments)
        except ClientError as error:
            # Not by class: botocore makes a client's exception classes anew in each thread that asks first.
            if error.response["Error"]["Code"] != code:
                raise


class LogStream:
    """One container's log. ``write`` never waits and never fails: a container must not die of its log."""

    def __init__(self, logs: Logs, group: str, name: str) -> None:
        self.group = group
        self.name = name
        self._logs = logs
        self._events: list[Event] = []
        self._created = False
        self._behind = False
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
        if self._behind:
            self._logs.leave(self.group, self.name)
        else:
            await asyncio.to_thread(self._logs.close, self.group, self.name)

    async def _flush(self) -> None:
        while self._events:
            batch, self._events = self._events[:MAX_EVENTS], self._events[MAX_EVENTS:]
            try:
                await asyncio.to_thread(self._send, batch)
            except (BotoCoreError, ClientError, OSError) as error:
                self._behind = True
                logger.warning("%d log lines of %s could not be sent yet: %s", len(batch), self.name, error)

    def _send(self, batch: list[Event]) -> None:
        if self._behind:
            self._logs.rewrite(self.group, self.name, batch)
            self._behind = False
        else:
            self._logs.send(self.group, self.name, batch, first=not self._created)
        self._created = True
