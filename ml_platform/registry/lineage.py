"""Lineage records: what is kept of each candidate, deployment and batch when it is made, and never changed after.

A manifest says what exists now, and is replaced; these say what was. Together with training sets (kept by fingerprint),
the registry and captured traffic they answer where a decision comes from, and what a day of data went into. Joining
them is ``resources.decision_lineage`` and ``resources.day_impact``.
"""

from collections.abc import Iterator
from datetime import date, datetime
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field

from ml_platform.aws.objects import ObjectNotFoundError, ObjectStore
from ml_platform.core import names

Record = TypeVar("Record", bound=BaseModel)


class CandidateRecord(BaseModel):
    """A candidate, whatever the gate said of it."""

    model_config = ConfigDict(frozen=True)

    model: str
    fingerprint: str
    artifact_uri: str
    training_job: str
    training_set_fingerprint: str
    code_fingerprint: str = Field(description="Of the code that fitted it.")
    image: str
    ended_at: datetime | None


class DeploymentRecord(BaseModel):
    """An endpoint config that came into service."""

    model_config = ConfigDict(frozen=True)

    model: str
    endpoint: str
    config: str
    package_arn: str
    version: int
    since: datetime


class BatchRecord(BaseModel):
    """A batch of scores."""

    model_config = ConfigDict(frozen=True)

    model: str
    fingerprint: str
    job_name: str
    package_arn: str
    version: int
    rows: int
    scores_uri: str
    first_day: date = Field(description="First day of the payments scored.")
    last_day: date
    ended_at: datetime | None


def keep_candidate(store: ObjectStore, record: CandidateRecord) -> None:
    """Keep a candidate under its fingerprint."""
    _put(store, names.candidate_record(record.model, record.fingerprint), record)


def keep_deployment(store: ObjectStore, record: DeploymentRecord) -> None:
    """Keep a deployment under its instant; the same one twice is one."""
    at = f"{record.since:%Y%m%dT%H%M%S.%f}"
    _put(store, f"{names.deployments_prefix(record.model)}{at}-{record.config}.json", record)


def keep_batch(store: ObjectStore, record: BatchRecord) -> None:
    """Keep a batch beside its scores."""
    _put(store, names.batch_record(record.model, record.fingerprint), record)


def find_candidate(store: ObjectStore, model: str, fingerprint: str) -> CandidateRecord | None:
    """Return a candidate, or None when it was made before candidates were kept."""
    try:
        return CandidateRecord.model_validate_json(store.get(names.candidate_record(model, fingerprint)))
    except ObjectNotFoundError:
        return None


def candidates(store: ObjectStore, model: str) -> list[CandidateRecord]:
    """Return every candidate of a model."""
    return list(_read(store, names.model_prefix(model, "candidates"), ".json", CandidateRecord))


def deployments(store: ObjectStore, model: str) -> list[DeploymentRecord]:
    """Return a model's deployments in order of time."""
    found = _read(store, names.deployments_prefix(model), ".json", DeploymentRecord)
    return sorted(found, key=lambda record: record.since)


def batches(store: ObjectStore, model: str) -> list[BatchRecord]:
    """Return a model's batches, the newest first."""
    found = _read(store, names.model_prefix(model, "batch-scores"), "/record.json", BatchRecord)
    return sorted(found, key=lambda record: (record.last_day, record.version), reverse=True)


def _put(store: ObjectStore, key: str, record: BaseModel) -> None:
    store.put(key, record.model_dump_json(indent=1).encode(), "application/json")


def _read(store: ObjectStore, prefix: str, ending: str, kind: type[Record]) -> Iterator[Record]:
    for key in store.keys(prefix):
        if key.endswith(ending):
            yield kind.model_validate_json(store.get(key))
