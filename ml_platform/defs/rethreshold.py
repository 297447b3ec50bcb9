"""What follows from an operating decision to re-threshold: the decision policy is fitted again, on matured labels."""

from collections.abc import Iterator

import dagster as dg

from ml_platform.defs.model_graph import models_in
from ml_platform.defs.schedules import REASON_TAG


@dg.sensor(
    target=dg.AssetSelection.groups("deployment"),
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=30,
)
def operating_decision_rethresholds(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Fit the decision policy again once for each operating decision that says so. No model changes by it."""
    asked = False
    for model in models_in(context.repository_def):
        event = context.instance.get_latest_materialization_event(dg.AssetKey([model, "operating_decision"]))
        if event is None or event.asset_materialization is None:
            continue
        if event.asset_materialization.metadata["action"].value == "rethreshold":
            asked = True
            yield dg.RunRequest(
                run_key=f"{model}:{event.run_id}",
                asset_selection=[dg.AssetKey([model, "decision_policy"])],
                tags={REASON_TAG: f"operating decision of run {event.run_id[:8]}: re-threshold", "model": model},
            )
    if not asked:
        yield dg.SkipReason("No model's newest operating decision is to re-threshold.")
