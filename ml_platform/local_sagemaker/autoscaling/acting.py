"""What policies and schedules do to a registered variant: within its bounds, not while it changes, not too often."""

import logging
import uuid
from typing import Any

from ml_platform.local_sagemaker.autoscaling.steps import adjusted
from ml_platform.local_sagemaker.service import OPERATIONS, AwsError, Service

logger = logging.getLogger(__name__)

TARGET_KIND, POLICY_KIND, ACTIVITY_KIND, ENDPOINT_KIND, SCHEDULED_KIND = (
    "scalable-target",
    "scaling-policy",
    "scaling-activity",
    "endpoint",
    "scheduled-action",
)
COOLDOWN_SECONDS = 300

Target = dict[str, Any]


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


def is_asynchronous(service: Service, resource: str) -> bool:
    """Return whether a variant's requests wait in a queue: it may then have no instance at all."""
    record = service.store.get(ENDPOINT_KIND, variant_of(resource)[0])
    return record is not None and record["Plan"].get("asynchronous") is not None


def can_change(service: Service, resource: str) -> bool:
    """Return whether an endpoint is in a state in which its instances can be changed."""
    record = service.store.get(ENDPOINT_KIND, variant_of(resource)[0])
    return bool(record and record["EndpointStatus"] == "InService")


async def scale(service: Service, target: Target, asked: int, cause: str) -> None:
    """Give a variant as many instances as are asked for, within its bounds."""
    instances = instances_of(service, target["ResourceId"])
    count = min(max(asked, target["MinCapacity"]), target["MaxCapacity"])
    if instances is None or count == instances:
        return
    endpoint, variant = variant_of(target["ResourceId"])
    change = {"VariantName": variant, "DesiredInstanceCount": count}
    request = {"EndpointName": endpoint, "DesiredWeightsAndCapacities": [change]}
    await OPERATIONS["UpdateEndpointWeightsAndCapacities"](service, request)
    now = service.clock.timestamp()
    when = {"ScaledAt": now, "ScaledMark": service.clock.mark(), "ScaledPosition": service.clock.position}
    service.store.update(TARGET_KIND, target["ResourceId"], **when, ScaledFrom=instances)
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


def is_cooling(service: Service, target: Target, seconds: float) -> bool:
    """Return whether a variant was scaled less than so many AWS seconds ago."""
    if "ScaledAt" not in target:
        return False
    return service.clock.seconds_since(target["ScaledAt"], target.get("ScaledMark")) < seconds


def is_held(target: Target, *, out: bool) -> bool:
    """Return whether a variant's owner has suspended scaling in this direction."""
    name = "DynamicScalingOutSuspended" if out else "DynamicScalingInSuspended"
    return bool(target.get("SuspendedState", {}).get(name, False))


def step(service: Service, arn: str, alarm: dict[str, Any], value: float | None) -> None:
    """Carry out a step scaling policy that an alarm calls, in the background."""
    policy = next((each for each in service.store.list(POLICY_KIND) if each["PolicyARN"] == arn), None)
    config = (policy or {}).get("StepScalingPolicyConfiguration")
    target = service.store.get(TARGET_KIND, policy["ResourceId"]) if policy else None
    if policy is None or config is None or target is None:
        logger.warning("alarm %s calls %s, which is no step scaling policy here", alarm["AlarmName"], arn)
        return
    instances = instances_of(service, target["ResourceId"])
    if instances is None or not can_change(service, target["ResourceId"]):
        return
    # A state that was set by hand has no value: it counts as one at the threshold.
    breach = 0.0 if value is None else value - alarm.get("Threshold", value)
    asked = adjusted(config, instances, breach)
    out = asked > instances
    if is_cooling(service, target, config.get("Cooldown", COOLDOWN_SECONDS)):
        # What the last scaling out added counts as part of what a larger breach asks for.
        asked = max(instances, adjusted(config, target.get("ScaledFrom", instances), breach)) if out else instances
    if asked != instances and not is_held(target, out=out):
        called = f"monitor alarm {alarm['AlarmName']} in state {alarm['StateValue']}"
        cause = f"{called} triggered policy {policy['PolicyName']}"
        service.spawn(_scale_or_wait(service, target, asked, cause), f"scaling of {target['ResourceId']}")


async def _scale_or_wait(service: Service, target: Target, asked: int, cause: str) -> None:
    try:
        await scale(service, target, asked, cause)
    except AwsError as error:
        # The alarm calls again as long as it is in its state.
        logger.warning("%s cannot be scaled now: %s", target["ResourceId"], error)
