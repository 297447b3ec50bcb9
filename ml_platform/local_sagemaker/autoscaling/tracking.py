"""Target tracking: how many instances the last minutes' invocations ask for, and the loop that provides them.

After what AWS says of its policies: out when three minutes in a row are above the target, in when fifteen are below
nine tenths of it; without data nothing changes. Minutes and cool-downs follow the service's clock, as alarms do.
"""

import asyncio
import logging
import math
import time
import uuid
from collections.abc import Sequence
from typing import Any

from ml_platform.local_sagemaker.cloudwatch.metric_store import Metric
from ml_platform.local_sagemaker.cloudwatch.monitoring import monitoring_of
from ml_platform.local_sagemaker.cloudwatch.queries import statistics
from ml_platform.local_sagemaker.endpoint_metrics import NAMESPACE
from ml_platform.local_sagemaker.service import OPERATIONS, AwsError, Service

logger = logging.getLogger(__name__)

TARGET_KIND, POLICY_KIND, ACTIVITY_KIND, ENDPOINT_KIND = (
    "scalable-target",
    "scaling-policy",
    "scaling-activity",
    "endpoint",
)
PERIOD_SECONDS, LEAST_PAUSE = 60, 0.2
OUT_PERIODS, IN_PERIODS, IN_MARGIN = 3, 15, 0.9
COOLDOWN_SECONDS = 300

Target = dict[str, Any]


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


def variant_of(resource: str) -> tuple[str, str]:
    """Return endpoint and variant of a ``ResourceId`` (endpoint/NAME/variant/NAME)."""
    _, endpoint, _, variant = resource.split("/")
    return endpoint, variant


def instances_of(service: Service, resource: str) -> int | None:
    """Return how many instances a variant is to have, or None when it does not exist."""
    endpoint, variant = variant_of(resource)
    record = service.store.get(ENDPOINT_KIND, endpoint)
    plans = record["Plan"]["variants"] if record else []
    return next((int(plan["instances"]) for plan in plans if plan["name"] == variant), None)


async def track(service: Service) -> None:
    """Scale every registered variant, for as long as the service runs."""
    while True:
        await asyncio.sleep(max(service.clock.real_seconds(PERIOD_SECONDS) / 2, LEAST_PAUSE))
        for target in service.store.list(TARGET_KIND):
            try:
                await _scale(service, target)
            except AwsError as error:
                logger.warning("%s cannot be scaled now: %s", target["ResourceId"], error)
            except Exception:
                # One target must not end the watch over all the others.
                logger.exception("scaling %s failed inside the stand-in", target["ResourceId"])


async def _scale(service: Service, target: Target) -> None:
    endpoint, variant = variant_of(target["ResourceId"])
    record, instances = service.store.get(ENDPOINT_KIND, endpoint), instances_of(service, target["ResourceId"])
    if record is None or instances is None or record["EndpointStatus"] != "InService":
        return
    asked, cause = _asked(service, target, instances)
    count = min(max(asked, target["MinCapacity"]), target["MaxCapacity"])
    if count == instances:
        return
    change = {"VariantName": variant, "DesiredInstanceCount": count}
    request = {"EndpointName": endpoint, "DesiredWeightsAndCapacities": [change]}
    await OPERATIONS["UpdateEndpointWeightsAndCapacities"](service, request)
    now = service.clock.timestamp()
    service.store.update(TARGET_KIND, target["ResourceId"], ScaledAt=now)
    logger.info("%s is scaled from %d to %d instances", target["ResourceId"], instances, count)
    activity = {
        "ActivityId": str(uuid.uuid4()),
        "ServiceNamespace": "sagemaker",
        "ResourceId": target["ResourceId"],
        "ScalableDimension": target["ScalableDimension"],
        "Description": f"Setting desired instance count to {count}.",
        "Cause": cause,
        "StartTime": now,
        "EndTime": now,
        "StatusCode": "Successful",
    }
    service.store.insert(ACTIVITY_KIND, activity["ActivityId"], activity)


def _asked(service: Service, target: Target, instances: int) -> tuple[int, str]:
    """Return the largest number of instances that a policy asks for; without a policy, what there is."""
    found: list[tuple[int, str]] = []
    suspended = target.get("SuspendedState", {})
    for policy in service.store.list(POLICY_KIND, ResourceId=target["ResourceId"]):
        tracking = policy["TargetTrackingScalingPolicyConfiguration"]
        scale_in = not tracking.get("DisableScaleIn", False)
        count = wanted(_per_instance(service, target), instances, tracking["TargetValue"], scale_in=scale_in)
        out = count > instances
        cooldown = tracking.get("ScaleOutCooldown" if out else "ScaleInCooldown", COOLDOWN_SECONDS)
        cool = time.time() - target.get("ScaledAt", 0.0) < service.clock.real_seconds(cooldown)
        held = suspended.get("DynamicScalingOutSuspended" if out else "DynamicScalingInSuspended", False)
        found.append((instances if cool or held else count, f"policy {policy['PolicyName']}"))
    return max(found, default=(instances, "capacity outside of the registered minimum and maximum"))


def _per_instance(service: Service, target: Target) -> list[float | None]:
    endpoint, variant = variant_of(target["ResourceId"])
    monitoring = monitoring_of(service)
    period = monitoring.milliseconds(PERIOD_SECONDS)
    end = int(time.time() * 1000) // period * period
    # What was counted before the last change was counted on another number of instances.
    start = max(end - IN_PERIODS * period, int(target.get("ScaledAt", 0.0) * 1000) // period * period + period)
    dimensions = [{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": variant}]
    metric = Metric.of(NAMESPACE, "InvocationsPerInstance", dimensions)
    monitoring.flush()
    sums = statistics(monitoring.store, metric, start, end, period)
    return [sums[at].value("Sum") if at in sums else None for at in range(start, end, period)]
