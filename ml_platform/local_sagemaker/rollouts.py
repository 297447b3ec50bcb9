"""One deployment under way: green comes up, traffic moves to it in steps, alarms are watched, blue takes back.

What is recorded of it, and what happens to the endpoint after it, is ``deployments``' business.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from ml_platform.local_sagemaker.cloudwatch.monitoring import monitoring_of
from ml_platform.local_sagemaker.deployment_configs import Rollout
from ml_platform.local_sagemaker.fleet_plans import FleetPlan
from ml_platform.local_sagemaker.fleets import Fleet
from ml_platform.local_sagemaker.live_endpoint import LiveEndpoint
from ml_platform.local_sagemaker.model_servers import LEAST_STARTUP_SECONDS, ServerStartError
from ml_platform.local_sagemaker.service import Service

WATCH_SECONDS = 0.05
# A scaled clock shortens what AWS imposes, not how long real processes take to start.
LEAST_TIMEOUT_SECONDS = 2 * LEAST_STARTUP_SECONDS

Report = Callable[[str], None]
"""Told which stage the green variants are in, by SageMaker's name for it."""


class RolloutError(Exception):
    """The deployment must be rolled back; the message is its reason."""


async def roll_out(service: Service, live: LiveEndpoint, green: Fleet, rollout: Rollout, report: Report) -> None:
    """Give all traffic of an endpoint to a new fleet, step by step. Blue keeps running, but in a rolling deployment.

    Raises:
        RolloutError: When a server cannot start, an alarm goes off while baking, or it takes too long.
    """
    stages = ["Creating"]

    def enter(stage: str) -> None:
        stages.append(stage)
        report(stage)

    work = asyncio.ensure_future(_carry_out(service, live, green, rollout, enter))
    overrun = asyncio.ensure_future(_overrun(service, rollout, lambda: stages[-1]))
    try:
        await asyncio.wait({work, overrun}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            raise RolloutError(
                f"The deployment did not complete within MaximumExecutionTimeoutInSeconds ({rollout.timeout_seconds})."
            )
        work.result()
    except ServerStartError as error:
        raise RolloutError(str(error)) from error
    finally:
        overrun.cancel()
        work.cancel()
        await asyncio.wait({work, overrun})


async def _carry_out(service: Service, live: LiveEndpoint, green: Fleet, rollout: Rollout, report: Report) -> None:
    if rollout.batch and live.fleet is not None:
        await _replace_in_batches(service, live, green, rollout, report)
    else:
        await _shift(service, live, green, rollout, report)


async def _overrun(service: Service, rollout: Rollout, stage: Callable[[], str]) -> None:
    """Return when a deployment has taken too long, on the clock; servers that start get real time."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    await service.clock.sleep(rollout.timeout_seconds)
    while loop.time() - began < LEAST_TIMEOUT_SECONDS and (stage() == "Creating" or not service.clock.scale):
        await asyncio.sleep(WATCH_SECONDS)


async def roll_back(live: LiveEndpoint, green: Fleet, blue: FleetPlan | None, rollout: Rollout) -> None:
    """Give all traffic back to the old fleet, in its old size, and end the new one.

    Raises:
        ServerStartError: When the old fleet does not reach its size; the new one then keeps its share of the traffic.
    """
    if rollout.batch and live.fleet is not None and blue is not None:
        await _restore_in_batches(live.fleet, live, blue, rollout)
    live.abandon()
    await green.stop()


async def _shift(service: Service, live: LiveEndpoint, green: Fleet, rollout: Rollout, report: Report) -> None:
    report("Creating")
    await green.start()
    live.introduce(green, guarded=rollout.guarded)
    for share in rollout.shares:
        report("ActivatingTraffic")
        live.share = share
        await _bake(service, rollout, report)


async def _replace_in_batches(
    service: Service, live: LiveEndpoint, green: Fleet, rollout: Rollout, report: Report
) -> None:
    assert live.fleet is not None  # noqa: S101 - asked by roll_out
    blue, plan = live.fleet, green.plan
    (variant,) = plan.variants
    old = blue.plan.variants[0].instances
    for done in [*range(rollout.batch, variant.instances, rollout.batch), variant.instances]:
        report("Creating")
        await green.apply(plan.with_variant(variant.name, instances=done))
        live.introduce(green, guarded=True)
        report("ActivatingTraffic")
        live.share = done / variant.instances
        await _bake(service, rollout, report)
        left = old * (variant.instances - done) // variant.instances
        await blue.apply(blue.plan.with_variant(blue.plan.variants[0].name, instances=left))


async def _restore_in_batches(fleet: Fleet, live: LiveEndpoint, plan: FleetPlan, rollout: Rollout) -> None:
    variant, wanted = fleet.plan.variants[0], plan.variants[0].instances
    present, moved = variant.instances, live.share
    # Traffic first: what made the deployment fail must not be asked longer than it takes to start servers.
    live.share = live.share if present == 0 else 0.0
    while present < wanted:
        present = min(present + rollout.rollback_batch, wanted)
        try:
            await fleet.apply(fleet.plan.with_variant(variant.name, instances=present))
        except ServerStartError:
            live.share = moved
            raise
        live.share = 0.0


async def _bake(service: Service, rollout: Rollout, report: Report) -> None:
    report("Baking")
    clock, monitoring = service.clock, monitoring_of(service)
    until = clock.elapsed_seconds + rollout.bake_seconds
    # One that is over between two looks counts too.
    before = {name: monitoring.times_in_alarm(name) for name in rollout.alarms}
    while True:
        tripped = [
            name
            for name, times in before.items()
            if monitoring.state(name) == "ALARM" or monitoring.times_in_alarm(name) > times
        ]
        if tripped:
            raise RolloutError(
                "The deployment was rolled back: one or more of its alarms went into ALARM state while it was baking: "
                f"{', '.join(tripped)}."
            )
        left = until - clock.elapsed_seconds
        if left <= 0 or not clock.scale:
            return
        # In real time, for a state may be set by hand while the clock stands.
        with suppress(TimeoutError):
            async with asyncio.timeout(WATCH_SECONDS):
                await clock.sleep(left)
