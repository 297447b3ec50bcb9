"""Delivery of state-change events to the user's own EventBridge rules, which live in the ground services.

Emulators take no events from ``aws.*`` sources, so the stand-in reads the rules of the default bus and delivers to
their SQS and SNS targets itself. An event is written down in one transaction with the change it tells of and forgotten
when all who want it have it: a crash delivers one twice, as EventBridge may, but loses none. A target that is out of
reach, or does not answer, holds up its own events and nobody else's. What a target will never take, or not within its
retry policy, goes to its dead-letter queue. What an event says is ``event_shapes``; which one a rule wants,
``event_patterns``.
"""

import asyncio
import json
import logging
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

from ml_platform.local_sagemaker.event_patterns import PatternError, matches
from ml_platform.local_sagemaker.event_shapes import SHAPES, Change, changes
from ml_platform.local_sagemaker.event_targets import CONNECTIONS, Targets, UndeliverableError
from ml_platform.local_sagemaker.store import Query

if TYPE_CHECKING:
    from ml_platform.local_sagemaker.service import Service

logger = logging.getLogger(__name__)

KIND = "event"
BATCH = Query(sort="name", descending=False, limit=100)
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0
# EventBridge's defaults: for a day, 185 times.
MOST_RETRIES, LONGEST_AGE_SECONDS = 185, 86_400

Delivery = tuple[str, str]
"""A rule's ARN and a target's id."""


@dataclass
class Progress:
    """How far an event has come that not all who want it have."""

    wanted: set[Delivery] = field(default_factory=set)
    delivered: set[Delivery] = field(default_factory=set)
    attempts: dict[Delivery, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Outage:
    """A target that is out of reach: when it is tried again, and how long that is after the last time."""

    until: float
    pause: float


class Events:
    """Sees every change in the store and tells the rules that want to know."""

    def __init__(self, service: "Service") -> None:
        self._service = service
        self._due = asyncio.Event()
        self._targets = Targets(service.region)
        self._rules = Rules(service.region)
        self._waiting: dict[str, Progress] = {}
        """The events, by name, that some of their targets have yet to get."""
        self._sending: set[Delivery] = set()
        """The targets that are being sent events."""
        self._threads = ThreadPoolExecutor(CONNECTIONS, "events")
        self._outages: dict[Delivery, Outage] = {}
        service.store.watch(SHAPES.keys(), self._note)

    def start(self) -> None:
        """Deliver in the background, first of all what the last stop or crash left."""
        self._due.set()
        self._service.spawn(self._deliver_for_ever(), "event delivery")

    def _note(self, kind: str, before: dict[str, Any] | None, after: dict[str, Any] | None) -> None:
        """Write down what a change causes; runs inside the change's own transaction."""
        for change in changes(kind, before, after):
            faults = self._service.faults
            names = (change.arn, change.detail_type)
            if faults.take("lost-event", *names) is not None:
                continue
            event = self._envelope(change)
            for _ in range(1 if faults.take("duplicate-event", *names) is None else 2):
                self._service.store.append(KIND, event)
            self._due.set()

    def _envelope(self, change: Change) -> dict[str, Any]:
        return {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": change.detail_type,
            "source": "aws.sagemaker",
            "account": self._service.account,
            "time": self._service.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
            "region": self._service.region,
            "resources": [change.arn],
            "detail": change.detail,
        }

    async def _deliver_for_ever(self) -> None:
        pause = FIRST_PAUSE
        try:
            while True:
                await self._until_due()
                try:
                    await self._deliver_all()
                    pause = FIRST_PAUSE
                except (BotoCoreError, ClientError) as error:
                    logger.warning("events wait for the ground services: %s", error)
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, LONGEST_PAUSE)
                    self._due.set()
        finally:
            self._threads.shutdown(wait=False, cancel_futures=True)

    async def _until_due(self) -> None:
        """Wait for a new event, or until a target that was out of reach is to be tried again."""
        times = (outage.until for delivery, outage in self._outages.items() if delivery not in self._sending)
        again = min(times, default=None)
        with suppress(TimeoutError):
            async with asyncio.timeout(None if again is None else max(0.0, again - time.monotonic())):
                await self._due.wait()
        self._due.clear()

    async def _deliver_all(self) -> None:
        """Offer every event to each target that wants it, can be reached and has nothing else to take now."""
        now = time.monotonic()
        down = {delivery for delivery, outage in self._outages.items() if outage.until > now}
        errands: dict[Delivery, list[Errand]] = {}
        page = BATCH
        while rows := self._service.store.select(KIND, page):
            rules = await asyncio.to_thread(self._rules.load)
            # While the rules were read, the last target of some may have got them.
            for row in (row for row in rows if self._service.store.get(KIND, row.name)):
                for errand in self._errands(rules, row.name, row.body):
                    if errand.delivery not in down | self._sending:
                        errands.setdefault(errand.delivery, []).append(errand)
            page = replace(BATCH, after=(rows[-1].sort_value, rows[-1].name))
        # Of the others nothing waits any more.
        busy = down | errands.keys() | self._sending
        self._outages = {delivery: outage for delivery, outage in self._outages.items() if delivery in busy}
        for delivery, waiting in errands.items():
            self._sending.add(delivery)
            self._service.spawn(self._run(delivery, waiting), f"events for {delivery[0]}")

    def _errands(self, rules: "list[Rule]", name: str, event: dict[str, Any]) -> "list[Errand]":
        """Return what is left to do for an event, which is forgotten when that is nothing."""
        wanted = [
            Errand((rule.arn, str(target.get("Id"))), rule, target, name, event)
            for rule in rules
            if _wants(rule, event)
            for target in rule.targets
        ]
        progress = self._waiting.setdefault(name, Progress())
        progress.wanted = {errand.delivery for errand in wanted}
        self._forget_if_done(name)
        return [errand for errand in wanted if errand.delivery not in progress.delivered]

    def _forget_if_done(self, name: str) -> None:
        progress = self._waiting.get(name)
        if progress is not None and progress.wanted <= progress.delivered:
            self._service.store.delete(KIND, name)
            del self._waiting[name]

    async def _run(self, delivery: Delivery, errands: "list[Errand]") -> None:
        """Send a target its events, one after the other: it gets those of a resource in the order of its changes."""
        loop = asyncio.get_running_loop()
        try:
            for errand in errands:
                progress = self._waiting.get(errand.name)
                if progress is None:
                    # Its rule has changed meanwhile, and nobody wants it any more.
                    continue
                await loop.run_in_executor(
                    self._threads, self._offer, errand.rule, errand.target, errand.event, progress
                )
                self._outages.pop(delivery, None)
                progress.delivered.add(delivery)
                self._forget_if_done(errand.name)
        except (BotoCoreError, ClientError) as error:
            last = self._outages.get(delivery)
            pause = min(2 * last.pause, LONGEST_PAUSE) if last else FIRST_PAUSE
            self._outages[delivery] = Outage(time.monotonic() + pause, pause)
            logger.warning("%s: events wait for target %s: %s", delivery[0], errands[0].target["Arn"], error)
        finally:
            self._sending.discard(delivery)
            self._due.set()

    def _offer(self, rule: "Rule", target: dict[str, Any], event: dict[str, Any], progress: Progress) -> None:
        """Send an event, or give it up; raises when it is to be tried again later."""
        delivery = (rule.arn, str(target.get("Id")))
        try:
            self._targets.send(target, event)
        except UndeliverableError as error:
            self._give_up(rule, target, event, error)
        except (BotoCoreError, ClientError) as error:
            attempts = progress.attempts[delivery] = progress.attempts.get(delivery, 0) + 1
            exhausted = exhausted_condition(target.get("RetryPolicy", {}), attempts, self._age_seconds(event))
            if exhausted is None:
                raise
            tried = {"EXHAUSTED_RETRY_CONDITION": exhausted, "RETRY_ATTEMPTS": str(attempts - 1)}
            self._give_up(rule, target, event, error, tried)

    def _give_up(
        self,
        rule: "Rule",
        target: dict[str, Any],
        event: dict[str, Any],
        error: Exception,
        more: dict[str, str] | None = None,
    ) -> None:
        logger.warning("%s: target %s gets no event: %s", rule.arn, target["Arn"], error)
        queue = target.get("DeadLetterConfig", {}).get("Arn")
        if not queue:
            return
        code = (
            error.response["Error"]["Code"]
            if isinstance(error, ClientError)
            else getattr(error, "code", "SDK_CLIENT_ERROR")
        )
        about = {
            "RULE_ARN": rule.arn,
            "TARGET_ARN": str(target["Arn"]),
            "ERROR_CODE": code,
            "ERROR_MESSAGE": str(error),
        }
        try:
            self._targets.bury(queue, event, about | (more or {}))
        except UndeliverableError as refusal:
            logger.warning("%s: dead-letter queue %s takes nothing: %s", rule.arn, queue, refusal)

    def _age_seconds(self, event: dict[str, Any]) -> float:
        return (self._service.clock.now() - datetime.fromisoformat(event["time"])).total_seconds()


def exhausted_condition(policy: dict[str, Any], attempts: int, age_seconds: float) -> str | None:
    """Return which bound of a target's retry policy ends the attempts to deliver an event, or None."""
    if attempts > policy.get("MaximumRetryAttempts", MOST_RETRIES):
        return "MaximumRetryAttempts"
    if age_seconds > policy.get("MaximumEventAgeInSeconds", LONGEST_AGE_SECONDS):
        return "MaximumEventAgeInSeconds"
    return None


@dataclass(frozen=True)
class Rule:
    """An enabled rule of the default event bus."""

    arn: str
    pattern: Any
    targets: list[dict[str, Any]]


@dataclass(frozen=True)
class Errand:
    """An event that a rule's target is to get."""

    delivery: Delivery
    rule: Rule
    target: dict[str, Any]
    name: str
    event: dict[str, Any]


class Rules:
    """The enabled rules of the default event bus that may ask for SageMaker's events."""

    def __init__(self, region: str) -> None:
        self._region = region
        self._client: Any = None

    def load(self) -> list[Rule]:
        """Return name, pattern and targets of each rule as they are now."""
        if self._client is None:
            config = Config(connect_timeout=5, read_timeout=10)
            self._client = Session().create_client("events", region_name=self._region, config=config)
        return [*self._load()]

    def _load(self) -> Iterator[Rule]:
        for rule in self._pages("list_rules", "Rules"):
            if rule.get("State", "ENABLED").startswith("ENABLED") and rule.get("EventPattern"):
                targets = [*self._pages("list_targets_by_rule", "Targets", Rule=rule["Name"])]
                yield Rule(rule["Arn"], json.loads(rule["EventPattern"]), targets)

    def _pages(self, operation: str, member: str, **arguments: Any) -> Iterator[dict[str, Any]]:
        token: dict[str, str] = {}
        while True:
            page = getattr(self._client, operation)(**arguments, **token)
            yield from page.get(member, [])
            if not page.get("NextToken"):
                return
            token = {"NextToken": page["NextToken"]}


def _wants(rule: Rule, event: dict[str, Any]) -> bool:
    try:
        return matches(rule.pattern, event)
    except PatternError as error:
        logger.warning("rule %s gets no events: %s", rule.arn, error)
        return False


def attach(service: "Service") -> None:
    """Let a service tell its changes of state from now on."""
    Events(service).start()
