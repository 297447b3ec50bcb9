"""Who answers an endpoint's requests at this moment: the one place where fleets are switched under traffic."""

import asyncio

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
        self.guarded = False
        """Whether a deployment is watched now: metrics are then told apart by endpoint config as well."""
        self._retired = False
        self._changed = asyncio.Event()

    def switch(self, fleet: Fleet) -> Fleet | None:
        """Let another fleet answer from now on; return the one that did."""
        before, self.fleet = self.fleet, fleet
        fleet.on_change = self._changed.set
        self._changed.set()
        return before

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
        """
        picked = self._pick_now(target, avoid)
        if picked is None:
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
        if self.fleet is None:
            return None
        variant = self.fleet.choose(target)
        if variant is None:
            raise UnknownVariantError(str(target))
        server = variant.least_busy(avoid)
        return None if server is None else (self.fleet, variant, server)
