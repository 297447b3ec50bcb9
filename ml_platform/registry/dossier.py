"""The dossier of a package: everything a decision about it rests on, in one sealed document beside the artifact.

What the capabilities found is brought together in ``resources.package_dossier``; here it is kept, found again, and held
against today. The package carries the dossier's digest, so one that was changed is refused.
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from ml_platform.aws.model_packages import ModelPackage
from ml_platform.aws.objects import ObjectNotFoundError, ObjectStore
from ml_platform.core import names
from ml_platform.core.errors import MLPlatformError
from ml_platform.core.fingerprint import fingerprint_bytes
from ml_platform.modeling.cost_curve import CostCurve
from ml_platform.modeling.score_stability import ScoreAgreement, ScoreStability

ADDRESS, DIGEST = "dossier_uri", "evidence_digest"
_SHOWN_DAYS = 5


class EvidenceError(MLPlatformError):
    """The evidence of a package is absent, or is not what was registered."""


class Basis(BaseModel):
    """What evidence rests on, by fingerprint. Whatever of it changes makes the evidence stale."""

    model_config = ConfigDict(frozen=True)

    definitions: dict[str, str] = Field(description="Feature definitions, code, policies: name to fingerprint.")
    days: dict[str, dict[date, str]] = Field(default={}, description="Table to landed day to fingerprint of its rows.")

    def changes(self, now: "Basis") -> tuple[str, ...]:
        """Return what is no longer as it was, in words; empty when the evidence still holds."""
        changed = [
            f"{name} changed" if name in now.definitions else f"{name} is unknown now"
            for name, known in sorted(self.definitions.items())
            if now.definitions.get(name) != known
        ]
        for table, days in sorted(self.days.items()):
            other = sorted(day for day, known in days.items() if now.days.get(table, {}).get(day) != known)
            if other:
                shown = ", ".join(str(day) for day in other[:_SHOWN_DAYS])
                more = f" and {len(other) - _SHOWN_DAYS} more" if len(other) > _SHOWN_DAYS else ""
                changed.append(f"{table} was corrected for {shown}{more}")
        return tuple(changed)


class Figure(BaseModel):
    """One figure of the model, with an interval where one is known."""

    model_config = ConfigDict(frozen=True)

    name: str
    spoken: str = Field(default="", description="What people call it.")
    value: float
    low: float | None = None
    high: float | None = None
    champion: float | None = None
    gain: float | None = Field(default=None, description="Over the champion on the same rows; above 0 is better.")
    gain_low: float | None = None
    gain_high: float | None = None


class SliceFigure(BaseModel):
    """Recall on one slice of the holdout, at the same false-positive rate over all rows."""

    model_config = ConfigDict(frozen=True)

    name: str
    rows: int
    positives: int
    recall: float
    recall_low: float | None = None
    recall_high: float | None = None
    false_positive_rate: float | None = None
    champion: float | None = None
    low: float | None = Field(default=None, description="Of the difference to the champion's recall.")
    high: float | None = None


class SplitFacts(BaseModel):
    """One split of the training set."""

    model_config = ConfigDict(frozen=True)

    name: str
    first_day: date
    last_day: date
    rows: int
    positives: int
    unlabelled: int
    uri: str


class FeatureFacts(BaseModel):
    """How one feature was distributed when the model was fitted."""

    model_config = ConfigDict(frozen=True)

    name: str
    missing_share: float
    quantiles: tuple[float | None, float | None, float | None] = Field(
        default=(None, None, None), description="At 10, 50 and 90 %; None: the model's profile does not tell."
    )


Points = tuple[tuple[float, float], ...]


class CardFacts(BaseModel):
    """What a model card says, as facts."""

    model_config = ConfigDict(frozen=True)

    model: str
    purpose: str
    owner: str
    fingerprint: str
    artifact_uri: str
    image: str
    training_job: str
    training_job_arn: str
    instance_type: str
    billable_seconds: int
    parameters: dict[str, str] = {}
    trained_by: str
    run_id: str
    target: str
    label_policy: str
    feature_service: str
    as_of: datetime
    splits: tuple[SplitFacts, ...]
    features: tuple[FeatureFacts, ...]
    figures: tuple[Figure, ...]
    slices: tuple[SliceFigure, ...] = ()
    small_slices: dict[str, int] = {}
    absent_slices: dict[str, str] = Field(default={}, description="Declared cuts that the rows did not allow, and why.")
    cost_curve: CostCurve | None = None
    champion_cost_curve: CostCurve | None = None
    stability: ScoreStability | None = None
    agreement: ScoreAgreement | None = None
    precision_by_recall: Points = ()
    champion_precision_by_recall: Points = ()
    observed_by_score: Points = ()
    limits: tuple[str, ...] = ()
    gate: dict[str, str] = {}
    replaces_version: int | None = None
    replaces_because: str = ""
    judged_at: datetime | None = None


class Dossier(BaseModel):
    """Facts, evidence and their basis, as they were when the package was registered."""

    model_config = ConfigDict(frozen=True)

    facts: CardFacts
    basis: Basis
    evidence: dict[str, Any] = Field(description="The gate's evidence, whole.")
    registered_at: datetime


def folder(model: str, fingerprint: str) -> str:
    """Return the S3 prefix of what belongs to a candidate's package."""
    return f"{names.model_prefix(model, 'packages')}{fingerprint[:16]}/"


def keep(store: ObjectStore, dossier: Dossier) -> Mapping[str, str]:
    """Write a dossier under its digest and return the properties by which its package points at it."""
    content = dossier.model_dump_json(indent=1).encode()
    digest = fingerprint_bytes(content)
    key = f"{folder(dossier.facts.model, dossier.facts.fingerprint)}dossier-{digest[:16]}.json"
    return {ADDRESS: store.put(key, content, "application/json"), DIGEST: digest}


def read(store: ObjectStore, package: ModelPackage) -> Dossier:
    """Return the dossier of a package, verified.

    Raises:
        EvidenceError: When there is none, or it is not the one that was registered.
    """
    address, digest = package.properties.get(ADDRESS), package.properties.get(DIGEST)
    again = f"Register version {package.version}'s candidate again: materialize its model_package."
    if not address or not digest:
        raise EvidenceError(f"Version {package.version} was registered without a dossier. {again}")
    try:
        content = store.get(store.key(address))
    except (ObjectNotFoundError, ValueError) as error:
        raise EvidenceError(
            f"The evidence of version {package.version} is not at {address} any more. {again}"
        ) from error
    if fingerprint_bytes(content) != digest:
        raise EvidenceError(
            f"The evidence of version {package.version} was changed after it was registered: {address} does not have "
            "the digest that the package names. Nothing is promoted on it; restore its first version in S3."
        )
    return Dossier.model_validate_json(content)
