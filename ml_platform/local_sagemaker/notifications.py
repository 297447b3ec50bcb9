"""Messages to SNS topics of the ground services, each written down before it is sent: a crash loses none.

What a message says, and what becomes of its sender's books, is the sender's business.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

from ml_platform.local_sagemaker.service import Service
from ml_platform.local_sagemaker.store import Query, Row

logger = logging.getLogger(__name__)

KIND = "notification"
OLDEST_FIRST = Query(sort="name", descending=False, limit=100)
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0
CONNECTIONS = 32
"""How many topics may be served at a time."""

Message = dict[str, Any]
Observer = Callable[[Message, str | None], None]
"""Told a message when it is delivered (None), or that it never will be (why)."""


class Notifications:
    """The messages that wait to be delivered."""

    def __init__(self, service: Service) -> None:
        self.observers: dict[str, Observer] = {}
        """Who is told what became of a message, by its ``Origin``."""
        self._service = service
        self._client: Any = None
        self._sending: set[str] = set()
        """The topics that are being sent messages."""
        self._pauses: dict[str, float] = {}
        """How long a topic that was out of reach is left alone the next time."""
        self._threads = ThreadPoolExecutor(CONNECTIONS, "notifications")
        self._due = asyncio.Event()
        self._due.set()
        service.spawn(self._send_for_ever(), "notifications")

    def send(self, topic: str, text: str, *, origin: str, subject: str | None = None, **about: Any) -> None:
        """Have a message delivered. When this returns, a crash of the stand-in no longer loses it."""
        message = {"TopicArn": topic, "Message": text, "Subject": subject, "Origin": origin, **about}
        self._service.store.append(KIND, message)
        self._due.set()

    async def _send_for_ever(self) -> None:
        try:
            while True:
                await self._due.wait()
                self._due.clear()
                for topic, rows in self._waiting().items():
                    self._sending.add(topic)
                    self._service.spawn(self._send_all(topic, rows), f"notifications of {topic}")
        finally:
            self._threads.shutdown(wait=False, cancel_futures=True)

    def _waiting(self) -> dict[str, list[Row]]:
        """Return the messages, oldest first, of each topic that is not being sent any."""
        found: dict[str, list[Row]] = {}
        page = OLDEST_FIRST
        while rows := self._service.store.select(KIND, page):
            for row in rows:
                if row.body["TopicArn"] not in self._sending:
                    found.setdefault(row.body["TopicArn"], []).append(row)
            page = replace(OLDEST_FIRST, after=(rows[-1].sort_value, rows[-1].name))
        return found

    async def _send_all(self, topic: str, rows: list[Row]) -> None:
        """Send a topic its messages, one after the other; one that is out of reach waits for itself alone."""
        loop = asyncio.get_running_loop()
        try:
            for row in rows:
                refusal = await loop.run_in_executor(self._threads, self._publish, row.body)
                self._service.store.delete(KIND, row.name)
                self._tell(row.body, refusal)
                self._pauses.pop(topic, None)
        except (BotoCoreError, ClientError) as error:
            logger.warning("notifications wait for topic %s: %s", topic, error)
            pause = self._pauses.get(topic, FIRST_PAUSE)
            self._pauses[topic] = min(2 * pause, LONGEST_PAUSE)
            await asyncio.sleep(pause)
        finally:
            self._sending.discard(topic)
            self._due.set()

    def _publish(self, message: Message) -> str | None:
        """Send a message; return why it can never be delivered, or None."""
        if self._client is None:
            config = Config(connect_timeout=5, read_timeout=10, max_pool_connections=CONNECTIONS)
            self._client = Session().create_client("sns", region_name=self._service.region, config=config)
        subject = {"Subject": message["Subject"]} if message.get("Subject") else {}
        try:
            self._client.publish(TopicArn=message["TopicArn"], Message=message["Message"], **subject)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] >= HTTPStatus.INTERNAL_SERVER_ERROR:
                raise
            logger.warning("topic %s takes no message: %s", message["TopicArn"], error)
            return str(error)
        return None

    def _tell(self, message: Message, refusal: str | None) -> None:
        observer = self.observers.get(message["Origin"])
        if observer is not None:
            observer(message, refusal)


def notifications_of(service: Service) -> Notifications:
    """Return the service's notifications; made on first use."""
    if service.notifications is None:
        service.notifications = Notifications(service)
    return service.notifications
