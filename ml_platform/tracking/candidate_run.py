"""A candidate as an MLflow run: written once, found again by its fingerprint, linked to what came of it later.

MLflow is somebody else's service: it may be away, slow or refuse. A call gets a few seconds and one retry, all calls
together get ``PATIENCE``; what was not written then can be tried again at any time, and is not written twice.
"""

import logging
import math
import os
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from ml_platform.core.clock import Clock, utc_now
from ml_platform.core.errors import MLPlatformError
from ml_platform.tracking.server import without_secrets

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

FINGERPRINT = "ml_platform.candidate"
MAX_PARAMETER, MAX_TAG = 6000, 5000
"""Characters of a parameter, and of a tag, that every MLflow store takes."""
_AT_ONCE = 100
"""Parameters that MLflow takes in one call."""
PATIENCE = timedelta(seconds=60)
"""For all calls about one candidate. The first answer of a server that just started took 30 s on a busy machine."""
_ENVIRONMENT = {
    # The platform talks to no one its user did not name.
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # MLflow's own patience is 120 s and seven retries: four minutes and more for each call.
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
}
"""What is set unless the user did."""


class TrackingError(MLPlatformError):
    """A candidate's run could not be written in MLflow."""


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


def track(uri: str, candidate: CandidateRun, artifact_root: str | None = None, clock: Clock = utc_now) -> TrackedRun:
    """Write a candidate's run, or find the one that was written and renew its links.

    A run that was being written when its writer died is written again from the start.

    Args:
        uri: MLflow's address.
        candidate: What it shall know.
        artifact_root: Folder of artifacts, for an experiment that is made here.
        clock: Tells when patience is at its end.

    Raises:
        TrackingError: When MLflow is away, too slow, or refuses.
    """
    try:
        return _track(_client(uri), candidate, artifact_root, _watch(clock))
    # Whatever goes wrong in MLflow, its plug-ins or a store behind it: nothing of ours fails by it.
    except Exception as error:
        reason = " ".join(str(error).split()).replace(uri, without_secrets(uri))
        raise TrackingError(f"MLflow at {without_secrets(uri)} did not take the run: {reason}") from error


def _watch(clock: Clock) -> Callable[[], None]:
    """Return what raises once patience is at its end; it begins now."""
    until = clock() + PATIENCE

    def in_time() -> None:
        if clock() >= until:
            raise TimeoutError(f"it is not done after {PATIENCE.total_seconds():.0f} s")

    return in_time


def _client(uri: str) -> "MlflowClient":
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import mlflow

    if uri.startswith("arn:"):
        # SageMaker's plug-in signs for the process's address, whatever address its client has.
        mlflow.set_tracking_uri(uri)
    else:
        # The same plug-in takes every other address for a broken ARN and says so with each call.
        logging.getLogger("mlflow.tracking.request_header.registry").setLevel(logging.ERROR)
    return mlflow.MlflowClient(tracking_uri=uri)


def _track(
    client: "MlflowClient", candidate: CandidateRun, artifact_root: str | None, in_time: Callable[[], None]
) -> TrackedRun:
    experiment = _experiment(client, candidate.model, artifact_root)
    in_time()
    found = client.search_runs([experiment], f"tags.`{FINGERPRINT}` = '{candidate.fingerprint}'", max_results=1)
    in_time()
    whole = bool(found) and found[0].info.status == "FINISHED"
    run_id = found[0].info.run_id if found else _create(client, experiment, candidate)
    if not whole:
        for name, content in candidate.texts.items():
            in_time()
            client.log_text(run_id, content, name)
    in_time()
    _log(client, run_id, candidate.model_copy(update={"metrics": {}, "parameters": {}}) if whole else candidate)
    if not whole:
        in_time()
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


def _log(client: "MlflowClient", run_id: str, candidate: CandidateRun) -> None:
    """Write metrics, parameters and links, in one call if it can be."""
    from mlflow.entities import Metric, Param, RunTag

    at = _milliseconds(candidate.ended_at)
    known = {name: value for name, value in candidate.metrics.items() if value is not None and math.isfinite(value)}
    parameters = [Param(name, value[:MAX_PARAMETER]) for name, value in candidate.parameters.items()]
    client.log_batch(
        run_id,
        metrics=[Metric(name, value, at, 0) for name, value in known.items()],
        params=parameters[:_AT_ONCE],
        tags=[RunTag(name, value[:MAX_TAG]) for name, value in candidate.tags.items()],
    )
    if parameters[_AT_ONCE:]:
        client.log_batch(run_id, params=parameters[_AT_ONCE:])


def _milliseconds(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)
