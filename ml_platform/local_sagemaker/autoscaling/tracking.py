"""Target tracking and schedules: how many instances the last minutes ask for, and the loop that provides them.

After what AWS says of its policies: out when three minutes in a row are above the target, in when fifteen are below
nine tenths of it; without data nothing changes. Minutes and cool-downs follow the service's clock, as alarms do.
"""

import asyncio
import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from ml_platform.local_sagemaker.autoscaling.acting import (
    COOLDOWN_SECONDS,
    POLICY_KIND,
    SCHEDULED_KIND,
    TARGET_KIND,
    Target,
    can_change,
    instances_of,
    is_cooling,
    is_held,
    scale,
    variant_of,
)
from ml_platform.local_sagemaker.autoscaling.schedules import Schedule
from ml_platform.local_sagemaker.cloudwatch.metric_store import Metric
from ml_platform.local_sagemaker.cloudwatch.monitoring import monitoring_of
from ml_platform.local_sagemaker.cloudwatch.queries import statistics
from ml_platform.local_sagemaker.endpoint_metrics import NAMESPACE
from ml_platform.local_sagemaker.service import AwsError, Service

logger = logging.getLogger(__name__)

PERIOD_SECONDS, LEAST_PAUSE = 60, 0.2
OUT_PERIODS, IN_PERIODS, IN_MARGIN = 3, 15, 0.9


def wanted(per_instance: Sequence[float | None], instances: int, target: float, *, scale_in: bool = True) -> int:
    """Return how many instances a policy asks for.

    Args:
        per_instance: Invocations per instance of the last minutes, oldest first; None where there is no data.
        instances: How many there are.
        target: Invocations per instance that the policy wants.
        scale_in: Whether the policy may ask for fewer.
    """
    newest = [value for value in per_instance[-OUT_PERIODS:] if value is not None]
    if len(newest) == OUT_PERIODS and min(newest) > target:
        return math.ceil(instances * newest[-1] / target)
    longest = [value for value in per_instance[-IN_PERIODS:] if value is not None]
    if scale_in and len(longest) == IN_PERIODS and max(longest) < IN_MARGIN * target:
        return min(instances, math.ceil(instances * max(longest) / target))
    return instances


async def track(service: Service) -> None:
    """Scale every registered variant, for as long as the service runs."""
    service.clock.followers.append(partial(_look, service))
    while True:
        await asyncio.sleep(max(service.clock.real_seconds(PERIOD_SECONDS) / 2, LEAST_PAUSE))
        await _look(service)


async def _look(service: Service) -> None:
    for action in service.store.list(SCHEDULED_KIND):
        with _watched(action["ResourceId"]):
            _take_schedule(service, action)
    for target in service.store.list(TARGET_KIND):
        with _watched(target["ResourceId"]):
            await _scale(service, target)


@contextmanager
def _watched(resource: str) -> Iterator[None]:
    """Let nothing that goes wrong with one variant end the watch over all the others."""
    try:
        yield
    except AwsError as error:
        logger.warning("%s cannot be scaled now: %s", resource, error)
    except Exception:
        # Whatever it is, it is a defect of the stand-in: it is told in the log, and the others go on being scaled.
        logger.exception("scaling %s failed inside the stand-in", resource)


def _take_schedule(service: Service, action: dict[str, Any]) -> None:
    """Give a variant the bounds of a scheduled action whose time has come."""
    now, resource = service.clock.timestamp(), action["ResourceId"]
    target = service.store.get(TARGET_KIND, resource)
    held = (target or {}).get("SuspendedState", {}).get("ScheduledScalingSuspended", False)
    inside = action.get("StartTime", now) <= now <= action.get("EndTime", now)
    last = action.get("TakenAt", action["CreationTime"])
    gone = service.clock.seconds_since(last, action.get("TakenMark"))
    due = Schedule(action["Schedule"], action.get("Timezone")).due(last, now, gone)
    if target is None or held or not inside or not due:
        return
    taken = {"TakenAt": now, "TakenMark": service.clock.mark()}
    service.store.update(SCHEDULED_KIND, f"{resource}/{action['ScheduledActionName']}", **taken)
    bounds = action["ScalableTargetAction"]
    low, high = bounds.get("MinCapacity", target["MinCapacity"]), bounds.get("MaxCapacity", target["MaxCapacity"])
    service.store.update(TARGET_KIND, resource, MinCapacity=min(low, high), MaxCapacity=max(low, high))
    logger.info("scheduled action %s bounds %s to %d..%d", action["ScheduledActionName"], resource, low, high)


async def _scale(service: Service, target: Target) -> None:
    instances = instances_of(service, target["ResourceId"])
    if instances is not None and can_change(service, target["ResourceId"]):
        asked, cause = _asked(service, target, instances)
        await scale(service, target, asked, cause)


def _asked(service: Service, target: Target, instances: int) -> tuple[int, str]:
    """Return the largest number of instances that a policy asks for; without a policy, what there is."""
    found: list[tuple[int, str]] = []
    for policy in service.store.list(POLICY_KIND, ResourceId=target["ResourceId"]):
        tracking = policy.get("TargetTrackingScalingPolicyConfiguration")
        if tracking is None:
            continue
        scale_in = not tracking.get("DisableScaleIn", False)
        series = _last_minutes(service, target, tracking)
        count = wanted(series, instances, tracking["TargetValue"], scale_in=scale_in)
        out = count > instances
        cooldown = tracking.get("ScaleOutCooldown" if out else "ScaleInCooldown", COOLDOWN_SECONDS)
        stays = is_cooling(service, target, cooldown) or is_held(target, out=out)
        found.append((instances if stays else count, f"policy {policy['PolicyName']}"))
    return max(found, default=(instances, "capacity outside of the registered minimum and maximum"))


def _last_minutes(service: Service, target: Target, tracking: dict[str, Any]) -> list[float | None]:
    monitoring = monitoring_of(service)
    period = monitoring.milliseconds(PERIOD_SECONDS)
    position = service.clock.position
    end = int(position * 1000) // period * period
    # What was counted before the last change was counted on another number of instances.
    scaled = min(target.get("ScaledPosition", 0.0), position)
    start = max(end - IN_PERIODS * period, int(scaled * 1000) // period * period + period)
    metric, statistic = _tracked(target, tracking)
    monitoring.flush()
    sums = statistics(monitoring.store, metric, start, end, period, by="position")
    return [sums[at].value(statistic) if at in sums else None for at in range(start, end, period)]


def _tracked(target: Target, tracking: dict[str, Any]) -> tuple[Metric, str]:
    custom = tracking.get("CustomizedMetricSpecification")
    if custom is not None:
        metric = Metric.of(custom["Namespace"], custom["MetricName"], custom.get("Dimensions", ()))
        return metric, custom["Statistic"]
    endpoint, variant = variant_of(target["ResourceId"])
    dimensions = [{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": variant}]
    return Metric.of(NAMESPACE, "InvocationsPerInstance", dimensions), "Sum"
