"""The evaluation report: one model's figures on one holdout, tied by fingerprint to the candidate and its data.

Pure. Scoring the holdout is the caller's work; judging the report is ``gate``; drawing it is ``plots``.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from ml_platform.modeling.metrics import ModelMetrics, measure
from ml_platform.modeling.prequential import event_days

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike

Role = Literal["challenger", "champion"]


class EvaluationReport(ModelMetrics):
    """Figures of one model in one role; serialises to JSON and back unchanged."""

    model: str = Field(description="Name of the model, e.g. card_fraud.")
    role: Role
    fingerprint: str = Field(description="Fingerprint of the artifact that was scored.")
    training_set_fingerprint: str = Field(description="Fingerprint of the training set whose holdout was scored.")
    created_at: datetime


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

    Raises:
        ValueError: When the scores are not one per row, or a column is missing.
    """
    missing = [name for name in ("event_time", label) if name not in holdout.columns]
    if missing:
        raise ValueError(f"the holdout lacks {', '.join(missing)}; it has {', '.join(holdout.columns)}")
    days = event_days(holdout)
    metrics = measure(
        holdout[label].to_numpy(),
        scores,
        days=days,
        cards=holdout[card].to_numpy() if card in holdout.columns else None,
        window=(min(days), max(days)) if len(days) else None,
    )
    return EvaluationReport(
        **metrics.model_dump(),
        model=model,
        role=role,
        fingerprint=fingerprint,
        training_set_fingerprint=training_set_fingerprint,
        created_at=created_at,
    )
