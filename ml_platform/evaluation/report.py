"""The evaluation report: one model's figures on one holdout, tied by fingerprint to the candidate and its data.

Pure. Scoring the holdout is the caller's work; judging the report is ``gate``; drawing it is ``plots``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from ml_platform.evaluation.slices import SliceBy, SliceReport, measure_slices
from ml_platform.modeling import ranking
from ml_platform.modeling.cost_curve import CostCurve
from ml_platform.modeling.declared_metrics import FRAUD_METRICS, ModelMetrics, measure
from ml_platform.modeling.metrics import (
    UndefinedMetricError,
    attempt,
    calibration_curve,
    probabilities,
    two_classes,
)
from ml_platform.modeling.money import MoneyParameters
from ml_platform.modeling.prequential import event_days
from ml_platform.modeling.score_stability import ScoreStability

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import ArrayLike

Role = Literal["challenger", "champion"]
RECALL_POINTS = 41
_TOLD = ("cost_curve", "stability", "slices")
"""Measurements whose absence is told; a curve is absent for the reason of its figure."""


class EvaluationReport(ModelMetrics):
    """Figures of one model in one role; serialises to JSON and back unchanged."""

    model: str = Field(description="Name of the model, e.g. card_fraud.")
    role: Role
    fingerprint: str = Field(description="Fingerprint of the artifact that was scored.")
    training_set_fingerprint: str = Field(description="Fingerprint of the training set whose holdout was scored.")
    created_at: datetime
    cost_curve: CostCurve | None = Field(default=None, description="What its decisions cost, by reviews per day.")
    stability: ScoreStability | None = Field(default=None, description="Its scores against the validation days'.")
    slices: SliceReport = SliceReport()
    precision_by_recall: tuple[tuple[float, float], ...] = ()
    observed_by_score: tuple[tuple[float, float], ...] = Field(
        default=(), description="Rate of positives by mean score, over bins of equal mass."
    )


@dataclass(frozen=True, slots=True)
class Asked:
    """What a report holds beside its figures; what is not asked for is left out, what cannot be known says why."""

    money: MoneyParameters | None = None
    """With it, what the decisions cost."""
    validation: "np.ndarray | None" = None
    """Scores of the validation days, of shape (n_validation_rows,): with them, how stable the scores are."""
    slices: Sequence[SliceBy] = ()
    min_slice_positives: int = 20


def evaluate(  # noqa: PLR0913  # keyword-only, each names one field of the report
    holdout: "pd.DataFrame",
    scores: "ArrayLike",
    *,
    model: str,
    role: Role,
    fingerprint: str,
    training_set_fingerprint: str,
    created_at: datetime,
    label: str = "label",
    card: str = "customer_id",
    asked: Asked = Asked(),
    metrics: Sequence[str] = FRAUD_METRICS,
) -> EvaluationReport:
    """Measure a model's scores on a holdout.

    Args:
        holdout: One row per transaction with ``event_time``, the label and the card column.
        scores: Array of shape (n_rows,), in the order of the holdout.
        model: Name of the model.
        role: Whether this is the challenger or the champion on the challenger's window.
        fingerprint: Fingerprint of the scored artifact.
        training_set_fingerprint: Fingerprint of the training set the holdout belongs to.
        created_at: The present instant.
        label: Column that holds the label.
        card: Column that holds what investigators look at: a card, or any other entity.
        asked: What else to measure.
        metrics: Names of the metrics that the model declares.

    Raises:
        ValueError: When the scores are not one per row, or a column is missing.
    """
    missing = [name for name in ("event_time", label) if name not in holdout.columns]
    if missing:
        raise ValueError(f"the holdout lacks {', '.join(missing)}; it has {', '.join(holdout.columns)}")
    days = event_days(holdout)
    measured = measure(
        holdout[label].to_numpy(),
        scores,
        days=days,
        cards=holdout[card].to_numpy() if card in holdout.columns else None,
        window=(min(days), max(days)) if len(days) else None,
        declared=metrics,
    )
    more, unknown = attempt(_measurements(holdout, scores, days, asked, label, card))
    return EvaluationReport(
        **measured.model_dump(exclude={"unavailable"}),
        **more,
        unavailable={**measured.unavailable, **{name: why for name, why in unknown.items() if name in _TOLD}},
        model=model,
        role=role,
        fingerprint=fingerprint,
        training_set_fingerprint=training_set_fingerprint,
        created_at=created_at,
    )


def _measurements(
    holdout: "pd.DataFrame", scores: "ArrayLike", days: "np.ndarray", asked: Asked, label: str, card: str
) -> dict[str, Callable[[], Any]]:
    """Curves, and what is asked for, by their fields of the report."""
    import numpy as np

    labels = holdout[label].to_numpy()
    found: dict[str, Callable[[], Any]] = {
        "precision_by_recall": lambda: _points(
            *ranking.precision_at_recalls(*two_classes(labels, scores), RECALL_POINTS)
        ),
        "observed_by_score": lambda: _points(*calibration_curve(labels, scores)[:2]),
    }
    if (money := asked.money) is not None:

        def cost_curve() -> CostCurve:
            if "amount" not in holdout.columns:
                raise UndefinedMetricError("the rows have no amount")
            truth, given = probabilities(labels, scores)
            amounts = holdout["amount"].to_numpy(dtype=float)
            if unknown := int((~np.isfinite(amounts)).sum()):
                raise UndefinedMetricError(f"of {unknown} rows the amount is unknown")
            return CostCurve.measure(given, truth, amounts, days, money)

        found["cost_curve"] = cost_curve
    if (validation := asked.validation) is not None:

        def stability() -> ScoreStability:
            if not len(validation) or not np.isfinite(validation).all():
                raise UndefinedMetricError("there are no scores of validation days")
            return ScoreStability.measure(validation, probabilities(labels, scores)[1], days)

        found["stability"] = stability
    if asked.slices:

        def slices() -> SliceReport:
            _, given = two_classes(labels, scores)
            minimum = asked.min_slice_positives
            return measure_slices(holdout, given, asked.slices, min_positives=minimum, label=label, card=card)

        found["slices"] = slices
    return found


def _points(xs: "np.ndarray", ys: "np.ndarray") -> tuple[tuple[float, float], ...]:
    return tuple(zip(xs.round(5).tolist(), ys.round(5).tolist(), strict=True))
