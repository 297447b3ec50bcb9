"""What follows from an operating decision to re-threshold: the decision policy is fitted again, on matured labels."""

from collections.abc import Iterator

import dagster as dg

from ml_platform.defs.decisions import runs_after


@dg.sensor(
    target=dg.AssetSelection.groups("deployment"),
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=30,
)
def operating_decision_rethresholds(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Fit the decision policy again once for each operating decision that says so. No model changes by it."""
    yield from runs_after(context, "rethreshold", "re-threshold", ("decision_policy",))
