"""The operating decision: what drift, performance, skew and data quality together call for.

Pure. Rules, in order; the first that applies decides, and every signal's reasons are listed:

1. Requests that cannot be read, scores that are no probabilities, values suddenly missing, or more requests than the
   skew policy allows that were served other features than the offline store holds, for whatever cause: ``fix_data``.
   Retraining on broken data makes it worse, and every other signal is void: a model that is trained on features which
   are not those it is served was never at fault.
2. Performance fell on matured labels: ``roll_back`` when this model never held and an earlier one did, else
   ``retrain``.
3. The ranking holds but the calibration does not: ``rethreshold``.
4. Drift that labels are too young to tell about: ``retrain``, as a proposal; the gate decides what comes of it.
   Drift while matured performance holds is no reason: inputs move all the time.
5. Else ``nothing``. What could not be read is still listed: unknown is no all-clear.

A report about a package that is no longer live says nothing about the one that is: it counts as unknown.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from ml_platform.modeling.baseline import Baseline
from ml_platform.modeling.declared_metrics import ModelMetrics
from ml_platform.modeling.schema import SCORE
from ml_platform.monitoring.drift import DriftReport
from ml_platform.monitoring.performance import PerformanceReport
from ml_platform.monitoring.skew import SkewReport

if TYPE_CHECKING:
    import pandas as pd

Action = Literal["retrain", "rethreshold", "roll_back", "fix_data", "nothing"]


class OperatingPolicy(BaseModel):
    """Limits of the rules."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_requests: int = Field(
        default=100, gt=0, description="Fewer captured requests than this say nothing about a share of them."
    )
    max_rejected_share: float = Field(default=0.01, ge=0, le=1, description="Captured lines that cannot be read.")
    max_invalid_score_share: float = Field(
        default=0.0, ge=0, le=1, description="Scores that are not a number in [0, 1]; the contract allows none."
    )
    max_missing_jump: float = Field(
        default=0.05, gt=0, le=1, description="Rise of a feature's share of missing values over the baseline's."
    )
    min_matured_share: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="Share of the served payments with a matured label, from which labels outvote drift.",
    )


class CaptureQuality(BaseModel):
    """Whether what was captured can be trusted."""

    model_config = ConfigDict(frozen=True)

    rows: int
    rejected: int = Field(description="Captured lines that could not be read.")
    invalid_scores: int = Field(default=0, description="Scores that are not a number in [0, 1].")
    missing_jumps: dict[str, float] = Field(description="Rise of the missing share per feature, where there is one.")


class OperatingDecision(BaseModel):
    """What to do with a live model, and why."""

    model_config = ConfigDict(frozen=True)

    model: str
    action: Action
    reasons: tuple[str, ...] = Field(description="What led to the action; for `nothing`, why nothing is called for.")
    evidence: dict[str, float] = Field(
        default_factory=dict, description="The figures weighed; unknown ones are absent."
    )
    decided_at: datetime
    package_arn: str | None = Field(default=None, description="The live package that the decision is about.")


def measure_quality(captured: "pd.DataFrame", rejected: int, baseline: Baseline) -> CaptureQuality:
    """Look for what must not be there, and compare missing values with the baseline's."""
    jumps = {}
    for name in baseline.features:
        before = baseline.columns[name].missing / max(baseline.n_rows, 1)
        # A feature that is not captured at all is missing in every row.
        now = float(captured[name].isna().mean()) if name in captured.columns else 1.0
        if len(captured) and now > before:
            jumps[name] = now - before
    # No score at all is as far from a probability as a score can be.
    invalid = int((~captured[SCORE].between(0.0, 1.0)).sum()) if SCORE in captured.columns else len(captured)
    return CaptureQuality(rows=len(captured), rejected=rejected, invalid_scores=invalid, missing_jumps=jumps)


def decide_operation(  # noqa: PLR0913  # keyword-only, each is one piece of evidence
    drift: DriftReport,
    performance: PerformanceReport,
    quality: CaptureQuality | None,
    policy: OperatingPolicy,
    *,
    decided_at: datetime,
    skew: SkewReport | None = None,
    held_before: bool = True,
    another_held: bool = True,
    live_package_arn: str | None = None,
) -> OperatingDecision:
    """Weigh all signals.

    Args:
        drift: Movement of features and score.
        performance: Figures on matured labels.
        quality: Whether the captured data can be trusted; None when nobody looked.
        policy: The limits.
        decided_at: The present instant.
        skew: Whether the served features are those of the offline store; None when nobody compared them.
        held_before: Whether this package's performance ever held; if not, it should not be there.
        another_held: Whether that of an earlier package did; if not, there is nothing to roll back to.
        live_package_arn: The package that is live; reports about any other are void. None when it is theirs.
    """
    live = live_package_arn or performance.package_arn
    drift, performance = _about_live(drift, live), _about_live(performance, live)
    skew = skew and _about_live(skew, live)
    if broken := tuple(_broken_data(quality, skew, policy)):
        action, lead = _FIX_DATA, broken
    else:
        action, lead = _weigh(drift, performance, policy, held_before=held_before, another_held=another_held)
    # Every reason once, in the order in which it weighed.
    reasons = dict.fromkeys([*lead, *drift.failures, *performance.failures, *_unread(quality, skew)])
    return OperatingDecision(
        model=drift.model,
        action=action,
        reasons=tuple(reasons),
        evidence=dict(_figures(drift, performance, quality, skew)),
        decided_at=decided_at,
        package_arn=live,
    )


Report = TypeVar("Report", DriftReport, PerformanceReport, SkewReport)

_FIX_DATA: Action = "fix_data"
_ABOUT_NOTHING: Mapping[type[BaseModel], tuple[str, Mapping[str, Any]]] = {
    DriftReport: ("drift report", {"signals": (), "unknown": ()}),
    PerformanceReport: (
        "performance report",
        {
            "matured": ModelMetrics(window=None, rows=0, positives=0),
            "ranking_fell": False,
            "ranking_unsure": False,
            "miscalibrated": False,
        },
    ),
    SkewReport: ("skew report", {"compared": 0, "skewed": 0, "by_cause": {}, "by_feature": {}}),
}
"""By kind of report, its name and what it says when it says nothing."""


def _about_live(report: Report, live_package_arn: str) -> Report:
    """The report, or one that knows nothing when it is about another package."""
    if report.package_arn == live_package_arn:
        return report
    kind, nothing = _ABOUT_NOTHING[type(report)]
    stale = (
        f"the {kind} is about {_version(report.package_arn)}, but {_version(live_package_arn)} is live: make it anew"
    )
    return report.model_copy(update={**nothing, "judged": False, "failures": (stale,)})


def _version(package_arn: str) -> str:
    return package_arn.rpartition(":")[2]


Weighed = tuple[Action, tuple[str, ...]]


def _weigh(
    drift: DriftReport,
    performance: PerformanceReport,
    policy: OperatingPolicy,
    *,
    held_before: bool,
    another_held: bool,
) -> Weighed:
    if performance.ranking_fell and not held_before and another_held:
        never = "this package's performance never held, an earlier one's did: reject it, the earlier one goes live"
        return "roll_back", (*performance.failures, never)
    if performance.ranking_fell:
        return "retrain", performance.failures
    if performance.miscalibrated:
        return "rethreshold", (*performance.failures, "the ranking holds: retraining is not called for")
    return _weigh_drift(drift, performance, policy)


def _weigh_drift(drift: DriftReport, performance: PerformanceReport, policy: OperatingPolicy) -> Weighed:
    if not drift.alerts:
        return "nothing", tuple(_all_quiet(drift, performance))
    labels_tell = performance.judged and performance.matured_share >= policy.min_matured_share
    if labels_tell and performance.verdict.passed:
        return "nothing", ("inputs moved, but performance holds on matured labels",)
    return "retrain", (*drift.failures, "proposed on drift alone, labels cannot tell yet: the gate decides")


def _all_quiet(drift: DriftReport, performance: PerformanceReport) -> Iterator[str]:
    if performance.verdict.passed:
        yield "performance holds on matured labels"
    if drift.judged:
        yield "no signal has drifted"


def _unread(quality: CaptureQuality | None, skew: SkewReport | None) -> Iterator[str]:
    if quality is None:
        yield "quality of the captured data unknown: nobody looked"
    yield from skew.failures if skew else ("skew unknown: nobody compared what was served with the offline store",)


def _broken_data(quality: CaptureQuality | None, skew: SkewReport | None, policy: OperatingPolicy) -> Iterator[str]:
    if quality is not None:
        yield from _unreadable(quality, policy)
    if skew is not None and skew.judged:
        yield from skew.failures


def _unreadable(quality: CaptureQuality, policy: OperatingPolicy) -> Iterator[str]:
    seen = quality.rows + quality.rejected
    if seen >= policy.min_requests and quality.rejected / seen > policy.max_rejected_share:
        yield f"{quality.rejected} of {seen} captured requests cannot be read"
    if quality.rows and quality.invalid_scores / quality.rows > policy.max_invalid_score_share:
        yield f"{quality.invalid_scores} of {quality.rows} scores are not a number in [0, 1]"
    for name, jump in sorted(quality.missing_jumps.items()):
        if quality.rows >= policy.min_requests and jump > policy.max_missing_jump:
            yield f"{name}: missing values rose by {jump:.1%}"


def _figures(
    drift: DriftReport, performance: PerformanceReport, quality: CaptureQuality | None, skew: SkewReport | None
) -> Iterator[tuple[str, float]]:
    if drift.signals:
        yield "drifted_signals", float(len(drift.alerts))
        yield "highest_psi", drift.ranked[0].corrected_psi
    if performance.judged and performance.average_precision_loss is not None:
        yield "average_precision_loss", performance.average_precision_loss
    if performance.judged and (error := performance.matured.figure("calibration_error")) is not None:
        yield "calibration_error", error
    yield "matured_share", performance.matured_share
    if quality is not None:
        yield "rejected_requests", float(quality.rejected)
    if skew is not None and skew.skew_rate is not None:
        yield "skew_rate", skew.skew_rate
