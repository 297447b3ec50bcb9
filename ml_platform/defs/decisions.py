"""What sensors read of operating decisions: who decided for what, and the run that follows once for each decision."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from ml_platform.defs.model_graph import models_in, stage_of
from ml_platform.defs.schedules import REASON_TAG
from ml_platform.monitoring.decision import Action


def decided(context: dg.SensorEvaluationContext, action: Action) -> Iterator[tuple[str, str]]:
    """Yield each model whose newest operating decision is this one, with the id of the run that took it."""
    for model in models_in(context.repository_def):
        event = context.instance.get_latest_materialization_event(dg.AssetKey([model, "operating_decision"]))
        if event is None or event.asset_materialization is None:
            continue
        if event.asset_materialization.metadata["action"].value == action:
            yield model, event.run_id


def run_after(
    model: str, run_id: str, what: str, assets: tuple[str, ...], config: dict[str, Any] | None = None
) -> dg.RunRequest:
    """Return the run of a model's assets that follows from a decision, once for each; ``what`` is told with it."""
    return dg.RunRequest(
        run_key=f"{model}:{run_id}",
        asset_selection=stage_of(model, assets),
        run_config=config,
        tags={REASON_TAG: f"operating decision of run {run_id[:8]}: {what}", "model": model},
    )


def runs_after(
    context: dg.SensorEvaluationContext, action: Action, what: str, assets: tuple[str, ...]
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Yield the runs of these assets that all decisions for an action ask for, or why there is none."""
    asked = False
    for model, run_id in decided(context, action):
        asked = True
        yield run_after(model, run_id, what, assets)
    if not asked:
        yield dg.SkipReason(f"No model's newest operating decision is to {what}.")
