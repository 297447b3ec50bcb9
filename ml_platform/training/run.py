"""Train a candidate: from a training set in S3 to a model artifact in S3, at most once for the same inputs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

import ml_platform
from ml_platform.aws import training_jobs
from ml_platform.aws.objects import ObjectStore
from ml_platform.core.clock import Clock, Sleep, sleep, utc_now
from ml_platform.core.errors import ArtifactError
from ml_platform.core.fingerprint import fingerprint_json, fingerprint_parts, fingerprint_tree
from ml_platform.core.settings import Settings
from ml_platform.training.job_request import METRICS, training_job_request

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import CreateTrainingJobRequestTypeDef

    from ml_platform.modeling.hyperparameters import HyperParameters


@dataclass(frozen=True, slots=True)
class TrainingInputs:
    """Everything a candidate is made of. The fingerprint field of the hyper-parameters is set by ``train_by``."""

    model: str
    channels: Mapping[str, str]
    """Channel name to S3 prefix: ``train`` and usually ``validation``."""
    training_set_fingerprint: str
    hyperparameters: "HyperParameters"
    metrics: Sequence[str] = METRICS


class Candidate(BaseModel):
    """A trained model that nobody has judged yet."""

    model_config = ConfigDict(frozen=True)

    model: str
    job_name: str
    job_arn: str
    artifact_uri: str
    fingerprint: str
    training_set_fingerprint: str
    parts: dict[str, str] = Field(default={}, description="What the fingerprint is made of, by name.")
    metrics: dict[str, float]
    billable_seconds: int
    instance_type: str
    started_at: datetime | None
    ended_at: datetime | None


def candidate_fingerprint(settings: Settings, inputs: TrainingInputs) -> str:
    """Return the fingerprint over everything a candidate depends on: data, parameters, image and code."""
    return fingerprint_parts(candidate_parts(settings, inputs))


def candidate_parts(settings: Settings, inputs: TrainingInputs) -> dict[str, str]:
    """Return what the fingerprint is made of, by name: what two candidates may differ in."""
    from ml_platform.modeling.hyperparameters import PROVENANCE

    parameters = inputs.hyperparameters.model_dump(mode="json", exclude=set(PROVENANCE))
    return {
        "training_set": inputs.training_set_fingerprint,
        "hyperparameters": fingerprint_json(parameters),
        "image": settings.training_image,
        "code": container_code_fingerprint(),
    }


def container_code_fingerprint() -> str:
    """Return the fingerprint of the code that makes a candidate what it is: the fit, not the serving of it."""
    from ml_platform.containers.training.origin import PARTS

    package = Path(ml_platform.__file__).parent
    return fingerprint_parts({part: fingerprint_tree(package / part) for part in PARTS})


def run_job(
    settings: Settings,
    store: ObjectStore,
    request: "CreateTrainingJobRequestTypeDef",
    *,
    on_log: Callable[[str], None] = lambda _: None,
    clock: Clock = utc_now,
    sleep: Sleep = sleep,
) -> training_jobs.TrainingJob:
    """Return the completed job for a request, without Dagster; it runs only if none did so before.

    Args:
        settings: Region, and how often to look.
        store: Bucket of the artifacts.
        request: What the job is to do. An interruption of ours stops it.
        on_log: Gets the container's lines while it trains.
        clock: Present instant.
        sleep: Waits between two looks.

    Raises:
        JobFailedError: With the container's reason.
        JobStoppedError: When the job was stopped.
        CapacityError: When SageMaker had no instance; a retry starts a new attempt.
    """
    name = training_jobs.start_or_adopt(settings.region, request, usable=lambda job: has_artifact(store, job))
    return training_jobs.follow(
        settings.region,
        name,
        on_log=on_log,
        clock=clock,
        sleep=sleep,
        poll_seconds=settings.poll_seconds,
        stop_on_interrupt=True,
    )


def train_by(
    run_job: "Callable[[CreateTrainingJobRequestTypeDef], training_jobs.TrainingJob]",
    settings: Settings,
    store: ObjectStore,
    inputs: TrainingInputs,
) -> Candidate:
    """Return the candidate for these inputs, its job started and followed by ``run_job``.

    Args:
        run_job: Returns the completed job for a request; may adopt one for which ``has_artifact``.
        settings: Image, role, instance type and limits.
        store: Bucket of the artifacts.
        inputs: Model, data and hyper-parameters.

    Raises:
        ArtifactError: When the job completed without leaving an artifact.
    """
    parts = candidate_parts(settings, inputs)
    fingerprint = fingerprint_parts(parts)
    request = training_job_request(
        settings,
        model=inputs.model,
        fingerprint=fingerprint,
        channels=inputs.channels,
        hyperparameters=inputs.hyperparameters.model_copy(
            update={"fingerprint": fingerprint, "parts": parts}
        ).to_sagemaker(),
        metrics=inputs.metrics,
    )
    job = run_job(request)
    if not has_artifact(store, job):
        raise ArtifactError(f"Training job {job.name} completed, but there is no {job.artifact_uri}. Train again.")
    return Candidate(
        model=inputs.model,
        job_name=job.name,
        job_arn=job.arn,
        artifact_uri=job.artifact_uri,
        fingerprint=fingerprint,
        training_set_fingerprint=inputs.training_set_fingerprint,
        parts=parts,
        metrics=dict(job.metrics),
        billable_seconds=job.billable_seconds,
        instance_type=job.instance_type,
        started_at=job.started_at,
        ended_at=job.ended_at,
    )


def has_artifact(store: ObjectStore, job: training_jobs.TrainingJob) -> bool:
    """Whether a job's artifact is there: a completed job whose artifact was deleted since is of no use.

    Nor is one that wrote to another bucket, before the platform moved to this one.
    """
    return job.artifact_uri.startswith(store.uri("")) and store.exists(store.key(job.artifact_uri))
