"""The dossier of a candidate: what training, features and evaluation know of it, as the registry keeps it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ml_platform.modeling.declared_metrics import METRICS
from ml_platform.registry.dossier import (
    Basis,
    CardFacts,
    Dossier,
    FeatureFacts,
    Figure,
    SliceFigure,
    SplitFacts,
)

if TYPE_CHECKING:
    from ml_platform.core.settings import Settings
    from ml_platform.evaluation.evidence import PromotionEvidence
    from ml_platform.features.offline.training_set_spec import TrainingSetManifest
    from ml_platform.modeling.baseline import Baseline
    from ml_platform.training.run import Candidate


@dataclass(frozen=True, slots=True)
class Declared:
    """What a model's owner declared, as far as a reviewer reads it."""

    purpose: str
    owner: str
    parameters: Mapping[str, Any]
    gate: Mapping[str, Any]
    policies: Mapping[str, str]
    """Fingerprints of the policies that judge: name to fingerprint."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Who trained a candidate, in which run, and when it is registered."""

    trained_by: str
    run_id: str
    at: datetime


def build_dossier(
    settings: "Settings",
    declared: "Declared",
    candidate: "Candidate",
    training_set: "TrainingSetManifest",
    evidence: "PromotionEvidence",
    *,
    baseline: "Baseline",
    basis: Basis,
    origin: "Origin",
) -> Dossier:
    """Bring together what is known.

    Args:
        settings: Of the platform.
        declared: By the model's owner.
        candidate: As trained.
        training_set: What it was trained on.
        evidence: The gate's.
        baseline: Of the artifact.
        basis: What all this rests on.
        origin: Who trained it, and in which run.
    """
    spec = training_set.spec
    challenger, champion = evidence.challenger, evidence.champion
    facts = CardFacts(
        model=candidate.model,
        purpose=declared.purpose,
        owner=declared.owner,
        fingerprint=candidate.fingerprint,
        artifact_uri=candidate.artifact_uri,
        image=settings.training_image,
        training_job=candidate.job_name,
        training_job_arn=candidate.job_arn,
        instance_type=candidate.instance_type,
        billable_seconds=candidate.billable_seconds,
        parameters={name: str(value) for name, value in declared.parameters.items()},
        trained_by=origin.trained_by,
        run_id=origin.run_id,
        target=spec.target,
        label_policy=(
            f"Labels as known at {spec.as_of:%Y-%m-%d %H:%M} UTC, {spec.label_delay_days} days given to mature; when "
            f"sources disagree, {settings.label_rule} decides."
        ),
        feature_service=spec.feature_service,
        as_of=training_set.as_of,
        splits=tuple(
            SplitFacts(name=name, **split.model_dump(exclude={"dropped"}))
            for name, split in training_set.splits.items()
        ),
        features=_features(baseline),
        figures=_figures(evidence),
        slices=_slices(evidence),
        small_slices=challenger.slices.small,
        absent_slices=challenger.slices.absent,
        cost_curve=challenger.cost_curve,
        champion_cost_curve=champion.cost_curve if champion else None,
        stability=challenger.stability,
        agreement=evidence.agreement,
        precision_by_recall=challenger.precision_by_recall,
        champion_precision_by_recall=champion.precision_by_recall if champion else (),
        observed_by_score=challenger.observed_by_score,
        limits=_limits(training_set, evidence),
        gate=dict(_thresholds(declared.gate)),
        replaces_version=evidence.champion_version,
        replaces_because=_why(evidence),
        judged_at=evidence.decided_at,
    )
    return Dossier(facts=facts, basis=basis, evidence=evidence.model_dump(mode="json"), registered_at=origin.at)


def _thresholds(gate: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in gate.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}.{inner}", shown) for inner, shown in _thresholds(value))
        elif value is not None:
            yield name, str(value)


def _features(baseline: "Baseline") -> tuple[FeatureFacts, ...]:
    return tuple(
        FeatureFacts(
            name=name,
            missing_share=baseline.columns[name].missing / baseline.n_rows,
            quantiles=tuple(baseline.columns[name].decile(number) for number in (1, 5, 9)),
        )
        for name in baseline.features
    )


def _figures(evidence: "PromotionEvidence") -> tuple[Figure, ...]:
    figures = []
    for name, value in evidence.challenger.figures.items():
        low, high = evidence.intervals.get(name, (None, None))
        gain = evidence.comparison.metric(name) if evidence.comparison else None
        figures.append(
            Figure(
                name=name,
                value=value,
                low=low,
                high=high,
                spoken=METRICS[name].spoken,
                champion=evidence.champion.figure(name) if evidence.champion else None,
                gain=gain.difference if gain else None,
                gain_low=gain.low if gain else None,
                gain_high=gain.high if gain else None,
            )
        )
    return tuple(figures)


def _slices(evidence: "PromotionEvidence") -> tuple[SliceFigure, ...]:
    compared = {found.slice: found for found in (evidence.comparison.slices if evidence.comparison else ())}
    return tuple(
        SliceFigure(
            name=found.slice,
            rows=found.rows,
            positives=found.positives,
            recall=found.recall,
            recall_low=found.low,
            recall_high=found.high,
            false_positive_rate=found.false_positive_rate,
            champion=other.champion if (other := compared.get(found.slice)) else None,
            low=other.low if other else None,
            high=other.high if other else None,
        )
        for found in evidence.challenger.slices.measured
    )


def _limits(training_set: "TrainingSetManifest", evidence: "PromotionEvidence") -> tuple[str, ...]:
    holdout = training_set.splits["holdout"]
    limits = [
        f"judged on {holdout.rows:,} payments of {holdout.first_day} to {holdout.last_day} with {holdout.positives} "
        "positives; other seasons were not seen",
        f"features are looked up {training_set.spec.feature_lookup}; a payment of a new card or terminal has few",
    ]
    if holdout.unlabelled:
        limits.append(f"{holdout.unlabelled:,} payments of the holdout had no known label and were left out")
    if evidence.challenger.unavailable:
        unknown = ", ".join(f"{name} ({why})" for name, why in evidence.challenger.unavailable.items())
        limits.append(f"unknown: {unknown}")
    if absent := evidence.challenger.slices.absent:
        limits.append(f"not judged by slice: {'; '.join(f'{name}, because {why}' for name, why in absent.items())}")
    limits.append(
        f"single decisions are explained by: {evidence.explained_by}"
        if evidence.explained_by
        else "single decisions cannot be explained: this kind of model gives no reasons"
    )
    if evidence.comparison is None:
        limits.append("no slice was compared: there was no champion on the same rows")
    return tuple(limits)


def _why(evidence: "PromotionEvidence") -> str:
    gain = evidence.comparison.metric("average_precision") if evidence.comparison else None
    if gain is None:
        return ""
    return (
        f"It passed every rule of the gate on the same rows; average precision {gain.challenger:.4f} against "
        f"{gain.champion:.4f}, a difference of at least {gain.low:+.4f} (one-sided, 90 %)."
    )
