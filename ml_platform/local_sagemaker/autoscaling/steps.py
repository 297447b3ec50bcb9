"""Step scaling: from how far an alarm's metric is beyond its threshold to a number of instances. Pure.

After "Step scaling policies" in the Application Auto Scaling user guide.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

KINDS = ("ChangeInCapacity", "ExactCapacity", "PercentChangeInCapacity")
Step = Mapping[str, Any]


class StepError(Exception):
    """The policy's steps make no sense; the message says why."""


def require_steps(config: Mapping[str, Any]) -> None:
    """Refuse a policy that could not be carried out.

    Raises:
        StepError: When its steps overlap, leave a gap or are missing.
    """
    steps = config.get("StepAdjustments", [])
    if config.get("AdjustmentType") not in KINDS or not steps:
        raise StepError("AdjustmentType and StepAdjustments are required.")
    if "MinAdjustmentMagnitude" in config and config["AdjustmentType"] != "PercentChangeInCapacity":
        raise StepError("MinAdjustmentMagnitude is valid only for PercentChangeInCapacity.")
    ordered = sorted((_bounds(step) for step in steps), key=lambda bounds: bounds[0])
    for (low, high), following in zip(ordered, [*ordered[1:], (math.inf, math.inf)], strict=True):
        if low >= high:
            raise StepError("The lower bound of a step adjustment must be below its upper bound.")
        if following[0] < high and following[0] != math.inf:
            raise StepError("Step adjustment intervals can't overlap.")
        if high < following[0] != math.inf:
            raise StepError("Step adjustment intervals can't have a gap between them.")


def adjusted(config: Mapping[str, Any], instances: int, breach: float) -> int:
    """Return how many instances a policy asks for.

    Args:
        config: ``StepScalingPolicyConfiguration``.
        instances: How many there are.
        breach: Value of the alarm's metric minus its threshold.
    """
    step = _step(config["StepAdjustments"], breach)
    if step is None:
        return instances
    by = int(step["ScalingAdjustment"])
    if config["AdjustmentType"] == "ExactCapacity":
        return by
    if config["AdjustmentType"] == "ChangeInCapacity":
        return instances + by
    change = instances * by / 100
    # AWS rounds towards zero, but for changes of less than one instance.
    whole = math.copysign(1, change) if 0 < abs(change) < 1 else math.trunc(change)
    least = config.get("MinAdjustmentMagnitude", 0)
    return instances + int(math.copysign(max(abs(whole), least), by) if by else 0)


def _step(steps: Sequence[Step], breach: float) -> Step | None:
    for step in steps:
        low, high = _bounds(step)
        # Above the threshold the lower bound belongs to a step, below it the upper one.
        inside = low <= breach < high if breach >= 0 else low < breach <= high
        # A value at the threshold of a "less than or equal" alarm belongs to the step that ends there.
        if inside or (breach == 0 and high == 0):
            return step
    return None


def _bounds(step: Step) -> tuple[float, float]:
    return step.get("MetricIntervalLowerBound", -math.inf), step.get("MetricIntervalUpperBound", math.inf)
