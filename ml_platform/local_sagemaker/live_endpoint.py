"""Who answers an endpoint's requests at this moment: the one place where fleets are switched under traffic."""

import asyncio
import random
from typing import Any

from ml_platform.local_sagemaker.fleets import Fleet, Variant
from ml_platform.local_sagemaker.model_servers import ModelServer


class UnknownVariantError(Exception):
    """The endpoint has no variant of that name."""


class NoServerError(Exception):
    """No server became ready in time, or the endpoint is gone."""


class LiveEndpoint:
    """An endpoint that serves, or will when its fleet is back after a restart of the stand-in."""

    def __init__(self) -> None:
        self.fleet: Fleet | None = None
        self.green: Fleet | None = None
        """The fleet that a deployment is moving traffic to."""
        self.share = 0.0
        """Part of the requests, in [0, 1], that the green fleet gets."""
        self.guarded = False
        """Whether a deployment is watched now: metrics are then told apart by endpoint config as well."""
        self._retired = False
        self._changed = asyncio.Event()

    @property
    def asynchronous(self) -> dict[str, Any] | None:
        """The ``AsyncInferenceConfig`` of the fleet that serves: requests are then queued."""
        return None if self.fleet is None else self.fleet.plan.asynchronous

    def switch(self, fleet: Fleet) -> Fleet | None:
        """Let another fleet answer from now on; return the one that did."""
        before, self.fleet = self.fleet, fleet
        self.abandon()
        fleet.on_change = self._changed.set
        self._changed.set()
        return before

    def introduce(self, green: Fleet, *, guarded: bool) -> None:
        """Let a second fleet answer a share of the requests, none so far."""
        green.on_change = self._changed.set
        self.green, self.guarded = green, guarded
        self._changed.set()

    def abandon(self) -> Fleet | None:
        """Let the green fleet answer no more; return it."""
        green, self.green = self.green, None
        self.share, self.guarded = 0.0, False
        return green

    def retire(self) -> Fleet | None:
        """Let nobody answer any more; return the fleet that did."""
        before, self.fleet = self.fleet, None
        self._retired = True
        self._changed.set()
        return before

    async def pick(
        self, target: str | None, avoid: ModelServer | None, seconds: float
    ) -> tuple[Fleet, Variant, ModelServer]:
        """Return who answers a request, after waiting for a server if none is ready.

        Args:
            target: Variant that the caller insists on.
            avoid: Server to take only when there is no other.
            seconds: Longest wait.

        Raises:
            UnknownVariantError: When the target is not a variant of the endpoint.
            NoServerError: When no server is ready in time.
            ThrottledError: When a serverless endpoint has all the requests that it may have.
        """
        serverless = self.fleet.serverless if self.fleet else None
        if serverless is None or serverless.pool is None:
            return self._pick_now(target, avoid) or await self._pick_later(target, avoid, seconds)
        serverless.pool.enter(serverless.servers)
        try:
            return self._pick_now(target, avoid) or await self._pick_later(target, avoid, seconds)
        finally:
            serverless.pool.leave()

    async def _pick_later(
        self, target: str | None, avoid: ModelServer | None, seconds: float
    ) -> tuple[Fleet, Variant, ModelServer]:
        try:
            async with asyncio.timeout(seconds):
                while (picked := self._pick_now(target, avoid)) is None:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError as error:
            raise NoServerError("no model server of the endpoint is ready") from error
        return picked

    def _pick_now(self, target: str | None, avoid: ModelServer | None) -> tuple[Fleet, Variant, ModelServer] | None:
        if self._retired:
            raise NoServerError("the endpoint is being deleted")
        fleets = self._by_preference()
        known = [(fleet, variant) for fleet in fleets if (variant := fleet.choose(target)) is not None]
        if fleets and not known:
            raise UnknownVariantError(str(target))
        for fleet, variant in known:
            if (server := variant.least_busy(avoid)) is not None:
                return fleet, variant, server
        return None

    def _by_preference(self) -> list[Fleet]:
        """Return the fleet whose turn it is, then the other: as on AWS, only healthy servers are asked."""
        blue, green = self.fleet, self.green
        if green is None:
            return [] if blue is None else [blue]
        if blue is None:
            return [green]
        return [green, blue] if random.random() < self.share else [blue, green]  # noqa: S311 - spreads load only
