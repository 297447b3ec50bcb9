"""Where a decision comes from: score, reasons, features, policy, package, approver, training set; all from records.

Captured traffic or a batch says what was answered; registry, manifests and lineage records say who made the answer.
Nothing is kept for this alone, and what is not known is None, never guessed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from ml_platform.aws.objects import ObjectNotFoundError, ObjectStore
from ml_platform.core import names
from ml_platform.core.errors import MLPlatformError
from ml_platform.core.settings import Settings
from ml_platform.modeling.reasons import Reason
from ml_platform.registry.lineage import DeploymentRecord
from ml_platform.resources.served_from import ServedView

if TYPE_CHECKING:
    from ml_platform.aws.model_packages import ModelPackage
    from ml_platform.features.offline.training_set_spec import TrainingSetManifest
    from ml_platform.modeling.decision_policy import DecisionPolicy

_SECOND = timedelta(seconds=1)
_BESIDE_FEATURES = {
    "event_id",
    "inference_id",
    "inference_time",
    "variant",
    "score",
    "artifact_fingerprint",
    "policy_version",
    "reasons",
}


class UnknownDecisionError(MLPlatformError):
    """No captured request and no batch has a decision of this id."""


@dataclass(frozen=True, slots=True)
class Found:
    """A decision as it was recorded."""

    source: str
    score: float
    at: datetime | None
    features: dict[str, float | None]
    variant: str | None = None
    fingerprint: str | None = None
    package_arn: str | None = None
    policy_version: str | None = None
    reasons: tuple[Reason, ...] | None = None
    batch_job: str | None = None


class Approval(BaseModel):
    """What a person said of the package."""

    model_config = ConfigDict(frozen=True)

    status: str
    by: str | None
    at: datetime | None
    reason: str


class TrainedOn(BaseModel):
    """The training set of the package that decided."""

    model_config = ConfigDict(frozen=True)

    fingerprint: str
    labels_known_by: datetime = Field(description="Cut-off of the label snapshot.")
    feature_service: str
    splits: dict[str, tuple[date, date]]
    fingerprints: dict[str, str]
    address: str


class DecisionLineage(BaseModel):
    """Everything that is recorded about one decision."""

    model_config = ConfigDict(frozen=True)

    decision_id: str
    model: str
    source: str = Field(description="captured traffic, or batch scores.")
    decided_at: datetime | None
    score: float
    reasons: tuple[Reason, ...] | None
    reasons_are: str = Field(description="recorded with the answer, or recomputed from the artifact.")
    action: str | None = None
    policy_version: str | None = None
    policy_fits: bool | None = Field(default=None, description="Whether it was fitted on this artifact's scores.")
    features: dict[str, float | None]
    views: tuple[ServedView, ...] = ()
    variant: str | None = None
    endpoint: str | None = None
    endpoint_config: str | None = None
    endpoint_since: datetime | None = None
    batch_job: str | None = None
    package_arn: str | None = None
    version: int | None = None
    artifact_fingerprint: str | None = None
    approval: Approval | None = Field(default=None, description="The one by which the package decided then.")
    decided_since: Approval | None = Field(default=None, description="Another decision about the package, taken later.")
    training_job: str | None = None
    training_set: TrainedOn | None = None
    code_fingerprint: str | None = None
    image: str | None = None


def explain(settings: Settings, model: str, decision_id: str, day: date | None = None) -> DecisionLineage:
    """Return what is recorded about one decision of a model.

    Args:
        settings: Region and bucket.
        model: Whose decision.
        decision_id: The transaction id, which is the inference id too.
        day: The day (UTC) on which it was made, when that is known.

    Raises:
        UnknownDecisionError: When there is none, saying what was looked at and what is not captured yet.
    """
    from ml_platform.registry import lineage
    from ml_platform.resources.served_from import served_from
    from ml_platform.scoring.transaction import decide

    store = ObjectStore.from_settings(settings)
    found = _find(store, model, decision_id, day)
    package, deployed = _who_decided(settings, store, model, found)
    fingerprint = found.fingerprint or (package.properties.get("candidate_fingerprint") if package else None)
    candidate = lineage.find_candidate(store, model, fingerprint) if fingerprint else None
    trained_on = _trained_on(store, model, package.properties.get("training_set_fingerprint") if package else None)
    if found.batch_job and trained_on:
        found = replace(found, features=named_features(found.features, trained_on.features))
    reasons, reasons_are = _reasons(store, package, found)
    policy = _policy(store, model, found.policy_version)
    then, now = _approval_then(store, model, package, found.at), _approval(package) if package else None
    return DecisionLineage(
        decision_id=decision_id,
        model=model,
        source=found.source,
        decided_at=found.at,
        score=found.score,
        reasons=reasons,
        reasons_are=reasons_are,
        action=decide(policy, found.score, found.features.get("amount")),
        policy_version=found.policy_version,
        policy_fits=policy.artifact_fingerprint == fingerprint if policy and fingerprint else None,
        features=found.features,
        views=served_from(store, found.features, found.at if found.batch_job is None else None),
        variant=found.variant,
        endpoint=deployed.endpoint if deployed else None,
        endpoint_config=deployed.config if deployed else None,
        endpoint_since=deployed.since if deployed else None,
        batch_job=found.batch_job,
        package_arn=package.arn if package else found.package_arn,
        version=package.version if package else None,
        artifact_fingerprint=fingerprint,
        approval=then or now,
        decided_since=now if then and now != then else None,
        training_job=package.properties.get("training_job") if package else None,
        training_set=_described(store, model, trained_on) if trained_on else None,
        code_fingerprint=candidate.code_fingerprint if candidate else None,
        image=candidate.image if candidate else None,
    )


def _find(store: ObjectStore, model: str, decision_id: str, day: date | None) -> Found:
    from ml_platform.resources.captured_decisions import find_decision
    from ml_platform.scoring.transaction import inference_id

    row = find_decision(store, model, inference_id(decision_id), day)
    if row is not None:
        recorded = row.get("reasons")
        return Found(
            source="captured traffic",
            score=row["score"],
            at=row["inference_time"],
            features={name: _known(value) for name, value in row.items() if name not in _BESIDE_FEATURES},
            variant=row["variant"],
            fingerprint=row.get("artifact_fingerprint") or None,
            policy_version=row.get("policy_version") or None,
            reasons=tuple(Reason.model_validate(reason) for reason in json.loads(recorded)) if recorded else None,
        )
    batch = _in_batches(store, model, decision_id)
    if batch is None:
        raise UnknownDecisionError(_why_unknown(store, model, decision_id, day))
    return batch


def _in_batches(store: ObjectStore, model: str, decision_id: str) -> Found | None:
    import polars as pl

    from ml_platform.batch.run import read_scores
    from ml_platform.registry import lineage

    for record in lineage.batches(store, model):
        scores = read_scores(store, record.scores_uri)
        found = scores.filter(pl.col("transaction_id") == decision_id)
        if found.height:
            return Found(
                source="batch scores",
                score=float(found["score"][0]),
                at=record.ended_at,
                features=_batch_features(store, model, record.fingerprint, decision_id),
                package_arn=record.package_arn,
                batch_job=record.job_name,
            )
    return None


def _batch_features(store: ObjectStore, model: str, fingerprint: str, decision_id: str) -> dict[str, float | None]:
    """The row as it was sent: an id and numbers, whose names only the model's signature knows."""
    key = f"{names.model_prefix(model, 'batch-scores')}{fingerprint[:16]}/input/rows.csv"
    lines = (line.split(",") for line in store.get(key).decode().split("\n") if line.startswith(f"{decision_id},"))
    values = next(lines, [decision_id])[1:]
    return {str(position): float(value) if value else None for position, value in enumerate(values)}


def _why_unknown(store: ObjectStore, model: str, decision_id: str, day: date | None) -> str:
    from ml_platform.registry import lineage
    from ml_platform.resources.captured_decisions import captured_hours, recorded_hours

    captured = [hour for hour in captured_hours(store, model) if day is None or hour.startswith(str(day))]
    recorded = [hour for hour in recorded_hours(store, model) if day is None or hour.startswith(str(day))]
    waiting = [hour for hour in recorded if hour not in captured]
    looked = f"the {len(captured)} captured hours" if captured else "captured traffic, of which there is none"
    text = (
        f"No decision {decision_id!r} of {model} is in {looked}{f' of {day}' if day else ''}, nor in its "
        f"{len(lineage.batches(store, model))} batches. "
    )
    if waiting:
        span = waiting[0] if len(waiting) == 1 else f"{waiting[0]} to {waiting[-1]}"
        return f"{text}Requests of {span} h (UTC) are not captured yet: materialize {model}/captured_traffic for them."
    return f"{text}Check the id; a request of the hour under way is captured when {model}/captured_traffic runs again."


def _who_decided(
    settings: Settings, store: ObjectStore, model: str, found: Found
) -> "tuple[ModelPackage | None, DeploymentRecord | None]":
    """Package and deployment behind a decision: the answer says which artifact, or else the time says."""
    from ml_platform.aws import model_packages
    from ml_platform.registry import lineage, lookup

    if found.package_arn:
        return model_packages.describe(settings.region, found.package_arn), None
    past = lineage.deployments(store, model)
    if found.fingerprint:
        group = names.model_package_group(model)
        package = lookup.find_by_fingerprint(settings.region, group, found.fingerprint)
        return package, deployment_at(past, found.at, package.arn if package else None)
    deployed = deployment_at(past, found.at, None)
    return (model_packages.describe(settings.region, deployed.package_arn) if deployed else None), deployed


def deployment_at(
    past: list[DeploymentRecord], instant: datetime | None, package_arn: str | None
) -> DeploymentRecord | None:
    """Return the deployment that served at an instant, of this package if one is named.

    A deployment is recorded when it is done: what a canary answered before that belongs to the one that comes next.
    """
    own = [record for record in past if package_arn is None or record.package_arn == package_arn]
    if instant is None or not own:
        return None
    # Captured times are whole seconds.
    before = [record for record in own if record.since.replace(microsecond=0) <= instant]
    if before:
        return before[-1]
    return own[0] if package_arn else None


def _reasons(store: ObjectStore, package: "ModelPackage | None", found: Found) -> tuple[tuple[Reason, ...] | None, str]:
    if found.reasons is not None:
        return found.reasons, "recorded with the answer"
    if package is None:
        return None, "unknown: the package is not in the registry"
    import numpy as np

    from ml_platform.modeling.reasons import contributions_of, reasons
    from ml_platform.resources.artifacts import load_model

    pipeline = load_model(store, package.artifact_uri).pipeline
    features = pipeline.signature.features
    values = [found.features.get(name) for name in features]
    matrix = np.array([[np.nan if value is None else value for value in values]], dtype=float)
    by_feature = contributions_of(pipeline, matrix)
    if by_feature is None:
        return None, "unknown: this kind of model gives none"
    return reasons(features, by_feature[0]), "recomputed from the artifact"


def _policy(store: ObjectStore, model: str, version: str | None) -> "DecisionPolicy | None":
    from ml_platform.modeling.decision_policy import DecisionPolicy

    if version is None:
        return None
    try:
        return DecisionPolicy.model_validate_json(store.get(names.decision_policy(model, version)))
    except ObjectNotFoundError:
        return None


def _approval_then(
    store: ObjectStore, model: str, package: "ModelPackage | None", instant: datetime | None
) -> Approval | None:
    from ml_platform.registry.audit import AuditTrail

    # Captured times are whole seconds.
    by = package and instant and AuditTrail(store, model).approval_before(package.arn, instant + _SECOND)
    return Approval(status="Approved", by=by.by, at=by.at, reason=by.reason) if by else None


def _approval(package: "ModelPackage") -> Approval:
    from ml_platform.registry.approval import decision_of

    decision = decision_of(package)
    if decision is not None:
        return Approval(**decision.model_dump())
    return Approval(status=package.status, by=None, at=package.changed_at, reason=package.approval_description)


def _trained_on(store: ObjectStore, model: str, fingerprint: str | None) -> "TrainingSetManifest | None":
    from ml_platform.features.offline.training_set_spec import TrainingSetManifest

    if not fingerprint:
        return None
    try:
        content = store.get(f"{names.model_prefix(model, 'training-sets')}{fingerprint}/manifest.json")
    except ObjectNotFoundError:
        return None
    return TrainingSetManifest.model_validate_json(content)


def _described(store: ObjectStore, model: str, manifest: "TrainingSetManifest") -> TrainedOn:
    return TrainedOn(
        fingerprint=manifest.fingerprint,
        labels_known_by=manifest.as_of,
        feature_service=manifest.spec.feature_service,
        splits={name: (split.first_day, split.last_day) for name, split in manifest.splits.items()},
        fingerprints=manifest.fingerprints,
        address=store.uri(f"{names.model_prefix(model, 'training-sets')}{manifest.fingerprint}/manifest.json"),
    )


def named_features(values: Mapping[str, float | None], features: tuple[str, ...]) -> dict[str, float | None]:
    """Give the values of a batch's row, which are known by position, their names."""
    return {name: values.get(str(position)) for position, name in enumerate(features)}


def _known(value: Any) -> float | None:
    return None if value is None or value != value else float(value)  # noqa: PLR0124  # NaN is missing
