"""A candidate as an MLflow run: written once, found again by its fingerprint, linked to what came of it later."""

import math
import os
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

FINGERPRINT = "ml_platform.candidate"
MAX_PARAMETER = 6000
"""Characters of a parameter that every MLflow store takes."""


class CandidateRun(BaseModel):
    """What MLflow shall know of a candidate."""

    model_config = ConfigDict(frozen=True)

    model: str
    fingerprint: str
    parameters: dict[str, str] = {}
    metrics: dict[str, float | None] = Field(default={}, description="Unknown ones are left out, never zero.")
    tags: dict[str, str] = Field(default={}, description="Links, set anew each time: Dagster run, job, package.")
    texts: dict[str, str] = Field(default={}, description="Artifacts: file name to content.")
    started_at: datetime
    ended_at: datetime


class TrackedRun(BaseModel):
    """The run as MLflow has it."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    experiment_id: str
    written: bool = Field(description="False: it was there, and only its links were brought up to date.")


def track(uri: str, candidate: CandidateRun, artifact_root: str | None = None) -> TrackedRun:
    """Write a candidate's run, or find the one that was written and renew its links.

    A run that was being written when its writer died is written again from the start.

    Args:
        uri: MLflow's address.
        candidate: What it shall know.
        artifact_root: Folder of artifacts, for an experiment that is made here.
    """
    # The platform talks to no one its user did not name.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    experiment = _experiment(client, candidate.model, artifact_root)
    found = client.search_runs([experiment], f"tags.`{FINGERPRINT}` = '{candidate.fingerprint}'", max_results=1)
    whole = bool(found) and found[0].info.status == "FINISHED"
    run_id = found[0].info.run_id if found else _create(client, experiment, candidate)
    if not whole:
        _write(client, run_id, candidate)
    _link(client, run_id, candidate.tags)
    if not whole:
        client.set_terminated(run_id, "FINISHED", end_time=_milliseconds(candidate.ended_at))
    return TrackedRun(run_id=run_id, experiment_id=experiment, written=not whole)


def _experiment(client: "MlflowClient", name: str, artifact_root: str | None) -> str:
    from mlflow.exceptions import MlflowException

    known = client.get_experiment_by_name(name)
    if known is not None:
        return str(known.experiment_id)
    location = f"{artifact_root}/{name}" if artifact_root else None
    try:
        return str(client.create_experiment(name, artifact_location=location))
    except MlflowException:
        # Another run made it meanwhile; any other reason fails here again, with its own words.
        again = client.get_experiment_by_name(name)
        if again is None:
            raise
        return str(again.experiment_id)


def _create(client: "MlflowClient", experiment: str, candidate: CandidateRun) -> str:
    run = client.create_run(
        experiment,
        start_time=_milliseconds(candidate.started_at),
        tags={FINGERPRINT: candidate.fingerprint},
        run_name=f"{candidate.model}-{candidate.fingerprint[:12]}",
    )
    return str(run.info.run_id)


def _write(client: "MlflowClient", run_id: str, candidate: CandidateRun) -> None:
    from mlflow.entities import Metric, Param

    at = _milliseconds(candidate.ended_at)
    known = {name: value for name, value in candidate.metrics.items() if value is not None and math.isfinite(value)}
    client.log_batch(
        run_id,
        metrics=[Metric(name, value, at, 0) for name, value in known.items()],
        params=[Param(name, value[:MAX_PARAMETER]) for name, value in candidate.parameters.items()],
    )
    for name, content in candidate.texts.items():
        client.log_text(run_id, content, name)


def _link(client: "MlflowClient", run_id: str, tags: Mapping[str, str]) -> None:
    for name, value in tags.items():
        client.set_tag(run_id, name, value)


def _milliseconds(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)
