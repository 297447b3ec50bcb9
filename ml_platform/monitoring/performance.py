"""Performance of served scores, on the labels that are known by now.

Pure. Only payments old enough for their label to have matured are judged: counting early frauds alone would flatter
or blame the model, depending on how fast fraud is reported. What follows from it is ``decision``.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from ml_platform.core.verdict import Verdict
from ml_platform.modeling.declared_metrics import ModelMetrics, measure
from ml_platform.monitoring.resampling import average_precision_at_best

if TYPE_CHECKING:
    import pandas as pd


MATURITY_DAYS = 7


class PerformancePolicy(BaseModel):
    """When served scores have become worse than the gate's evidence promised."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    maturity_days: int = Field(
        default=MATURITY_DAYS, ge=0, description="Age from which a payment's label counts as known."
    )
    min_matured_rows: int = Field(
        default=1000, gt=0, description="Fewer matured rows than this are too early to judge."
    )
    min_matured_positives: int = Field(
        default=20, gt=0, description="Fewer known frauds than this are too early to judge."
    )
    min_labelled_share: float = Field(
        default=0.9,
        gt=0,
        le=1,
        description="Share of the payments old enough that must have a label; the missing ones may be the frauds.",
    )
    max_average_precision_loss: float = Field(
        default=0.05, gt=0, le=1, description="Loss against the gate's holdout that calls for action."
    )
    confidence: float = Field(
        default=0.95,
        ge=0.5,
        lt=1,
        description="How sure it must be that average precision fell at all: with few frauds it moves by chance.",
    )
    max_calibration_error: float = Field(
        default=0.05, gt=0, le=1, description="Calibration error that calls for action."
    )
    min_calibration_ratio: float = Field(
        default=3.0,
        ge=1,
        description="How many times the gate's calibration error the live one must be, where the gate's is known.",
    )


class PerformanceReport(BaseModel):
    """Figures of served scores, beside those the model was promoted on."""

    model_config = ConfigDict(frozen=True)

    model: str
    package_arn: str
    as_of: datetime = Field(description="Labels known by then are counted.")
    served: int = Field(description="Captured payments, each counted once.")
    old_enough: int = Field(default=0, description="Payments among them whose label should be known by now.")
    matured: ModelMetrics = Field(description="Figures over the payments whose label has matured.")
    reference_average_precision: float | None = Field(description="On the gate's holdout.")
    judged: bool = Field(description="Whether enough labels have matured to judge at all.")
    ranking_fell: bool = Field(
        default=False, description="Average precision is lower than the policy accepts, and not by chance."
    )
    ranking_unsure: bool = Field(
        default=False, description="It is lower than the policy accepts, but chance alone may explain it."
    )
    miscalibrated: bool = Field(default=False, description="Scores no longer match the observed rate of fraud.")
    failures: tuple[str, ...]

    @property
    def matured_share(self) -> float:
        """Share of the served payments whose label has matured."""
        return self.matured.rows / self.served if self.served else 0.0

    @property
    def average_precision_loss(self) -> float | None:
        """How far below the gate's figure the served scores are; None when either is unknown."""
        now, before = self.matured.figure("average_precision"), self.reference_average_precision
        return None if now is None or before is None else before - now

    @property
    def verdict(self) -> Verdict:
        """Passed when enough labels have matured and the figures hold."""
        return Verdict(self.failures)


def judge_performance(
    served: "pd.DataFrame",
    labels: "pd.DataFrame",
    reference_average_precision: float | None,
    policy: PerformancePolicy,
    *,
    model: str,
    package_arn: str,
    as_of: datetime,
    reference_calibration_error: float | None = None,
) -> PerformanceReport:
    """Hold served scores against labels.

    Args:
        served: One row per served payment: ``transaction_id``, ``event_time``, ``score``, and ``customer_id`` for
            the card precision. A payment that was asked about twice counts once, with its first answer.
        labels: ``transaction_id`` and ``label``. With a column ``known_time``, those not known by ``as_of`` are left
            out and the newest known one counts.
        reference_average_precision: The gate's figure for this package.
        policy: The thresholds.
        model: Name of the model.
        package_arn: The package that served the scores.
        as_of: Instant of the judgement.
        reference_calibration_error: The gate's figure for this package.
    """
    once = served.drop_duplicates("transaction_id", keep="first")
    old_enough = _old_enough(once, as_of, policy.maturity_days)
    rows = old_enough.merge(_as_known(labels, as_of), on="transaction_id", how="inner")
    days = rows["event_time"].dt.date
    matured = measure(
        rows["label"].to_numpy(),
        rows["score"].to_numpy(),
        days=days.to_numpy(),
        cards=rows["customer_id"].to_numpy() if "customer_id" in rows else None,
        window=(days.min(), days.max()) if len(rows) else None,
    )
    early = tuple(_too_early(matured, len(old_enough), policy))
    loss = tuple(_ranking(matured, reference_average_precision, policy))
    error = tuple(_calibration(matured, reference_calibration_error, policy))
    lower = bool(loss) and not early and None not in (matured.figure("average_precision"), reference_average_precision)
    chance = tuple(_chance(rows, reference_average_precision, policy)) if lower else ()
    return PerformanceReport(
        model=model,
        package_arn=package_arn,
        as_of=as_of,
        served=len(once),
        old_enough=len(old_enough),
        matured=matured,
        reference_average_precision=reference_average_precision,
        judged=not early,
        ranking_fell=lower and not chance,
        ranking_unsure=bool(chance),
        miscalibrated=bool(error) and matured.figure("calibration_error") is not None and not early,
        # Figures over too few labels are noise: they are shown, and no reason is made of them.
        failures=early or (*loss, *chance, *error),
    )


def matured_scores(
    served: "pd.DataFrame", labels: "pd.DataFrame", as_of: datetime, maturity_days: int = MATURITY_DAYS
) -> "pd.DataFrame":
    """Return the served payments, each once, that are old enough for their label to be known, and whose label is."""
    once = served.drop_duplicates("transaction_id", keep="first")
    return _old_enough(once, as_of, maturity_days).merge(_as_known(labels, as_of), on="transaction_id", how="inner")


def _old_enough(once: "pd.DataFrame", as_of: datetime, maturity_days: int) -> "pd.DataFrame":
    import pandas as pd

    # A frame without rows may have columns without a type.
    timed = once.assign(event_time=pd.to_datetime(once["event_time"], utc=True))
    return timed[timed["event_time"] <= as_of - timedelta(days=maturity_days)]


def _as_known(labels: "pd.DataFrame", as_of: datetime) -> "pd.DataFrame":
    labels = labels.dropna(subset=["label"])
    if "known_time" in labels.columns:
        labels = labels[labels["known_time"] <= as_of].sort_values(["known_time", "label"], kind="stable")
    return labels.drop_duplicates("transaction_id", keep="last")[["transaction_id", "label"]]


def _too_early(matured: ModelMetrics, old_enough: int, policy: PerformancePolicy) -> Iterator[str]:
    if matured.rows < policy.min_matured_rows or matured.positives < policy.min_matured_positives:
        yield (
            f"matured rows {matured.rows} (need {policy.min_matured_rows}), known frauds among them "
            f"{matured.positives} (need {policy.min_matured_positives}): too early to tell"
        )
    if old_enough and matured.rows / old_enough < policy.min_labelled_share:
        yield (
            f"{matured.rows} of {old_enough} payments older than {policy.maturity_days} days have a label "
            f"({matured.rows / old_enough:.0%} < {policy.min_labelled_share:.0%}): labels are missing"
        )


def _ranking(matured: ModelMetrics, reference: float | None, policy: PerformancePolicy) -> Iterator[str]:
    if (now := matured.figure("average_precision")) is None:
        yield f"average precision unavailable: {matured.why_unknown('average_precision')}"
    elif reference is None:
        yield "loss of average precision unavailable: the gate's figure for this package is unknown"
    elif (loss := reference - now) > policy.max_average_precision_loss:
        yield (
            f"average precision {now:.4f} on served payments against {reference:.4f} at the "
            f"gate: a loss of {loss:.4f} > {policy.max_average_precision_loss:.4f}"
        )


def _chance(rows: "pd.DataFrame", reference: float | None, policy: PerformancePolicy) -> Iterator[str]:
    """Whether a model that is as good as at the gate could look this bad on these frauds."""
    best = average_precision_at_best(rows["label"].to_numpy(), rows["score"].to_numpy(), policy.confidence)
    if reference is not None and best >= reference:
        yield f"with {int(rows['label'].sum())} known frauds the loss may be chance ({best:.4f} at best): no reason yet"


def _calibration(matured: ModelMetrics, reference: float | None, policy: PerformancePolicy) -> Iterator[str]:
    error = matured.figure("calibration_error")
    if error is None:
        yield f"calibration error unavailable: {matured.why_unknown('calibration_error')}"
        return
    # A model that was this far off when it was promoted has not become worse.
    limit = max(policy.max_calibration_error, policy.min_calibration_ratio * (reference or 0.0))
    if error > limit:
        yield f"calibration error {error:.4f} > {limit:.4f}"
