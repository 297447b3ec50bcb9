"""Score a frame of transactions with a model package: CSV up, transform job, scores down as Parquet."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from ml_platform.aws import endpoints
from ml_platform.aws.model_packages import ModelPackage
from ml_platform.aws.objects import ObjectNotFoundError, ObjectStore
from ml_platform.aws.transform_jobs import TransformJob
from ml_platform.batch import output
from ml_platform.batch.transform_request import transform_job_request
from ml_platform.core import names
from ml_platform.core.errors import JobFailedError
from ml_platform.core.fingerprint import fingerprint_bytes, fingerprint_json, fingerprint_parts
from ml_platform.core.settings import Settings

if TYPE_CHECKING:
    import polars as pl
    from mypy_boto3_sagemaker.type_defs import CreateTransformJobRequestTypeDef

INPUT = "rows.csv"


@dataclass(frozen=True, slots=True)
class BatchInputs:
    """What to score, and with which version."""

    model: str
    package: ModelPackage
    frame: "pl.DataFrame"
    """``transaction_id`` and the features."""
    features: Sequence[str]
    """The model's features in its order."""


class BatchScores(BaseModel):
    """Scores of a set of transactions by one model package; every row that was sent has exactly one."""

    model_config = ConfigDict(frozen=True)

    model: str
    job_name: str
    job_arn: str
    package_arn: str
    version: int
    rows: int
    fingerprint: str
    scores_uri: str
    mean_score: float
    started_at: datetime | None
    ended_at: datetime | None


def score_batch_by(
    run_job: "Callable[[CreateTransformJobRequestTypeDef], TransformJob]",
    settings: Settings,
    store: ObjectStore,
    inputs: BatchInputs,
) -> BatchScores:
    """Return the scores of the rows, the job that makes them started and followed by ``run_job``.

    Args:
        run_job: Returns the completed job for a request; may adopt one for which ``has_answer``.
        settings: Instance type, role, region.
        store: Bucket for input and output.
        inputs: Rows and model package.

    Raises:
        SourceDataError: When the rows cannot be sent.
        JobFailedError: When its rows do not reconcile with ours.
    """
    rows = output.to_csv(inputs.frame, inputs.features)
    fingerprint = _fingerprint(inputs, rows)
    prefix = f"{names.model_prefix(inputs.model, 'batch-scores')}{fingerprint[:16]}/"
    request = transform_job_request(
        settings,
        model=inputs.model,
        sagemaker_model=_ensure_model(settings, inputs.model, inputs.package),
        fingerprint=fingerprint,
        input_uri=store.put(f"{prefix}input/{INPUT}", rows, "text/csv"),
        output_uri=store.uri(f"{prefix}output"),
    )
    job = run_job(request)
    scores = _reconciled(job.name, inputs, _answer(store, job))
    return BatchScores(
        model=inputs.model,
        job_name=job.name,
        job_arn=job.arn,
        package_arn=inputs.package.arn,
        version=inputs.package.version,
        rows=scores.height,
        fingerprint=fingerprint,
        scores_uri=_write(store, f"{prefix}scores.parquet", scores),
        mean_score=float(scores["score"].sum()) / max(scores.height, 1),
        started_at=job.started_at,
        ended_at=job.ended_at,
    )


def has_answer(store: ObjectStore, job: TransformJob) -> bool:
    """Whether a completed job's answer is there: in this bucket, and not deleted since."""
    return job.output_uri.startswith(store.uri("")) and store.exists(_answer_key(store, job))


def _answer_key(store: ObjectStore, job: TransformJob) -> str:
    return f"{store.key(job.output_uri)}/{INPUT}.out"


def _fingerprint(inputs: BatchInputs, rows: bytes) -> str:
    return fingerprint_parts(
        {
            "rows": fingerprint_bytes(rows),
            "package": inputs.package.arn,
            "artifact": inputs.package.artifact_uri,
            "features": fingerprint_json(list(inputs.features)),
        }
    )


def _answer(store: ObjectStore, job: TransformJob) -> bytes:
    key = _answer_key(store, job)
    try:
        return store.get(key)
    except ObjectNotFoundError as error:
        raise JobFailedError(
            f"Transform job {job.name} completed, but there is no {store.uri(key)}. Run it again."
        ) from error


def _reconciled(job: str, inputs: BatchInputs, answer: bytes) -> "pl.DataFrame":
    scores = output.parse(answer)
    verdict = output.reconcile(inputs.frame[output.ID].to_list(), scores)
    if not verdict.passed:
        raise JobFailedError(f"Transform job {job} does not account for every row: {'; '.join(verdict.failures)}.")
    return scores


def read_scores(store: ObjectStore, scores_uri: str) -> "pl.DataFrame":
    """Return the columns ``transaction_id`` and ``score``."""
    import polars as pl

    return pl.read_parquet(io.BytesIO(store.get(store.key(scores_uri))))


def _ensure_model(settings: Settings, model: str, package: ModelPackage) -> str:
    """Create the SageMaker model of a package unless it is there; its name covers what is in it.

    Image and artifact are named directly: scoring at rest is how a package is looked at before it is approved.
    """
    content = fingerprint_json([package.image, package.artifact_uri, settings.role_arn])
    name = names.sagemaker_name(model, f"v{package.version}", "batch", content[:12])
    request = endpoints.plain_model_request(name, package.image, package.artifact_uri, settings.role_arn)
    endpoints.create_model(settings.region, request)
    return name


def _write(store: ObjectStore, key: str, scores: "pl.DataFrame") -> str:
    buffer = io.BytesIO()
    scores.write_parquet(buffer, compression="zstd")
    return store.put(key, buffer.getvalue())
