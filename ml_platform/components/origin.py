"""Who made a candidate: the person, or the schedule or sensor, behind the run that trained it."""

from collections.abc import Mapping
from datetime import datetime

import dagster as dg

from ml_platform.components.settings import ModelSettings
from ml_platform.core.fingerprint import fingerprint_json
from ml_platform.core.settings import Settings
from ml_platform.resources.governance import acting_person
from ml_platform.resources.package_dossier import Declared, Origin

USER_TAG = "ml_platform/user"
"""Tag of a run that names who launched it; set it where people share a Dagster."""
_LAUNCHERS = {
    "dagster/schedule_name": "schedule",
    "dagster/sensor_name": "sensor",
    "dagster/from_automation_condition": "automation",
}


def origin_of_candidate(context: dg.AssetExecutionContext, model: str, settings: Settings, at: datetime) -> Origin:
    """Return who trained the model's candidate, as the run that materialized it tells."""
    event = context.instance.get_latest_materialization_event(dg.AssetKey([model, "model_candidate"]))
    run = context.instance.get_run_by_id(event.run_id) if event else None
    tags = run.tags if run else context.run.tags
    return Origin(trained_by=_launcher(tags) or acting_person(settings), run_id=context.run.run_id, at=at)


def _launcher(tags: Mapping[str, str]) -> str | None:
    if USER_TAG in tags:
        return tags[USER_TAG]
    return next((f"{kind} {tags[tag]}" for tag, kind in _LAUNCHERS.items() if tag in tags), None)


def declared_by(model: ModelSettings) -> Declared:
    """Return what a model's owner declared, for a reviewer."""
    return Declared(
        purpose=model.purpose,
        owner=model.owner,
        parameters={**model.training.model_parameters, "seed": model.training.seed},
        gate=model.gate.model_dump(mode="json"),
        policies={name: fingerprint_json(policy) for name, policy in declared_policies(model).items()},
    )


def declared_policies(model: ModelSettings) -> dict[str, object]:
    """Return the policies that judge a model's candidates."""
    return {
        "gate policy": model.gate.model_dump(mode="json"),
        "decision policy": model.money.model_dump(mode="json"),
        "metrics and slices": [model.metrics, [cut.model_dump(mode="json") for cut in model.slices]],
    }
