"""The promotion gate: what a challenger must show before it may replace the champion.

Pure. Every reason against is listed with its numbers. Computing the figures is ``report``; whether an approved
package is rolled out, and how, is ``deployment``.
"""

import math
from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict, Field

from ml_platform.core.verdict import Verdict
from ml_platform.evaluation.report import EvaluationReport


class GatePolicy(BaseModel):
    """Thresholds a challenger must meet. The floors hold for a first model too; loosening one is a decision."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_positives: int = Field(
        default=30, ge=1, description="Positives the holdout must hold; with fewer the figures are noise."
    )
    min_average_precision: float = Field(
        default=0.10, ge=0, le=1, description="Floor. Chance level is the rate of positives, below 0.01 for fraud."
    )
    min_roc_auc: float = Field(default=0.75, ge=0.5, le=1, description="Floor. Chance level is 0.5.")
    min_card_precision_at_100: float = Field(
        default=0.02,
        ge=0,
        le=1,
        description="Floor. The ceiling is the number of compromised cards in a day / 100, so it differs by size.",
    )
    max_calibration_error: float = Field(
        default=0.05, ge=0, le=1, description="Ceiling for the mean distance of score and observed rate."
    )
    max_average_precision_loss: float = Field(
        default=0.01, ge=0, le=1, description="How far below the champion's average precision is still accepted."
    )
    max_roc_auc_loss: float = Field(
        default=0.01, ge=0, le=1, description="How far below the champion's ROC AUC is still accepted."
    )
    max_card_precision_loss: float = Field(
        default=0.02, ge=0, le=1, description="How far below the champion's card precision@100 is still accepted."
    )
    min_average_precision_gain: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Gain over the champion that is demanded; replaces the accepted loss of average precision.",
    )


def decide(
    challenger: EvaluationReport,
    champion: EvaluationReport | None,
    policy: GatePolicy,
    candidate_fingerprint: str,
) -> Verdict:
    """Judge a challenger; with no champion yet, the floors alone decide.

    Args:
        challenger: The candidate's report.
        champion: The champion's report on the same holdout, or None before the first promotion.
        policy: The thresholds.
        candidate_fingerprint: Fingerprint of the artifact that would be promoted: an older report is refused.
    """
    return Verdict.of(
        [
            *_wrong_report(challenger, candidate_fingerprint),
            *_below_floors(challenger, policy),
            *(_worse_than(challenger, champion, policy) if champion is not None else ()),
        ]
    )


def _wrong_report(challenger: EvaluationReport, candidate_fingerprint: str) -> Iterator[str]:
    if challenger.role != "challenger":
        yield f"the report is about the {challenger.role}, not about a challenger"
    if challenger.fingerprint != candidate_fingerprint:
        yield (
            f"the report is about {challenger.fingerprint[:12]}, but the candidate is {candidate_fingerprint[:12]}: "
            "evaluate the candidate again"
        )


def _below_floors(report: EvaluationReport, policy: GatePolicy) -> Iterator[str]:
    if report.positives < policy.min_positives:
        yield f"positives in the holdout {report.positives} < {policy.min_positives}: too few to judge"
    floors = (
        ("average_precision", policy.min_average_precision),
        ("roc_auc", policy.min_roc_auc),
        ("card_precision_at_100", policy.min_card_precision_at_100),
    )
    for metric, floor in floors:
        value = _figure(report, metric)
        if value is None:
            yield f"{_spoken(metric)} unavailable: {report.why_unknown(metric)}"
        elif value < floor:
            yield f"{_spoken(metric)} {value:.4f} < {floor:.4f}"
    error = _figure(report, "calibration_error")
    if error is None:
        yield f"calibration error unavailable: {report.why_unknown('calibration_error')}"
    elif error > policy.max_calibration_error:
        yield f"calibration error {error:.4f} > {policy.max_calibration_error:.4f}"


def _figure(report: EvaluationReport, metric: str) -> float | None:
    """A figure of a report; what is not a finite number is unknown, because NaN is neither above nor below a floor."""
    value: float | None = getattr(report, metric)
    return value if value is not None and math.isfinite(value) else None


def _worse_than(challenger: EvaluationReport, champion: EvaluationReport, policy: GatePolicy) -> Iterator[str]:
    if different := tuple(_different_rows(challenger, champion)):
        # A gain measured on other rows is no gain, so the comparison itself would mislead.
        yield from different
        return
    accepted = (
        ("average_precision", -policy.max_average_precision_loss, policy.min_average_precision_gain),
        ("roc_auc", -policy.max_roc_auc_loss, None),
        ("card_precision_at_100", -policy.max_card_precision_loss, None),
    )
    for metric, loss, gain in accepted:
        ours, theirs = _figure(challenger, metric), _figure(champion, metric)
        least = loss if gain is None else gain
        if theirs is None:
            yield f"champion's {_spoken(metric)} unavailable: {champion.why_unknown(metric)}"
        # The floors have already said that the challenger's own figure is missing.
        elif ours is not None and ours - theirs < least - _ROUNDING:
            yield (
                f"{_spoken(metric)} {ours:.4f} against the champion's {theirs:.4f}: {ours - theirs:+.4f} < {least:+.4f}"
            )


_ROUNDING = 1e-12
"""0.69 - 0.70 is a little less than -0.01 in floating point; a loss that is just allowed must pass."""


def _different_rows(challenger: EvaluationReport, champion: EvaluationReport) -> Iterator[str]:
    if champion.role != "champion":
        yield f"the report beside it is about the {champion.role}, not about the champion: not comparable"
    for field in ("model", "training_set_fingerprint", "window", "rows", "positives"):
        ours, theirs = getattr(challenger, field), getattr(champion, field)
        if ours != theirs:
            yield f"{_spoken(field)} differs: challenger {_shown(ours)}, champion {_shown(theirs)}: not comparable"


def _spoken(name: str) -> str:
    return {"roc_auc": "ROC AUC", "card_precision_at_100": "card precision@100"}.get(name, name.replace("_", " "))


def _shown(value: object) -> str:
    return " to ".join(str(part) for part in value) if isinstance(value, tuple) else str(value)
