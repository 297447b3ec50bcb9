"""What a ``DeploymentConfig`` asks for: how much traffic moves when, what is watched meanwhile, what may not be asked.

Pure but for the question whether an alarm exists. Carrying a rollout out is ``rollouts``' business.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ml_platform.local_sagemaker.fleet_plans import FleetPlan
from ml_platform.local_sagemaker.service import validation

LARGEST_PERCENT = 50
SMALLEST_LINEAR_PERCENT = 10
SMALLEST_ROLLING_PERCENT = 5
# AWS's, for deployments that do not say.
DEFAULT_TIMEOUT_SECONDS = 14_400

Config = dict[str, Any]


@dataclass(frozen=True)
class Rollout:
    """A deployment's steps.

    Attributes:
        shares: Part of the traffic, in (0, 1], that the green fleet has after each step of a blue/green deployment.
        batch: Instances replaced at a time in a rolling deployment; 0 when it is none.
        rollback_batch: The same on the way back.
        guarded: Whether a deployment config was given; metrics are then kept for each endpoint config too.
    """

    shares: tuple[float, ...] = (1.0,)
    bake_seconds: int = 0
    termination_seconds: int = 0
    timeout_seconds: int = DEFAULT_TIMEOUT_SECONDS
    alarms: tuple[str, ...] = ()
    batch: int = 0
    rollback_batch: int = 0
    guarded: bool = False


def rollout_of(config: Config | None, green: FleetPlan) -> Rollout:
    """Return the steps of a deployment to a plan.

    Raises:
        AwsError: When the config contradicts itself or the size of the fleet.
    """
    if not config:
        return Rollout()
    alarms = tuple(each["AlarmName"] for each in config.get("AutoRollbackConfiguration", {}).get("Alarms", []))
    if "RollingUpdatePolicy" in config:
        if "BlueGreenUpdatePolicy" in config:
            raise validation("A deployment must have either BlueGreenUpdatePolicy or RollingUpdatePolicy, not both.")
        return _rolling(config["RollingUpdatePolicy"], green, alarms)
    return _blue_green(config.get("BlueGreenUpdatePolicy", {}), green, alarms)


def require_deployable(
    config: Config | None, blue: FleetPlan | None, green: FleetPlan, alarm_exists: Callable[[str], bool]
) -> None:
    """Refuse a deployment that cannot be carried out as it is asked for."""
    rollout = rollout_of(config, green)
    missing = [name for name in rollout.alarms if not alarm_exists(name)]
    if missing:
        raise validation(
            f"Could not find CloudWatch alarm(s) {', '.join(missing)}. Alarms of AutoRollbackConfiguration must exist; "
            "the local stand-in looks for them in its own CloudWatch."
        )
    if blue is not None and (rollout.batch or len(rollout.shares) > 1) and _names(blue) != _names(green):
        raise validation(
            "Traffic can only be shifted between variants of the same name: the endpoint has "
            f"{', '.join(_names(blue))}, the new endpoint config {', '.join(_names(green))}."
        )


def _blue_green(policy: Config, green: FleetPlan, alarms: tuple[str, ...]) -> Rollout:
    routing = policy.get("TrafficRoutingConfiguration", {})
    bake, termination = routing.get("WaitIntervalInSeconds", 0), policy.get("TerminationWaitInSeconds", 0)
    return Rollout(
        shares=_shares(routing, _instances(green)),
        bake_seconds=bake,
        termination_seconds=termination,
        timeout_seconds=_timeout(policy, bake + termination),
        alarms=alarms,
        guarded=True,
    )


def _shares(routing: Config, instances: int) -> tuple[float, ...]:
    kind = routing.get("Type", "ALL_AT_ONCE")
    for member, owner in (("CanarySize", "CANARY"), ("LinearStepSize", "LINEAR")):
        if (member in routing) != (kind == owner):
            wanted = "requires" if kind == owner else "does not take"
            raise validation(f"Traffic routing of type {kind} {wanted} {member}.")
    if kind == "CANARY":
        return _share(routing["CanarySize"], instances, "CanarySize", 0), 1.0
    if kind == "LINEAR":
        step = _share(routing["LinearStepSize"], instances, "LinearStepSize", SMALLEST_LINEAR_PERCENT)
        # Shares such as 0.1 do not add up to 1 exactly; the last step takes what is left.
        return (*(step * number for number in range(1, math.ceil(1 / step - 1e-9))), 1.0)
    return (1.0,)


def _rolling(policy: Config, green: FleetPlan, alarms: tuple[str, ...]) -> Rollout:
    if len(green.variants) > 1:
        raise validation("Rolling deployments are not available for endpoints with more than one or shadow variants.")
    instances, bake = _instances(green), policy["WaitIntervalInSeconds"]
    share = _share(policy["MaximumBatchSize"], instances, "MaximumBatchSize", SMALLEST_ROLLING_PERCENT)
    back = policy.get("RollbackMaximumBatchSize")
    return Rollout(
        bake_seconds=bake,
        timeout_seconds=_timeout(policy, bake),
        alarms=alarms,
        batch=max(1, int(share * instances + 1e-9)),
        rollback_batch=max(1, int(_share(back, instances, "RollbackMaximumBatchSize", 0, 100) * instances + 1e-9))
        if back
        else instances,
        guarded=True,
    )


def _share(size: Config, instances: int, member: str, least: int, most: int = LARGEST_PERCENT) -> float:
    """Return a capacity size as a part of the fleet."""
    value = size["Value"]
    percent = float(value) if size["Type"] == "CAPACITY_PERCENT" else 100 * value / instances
    if not least <= percent <= most:
        at_least = f"at least {least} % and " if least else ""
        raise validation(
            f"{member} must be {at_least}at most {most} % of the variant's total instance count; {value} "
            f"{'percent' if size['Type'] == 'CAPACITY_PERCENT' else f'of {instances} instance(s)'} was requested."
        )
    return percent / 100


def _timeout(policy: Config, waits: int) -> int:
    timeout: int = policy.get("MaximumExecutionTimeoutInSeconds", DEFAULT_TIMEOUT_SECONDS)
    if timeout <= waits:
        raise validation(
            f"MaximumExecutionTimeoutInSeconds ({timeout}) must be larger than the total waiting time ({waits})."
        )
    return timeout


def _instances(plan: FleetPlan) -> int:
    return max(1, min(variant.instances for variant in plan.production))


def _names(plan: FleetPlan) -> Iterable[str]:
    return sorted(variant.name for variant in plan.production)
