"""The operating decision: what drift, performance and data quality together call for.

Pure. Rules, in order; the first that applies decides, and every signal's reasons are listed:

1. Requests that cannot be read, or values suddenly missing: ``fix_data``. Retraining on broken data makes it worse.
2. Performance fell on matured labels: ``roll_back`` when the model went live so recently that it never held,
   else ``retrain``.
3. The ranking holds but the calibration does not: ``rethreshold``.
4. Drift while labels are too young to tell: ``retrain``, as a proposal; the gate decides what comes of it.
   Drift while matured performance holds is no reason: inputs move all the time.
5. Else ``nothing``.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from ml_platform.modeling.baseline import Baseline
from ml_platform.monitoring.drift import DriftReport
from ml_platform.monitoring.performance import PerformancePolicy, PerformanceReport

if TYPE_CHECKING:
    import pandas as pd

Action = Literal["retrain", "rethreshold", "roll_back", "fix_data", "nothing"]


class DecisionPolicy(BaseModel):
    """Limits of the rules."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_rejected_share: float = Field(default=0.01, ge=0, le=1, description="Captured lines that cannot be read.")
    max_missing_jump: float = Field(
        default=0.05, gt=0, le=1, description="Rise of a feature's share of missing values over the baseline's."
    )
    max_calibration_error: float = Field(default=PerformancePolicy().max_calibration_error, gt=0, le=1)


class CaptureQuality(BaseModel):
    """Whether what was captured can be trusted."""

    model_config = ConfigDict(frozen=True)

    rows: int
    rejected: int
    missing_jumps: dict[str, float] = Field(description="Rise of the missing share per feature, where there is one.")


class OperatingDecision(BaseModel):
    """What to do with a live model, and why."""

    model_config = ConfigDict(frozen=True)

    model: str
    action: Action
    reasons: tuple[str, ...] = Field(description="What led to the action; for `nothing`, why nothing is called for.")
    decided_at: datetime


def measure_quality(captured: "pd.DataFrame", rejected: int, baseline: Baseline) -> CaptureQuality:
    """Compare missing values with the baseline's."""
    jumps = {}
    for name in baseline.features:
        before = baseline.columns[name].missing / max(baseline.n_rows, 1)
        now = float(captured[name].isna().mean()) if len(captured) else before
        if now > before:
            jumps[name] = now - before
    return CaptureQuality(rows=len(captured), rejected=rejected, missing_jumps=jumps)


def decide_operation(
    drift: DriftReport,
    performance: PerformanceReport,
    quality: CaptureQuality,
    policy: DecisionPolicy,
    *,
    decided_at: datetime,
    held_before: bool = True,
) -> OperatingDecision:
    """Weigh all signals.

    Args:
        drift: Movement of features and score.
        performance: Figures on matured labels.
        quality: Whether the captured data can be trusted.
        policy: The limits.
        decided_at: The present instant.
        held_before: Whether this model's performance ever held since it went live; if not, it should not be there.
    """
    broken = _broken_data(quality, policy)
    loss = performance.average_precision_loss
    fell = performance.judged and any("average precision" in failure for failure in performance.failures)
    miscalibrated = performance.judged and bool(performance.failures) and not fell
    drifted = tuple(failure for failure in drift.failures if drift.judged)

    def decision(action: Action, *reasons: str) -> OperatingDecision:
        return OperatingDecision(model=drift.model, action=action, reasons=reasons, decided_at=decided_at)

    if broken:
        return decision("fix_data", *broken)
    if fell and loss is None:
        return decision("nothing", *performance.failures, "a figure that cannot be read decides nothing; look at it")
    if fell:
        return decision("retrain" if held_before else "roll_back", *performance.failures, *drifted)
    if miscalibrated:
        return decision("rethreshold", *performance.failures, *drifted)
    if drifted and not performance.judged:
        return decision("retrain", *drifted, *performance.failures, "proposed on drift alone: the gate decides")
    held = "performance holds on matured labels" if performance.judged else "; ".join(performance.failures)
    return decision("nothing", *drifted, held, *(() if drift.judged else drift.failures))


def _broken_data(quality: CaptureQuality, policy: DecisionPolicy) -> tuple[str, ...]:
    reasons = []
    seen = quality.rows + quality.rejected
    if seen and quality.rejected / seen > policy.max_rejected_share:
        reasons.append(f"{quality.rejected} of {seen} captured requests cannot be read")
    reasons.extend(
        f"{name}: missing values rose by {jump:.1%}"
        for name, jump in sorted(quality.missing_jumps.items())
        if jump > policy.max_missing_jump
    )
    return tuple(reasons)
