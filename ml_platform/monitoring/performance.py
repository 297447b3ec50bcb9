"""Performance of served scores, on the labels that are known by now.

Pure. Only payments old enough for their label to have matured are judged: counting early frauds alone would flatter
or blame the model, depending on how fast fraud is reported. What follows from it is ``decision``.
"""

from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from ml_platform.core.verdict import Verdict
from ml_platform.modeling.metrics import ModelMetrics, measure

if TYPE_CHECKING:
    import pandas as pd


class PerformancePolicy(BaseModel):
    """When served scores have become worse than the gate's evidence promised."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    maturity_days: int = Field(default=7, ge=0, description="Age from which a payment's label counts as known.")
    min_matured_rows: int = Field(
        default=1000, gt=0, description="Fewer matured rows than this are too early to judge."
    )
    min_matured_positives: int = Field(
        default=20, gt=0, description="Fewer known frauds than this are too early to judge."
    )
    max_average_precision_loss: float = Field(
        default=0.05, gt=0, le=1, description="Loss against the gate's holdout that calls for action."
    )
    max_calibration_error: float = Field(
        default=0.05, gt=0, le=1, description="Calibration error that calls for action."
    )


class PerformanceReport(BaseModel):
    """Figures of served scores, beside those the model was promoted on."""

    model_config = ConfigDict(frozen=True)

    model: str
    package_arn: str
    as_of: datetime = Field(description="Labels known by then are counted.")
    served: int = Field(description="Captured payments.")
    matured: ModelMetrics = Field(description="Figures over the payments whose label has matured.")
    reference_average_precision: float | None = Field(description="On the gate's holdout.")
    judged: bool = Field(description="Whether enough labels have matured to judge at all.")
    failures: tuple[str, ...]

    @property
    def matured_share(self) -> float:
        """Share of the served payments whose label has matured."""
        return self.matured.rows / self.served if self.served else 0.0

    @property
    def average_precision_loss(self) -> float | None:
        """How far below the gate's figure the served scores are; None when either is unknown."""
        now, before = self.matured.average_precision, self.reference_average_precision
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
) -> PerformanceReport:
    """Hold served scores against labels.

    Args:
        served: One row per served payment: ``transaction_id``, ``event_time``, ``customer_id``, ``score``.
        labels: Newest known label per payment: ``transaction_id``, ``label``; all known by ``as_of``.
        reference_average_precision: The gate's figure for this package.
        policy: The thresholds.
        model: Name of the model.
        package_arn: The package that served the scores.
        as_of: Instant of the judgement.
    """
    import pandas as pd

    old_enough = served[served["event_time"] <= as_of - pd.Timedelta(days=policy.maturity_days)]
    rows = old_enough.merge(labels[["transaction_id", "label"]], on="transaction_id", how="inner")
    days = rows["event_time"].dt.date
    matured = measure(
        rows["label"].to_numpy(),
        rows["score"].to_numpy(),
        days=days.to_numpy(),
        cards=rows["customer_id"].to_numpy(),
        window=(days.min(), days.max()) if len(rows) else None,
    )
    report = PerformanceReport(
        model=model,
        package_arn=package_arn,
        as_of=as_of,
        served=len(served),
        matured=matured,
        reference_average_precision=reference_average_precision,
        judged=matured.rows >= policy.min_matured_rows and matured.positives >= policy.min_matured_positives,
        failures=(),
    )
    return report.model_copy(update={"failures": tuple(_failures(report, policy))})


def _failures(report: PerformanceReport, policy: PerformancePolicy) -> list[str]:
    matured = report.matured
    if not report.judged:
        return [
            f"matured rows {matured.rows} (need {policy.min_matured_rows}), known frauds {matured.positives} "
            f"(need {policy.min_matured_positives}): too early to tell"
        ]
    failures = []
    if report.average_precision_loss is None:
        failures.append(f"loss of average precision unavailable: {matured.why_unknown('average_precision')}")
    elif report.average_precision_loss > policy.max_average_precision_loss:
        failures.append(
            f"average precision {matured.average_precision:.4f} on served payments against "
            f"{report.reference_average_precision:.4f} at the gate: a loss of {report.average_precision_loss:.4f} > "
            f"{policy.max_average_precision_loss:.4f}"
        )
    if matured.calibration_error is None:
        failures.append(f"calibration error unavailable: {matured.why_unknown('calibration_error')}")
    elif matured.calibration_error > policy.max_calibration_error:
        failures.append(f"calibration error {matured.calibration_error:.4f} > {policy.max_calibration_error:.4f}")
    return failures
