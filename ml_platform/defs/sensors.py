"""What runs on events: a decision to retrain, an approved package, and upstream changes.

News from the source are ``source_sensors``.
"""

from collections.abc import Iterator

import dagster as dg

from ml_platform.core import names
from ml_platform.defs.decisions import runs_after
from ml_platform.defs.model_graph import TRAINING_STAGE, models_in
from ml_platform.defs.schedules import REASON_TAG
from ml_platform.resources.sagemaker import SageMaker

RUNNING = dg.DefaultSensorStatus.RUNNING

automation = dg.AutomationConditionSensorDefinition(
    "automation", target=dg.AssetSelection.all(), default_status=RUNNING, minimum_interval_seconds=30
)
"""Evaluates the labelled conditions of ``components.automation``."""


@dg.sensor(
    target=dg.AssetSelection.groups("training", "evaluation", "registry"),
    default_status=RUNNING,
    minimum_interval_seconds=30,
)
def operating_decision_retrains(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Launch retraining once for each operating decision that says so; the gate judges what comes of it."""
    yield from runs_after(context, "retrain", "retrain", TRAINING_STAGE)


@dg.sensor(target=dg.AssetSelection.groups("deployment"), default_status=RUNNING, minimum_interval_seconds=30)
def approved_package_goes_live(
    context: dg.SensorEvaluationContext, sagemaker: SageMaker
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Deploy the newest approved package of each model whose endpoint serves something else."""
    asked = False
    for model in models_in(context.repository_def):
        approved = sagemaker.latest_approved(model)
        # What was deleted from the registry must not keep the version after it from going live.
        live = sagemaker.live_arn(model)
        if approved is not None and live != approved.arn:
            asked = True
            yield dg.RunRequest(
                # Once for each step: a deployment that SageMaker rolls back is not tried again and again, and a
                # version that was live before may come back when the one after it is rejected.
                run_key=f"{live or 'nothing'} -> {approved.arn}",
                asset_selection=[dg.AssetKey([model, "live_endpoint"])],
                tags={REASON_TAG: f"version {approved.version} of {names.endpoint(model)} is approved", "model": model},
            )
    if not asked:
        yield dg.SkipReason("Every model's endpoint serves its newest approved package, or none is approved.")
