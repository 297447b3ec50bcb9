"""How endpoints come to life, change and end; how a new fleet takes over step by step is ``rollouts``.

An endpoint's record holds the plan of the fleet that serves (``Plan``) and of the one it is being moved to
(``Pending``). Every step leaves a record from which the next start of the stand-in can carry on. Which request is
allowed in which state is ``hosting``'s business.
"""

import asyncio
import json
import logging
import shutil
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any

from ml_platform.local_sagemaker.capture import CaptureWriter
from ml_platform.local_sagemaker.containers import end_leftover
from ml_platform.local_sagemaker.deployment_configs import rollout_of
from ml_platform.local_sagemaker.fleet_plans import FleetPlan
from ml_platform.local_sagemaker.fleets import Fleet, endpoint_directory
from ml_platform.local_sagemaker.live_endpoint import LiveEndpoint
from ml_platform.local_sagemaker.model_servers import IDENTITY, ServerStartError
from ml_platform.local_sagemaker.rollouts import RolloutError, roll_back, roll_out
from ml_platform.local_sagemaker.service import Service

logger = logging.getLogger(__name__)

KIND = "endpoint"
MAX_REASON = 1024
MOST_SHARE = 0.5
MIXED = "UpdateRollbackFailed"
SERVING = frozenset({"InService", "Updating", "RollingBack", MIXED})


class Deployments:
    """All endpoints of a service that serve, and the work that moves endpoints from state to state."""

    def __init__(self, service: Service) -> None:
        self.live: dict[str, LiveEndpoint] = {}
        self.capture = CaptureWriter(service.home, lambda bucket, key, body: _upload(service, bucket, key, body))
        self._service = service
        service.spawn(self._close_capture_at_the_end(), "data capture")

    def create(self, name: str) -> None:
        """Start the fleet of a new endpoint, in the background."""
        self._begin(name, self._create(name))

    def update(self, name: str) -> None:
        """Move an endpoint to its pending plan, in the background."""
        self._begin(name, self._update(name))

    def delete(self, name: str) -> None:
        """Stop and remove an endpoint, in the background; it answers no request from now on."""
        green = self.live[name].abandon() if name in self.live else None
        self._begin(name, self._delete(name, self._retire(name), green))

    async def recover(self) -> None:
        """Carry on, in the background, with every endpoint where the last stop or crash left it."""
        self.capture.recover()
        for record in self._service.store.list(KIND):
            name = record["EndpointName"]
            await asyncio.to_thread(_clean_up, self._service, record)
            if record["EndpointStatus"] in SERVING or "ServedBefore" in record:
                self.live[name] = LiveEndpoint()
            self._begin(name, self._carry_on(name, record["EndpointStatus"]))

    def _begin(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        self._service.spawn(self._leave_no_half_state(name, work), f"endpoint {name}")

    async def _leave_no_half_state(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception:
            # A defect of ours: an endpoint whose work has ended must not stay on its way for ever.
            logger.exception("the deployment of endpoint %s failed inside the stand-in", name)
            self._settle(name, serves=name in self.live, reason="The local stand-in failed; its log has the traceback.")

    async def _carry_on(self, name: str, status: str) -> None:
        if status == "Creating":
            await self._create(name)
        elif status == "Deleting":
            await self._delete(name)
        elif name in self.live:
            await self._serve_again(name, status)

    async def _serve_again(self, name: str, status: str) -> None:
        record = self._record(name)
        fleet = self._fleet(name, record["Plan"])
        reason = record.get("FailureReason") if status in SERVING else None
        try:
            await fleet.start()
        except ServerStartError as error:
            await fleet.stop()
            self._retire(name)
            logger.error("endpoint %s cannot serve after the restart: %s", name, error)  # noqa: TRY400 - expected
            # The cause may be this start's (an images file, S3): the next start tries again.
            self._store(name, ServedBefore=True)
            reason = str(error)
        else:
            self.live[name].switch(fleet)
            self._store(name, touch=False, ServedBefore=None)
            if "Mixed" in record:
                await self._mix_again(name, record["Mixed"])
        pending = record.get("Pending")
        if pending and pending.get("Shifted") and pending["Plan"]["identity"] != record["Plan"]["identity"]:
            await self._undo_interrupted(name, pending.get("DeploymentConfig"))
        elif pending:
            await self._update(name)
        else:
            # A restart of the stand-in is nothing that AWS would show as a change of the endpoint.
            as_it_was = status in SERVING and name in self.live
            self._settle(name, serves=name in self.live, reason=reason, touch=not as_it_was)

    async def _mix_again(self, name: str, mixed: dict[str, Any]) -> None:
        green = self._fleet(name, mixed["Plan"])
        try:
            await green.start()
        except ServerStartError as error:
            logger.error("the newer fleet of endpoint %s does not come back: %s", name, error)  # noqa: TRY400 - expected
            await green.stop()
        else:
            self.live[name].introduce(green, guarded=False)
            self.live[name].share = mixed["Share"]

    async def _create(self, name: str) -> None:
        fleet = self._fleet(name, self._record(name)["Plan"])
        try:
            await fleet.start()
        except ServerStartError as error:
            await fleet.stop()
            self._settle(name, serves=False, reason=str(error))
        else:
            self.live.setdefault(name, LiveEndpoint()).switch(fleet)
            self._settle(name, serves=True)

    async def _update(self, name: str) -> None:
        pending = self._record(name)["Pending"]
        plan = FleetPlan.from_json(pending["Plan"])
        await self._end_mix(name)
        serving = self.live[name].fleet if name in self.live else None
        if serving is not None and serving.plan.identity == plan.identity:
            await self._rescale(name, serving, plan)
        else:
            await self._replace(name, plan, pending.get("DeploymentConfig"))

    async def _rescale(self, name: str, fleet: Fleet, plan: FleetPlan) -> None:
        try:
            await fleet.apply(plan)
        except ServerStartError as error:
            self._store(name, EndpointStatus="RollingBack")
            self._settle(name, serves=True, reason=str(error))
        else:
            self._store(name, Plan=plan.as_json())
            self._settle(name, serves=True)

    async def _replace(self, name: str, plan: FleetPlan, deployment: dict[str, Any] | None) -> None:
        """Bring up a second fleet, move the traffic to it and end the first; go back when it does not prove itself."""
        live = self.live.setdefault(name, LiveEndpoint())
        blue, rollout = live.fleet, rollout_of(deployment, plan)
        blue_plan = blue.plan if blue else None
        green = Fleet(self._service, name, plan)
        try:
            await roll_out(self._service, live, green, rollout, lambda stage: self._enter(name, stage))
        except RolloutError as error:
            await self._roll_back(name, lambda: roll_back(live, green, blue_plan, rollout), deployment, str(error))
            return
        except Exception:
            # A fault of ours: the new fleet must not be left running beside the old one.
            await roll_back(live, green, blue_plan, rollout)
            raise
        if blue is not None and self._service.faults.take("silent-rollback", name) is not None:
            await self._roll_back(name, lambda: roll_back(live, green, blue_plan, rollout), deployment, None)
            return
        live.switch(green)
        self._store(name, EndpointConfigName=plan.config, Plan=plan.as_json(), ServedBefore=None)
        self._store(name, LastDeploymentConfig=deployment)
        self._enter(name, "Deleting")
        await self._service.clock.sleep(rollout.termination_seconds)
        if blue is not None:
            await blue.stop()
        self._settle(name, serves=True)

    async def _roll_back(
        self, name: str, back: Callable[[], Awaitable[None]], deployment: dict[str, Any] | None, reason: str | None
    ) -> None:
        logger.warning("endpoint %s: %s", name, reason or "rolled back on demand, without a reason")
        self._store(name, EndpointStatus="RollingBack", LastDeploymentConfig=deployment)
        live = self.live.get(name)
        try:
            await self._go_back(name, live, back)
        except ServerStartError as error:
            reason = f"{reason or ''} The rollback failed: the old fleet could not be brought back: {error}"
            if live and live.fleet and live.green:
                mixed = {"Plan": live.green.plan.as_json(), "Share": live.share}
                self._store(name, Plan=live.fleet.plan.as_json(), Mixed=mixed)
        if live is not None and live.fleet is None:
            self._retire(name)
        self._settle(name, serves=name in self.live, reason=reason)

    async def _go_back(self, name: str, live: LiveEndpoint | None, back: Callable[[], Awaitable[None]]) -> None:
        if live and live.green and self._service.faults.take("rollback-failure", name) is not None:
            raise ServerStartError("a fault on demand")
        await back()

    async def _end_mix(self, name: str) -> None:
        """Let one fleet answer alone again, the one with the larger part, after a rollback that failed."""
        if "Mixed" not in self._record(name):
            return
        live = self.live.get(name)
        green, share = (live.green, live.share) if live else (None, 0.0)
        if live and green:
            leaving = live.abandon()
            if share >= MOST_SHARE:
                leaving = live.switch(green)
                self._store(name, EndpointConfigName=green.plan.config, Plan=green.plan.as_json())
            if leaving:
                await leaving.stop()
        self._store(name, Mixed=None)

    def _enter(self, name: str, stage: str) -> None:
        """Record the stage of a deployment: it is what the next start has to go by."""
        pending = self._record(name)["Pending"]
        shifted = pending.get("Shifted", False) or stage == "ActivatingTraffic"
        entered = {"Stage": stage, "StageStartTime": self._service.clock.timestamp(), "Shifted": shifted}
        self._store(name, Pending=pending | entered)

    async def _undo_interrupted(self, name: str, deployment: dict[str, Any] | None) -> None:
        """End a deployment whose traffic had begun to move: how it would have gone, nobody watched."""

        async def back() -> None:
            """Blue serves already; nothing of green is left."""

        reason = "The deployment was interrupted while traffic was shifting, and was rolled back."
        await self._roll_back(name, back, deployment, reason)

    async def _delete(self, name: str, *fleets: Fleet | None) -> None:
        for fleet in filter(None, fleets):
            await fleet.stop()
        await asyncio.to_thread(shutil.rmtree, endpoint_directory(self._service, name), ignore_errors=True)
        self._service.store.delete(KIND, name)

    def _retire(self, name: str) -> Fleet | None:
        live = self.live.pop(name, None)
        return live.retire() if live else None

    def _settle(self, name: str, *, serves: bool, reason: str | None = None, touch: bool = True) -> None:
        """End a deployment: in service on whatever serves, or failed. A reason survives in any case."""
        status = "InService" if serves else "Failed"
        if serves and "Mixed" in self._record(name):
            status = MIXED
        self._store(
            name, touch=touch, EndpointStatus=status, FailureReason=reason and reason[:MAX_REASON], Pending=None
        )

    def _store(self, name: str, *, touch: bool = True, **members: Any) -> None:
        changed = {"LastModifiedTime": self._service.clock.timestamp()} if touch else {}
        self._service.store.update(KIND, name, **changed, **members)

    def _record(self, name: str) -> dict[str, Any]:
        record = self._service.store.get(KIND, name)
        if record is None:
            raise KeyError(name)
        return record

    def _fleet(self, name: str, plan: dict[str, Any]) -> Fleet:
        return Fleet(self._service, name, FleetPlan.from_json(plan))

    async def _close_capture_at_the_end(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await self.capture.close()


def deployments_of(service: Service) -> Deployments:
    """Return the service's deployments; made on first use."""
    if service.hosting is None:
        service.hosting = Deployments(service)
    return service.hosting


def _upload(service: Service, bucket: str, key: str, body: bytes) -> None:
    service.objects.write(f"s3://{bucket}/{key}", body)


def _clean_up(service: Service, record: dict[str, Any]) -> None:
    """Remove what servers of an earlier stand-in left; the archives of fleets that are still wanted stay."""
    plans = [record.get("Plan"), *(record.get(member, {}).get("Plan") for member in ("Pending", "Mixed"))]
    wanted = {plan["identity"] for plan in plans if plan}
    directory = endpoint_directory(service, record["EndpointName"])
    for identity in directory.glob(f"*/*/*/{IDENTITY}"):
        with suppress(ValueError):  # cut short by a crash
            end_leftover(json.loads(identity.read_text()))
    for fleet in directory.glob("*"):
        for entry in fleet.glob("*") if fleet.name in wanted else (fleet,):
            if entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)
