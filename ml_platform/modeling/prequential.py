"""Folds within the training days: how a search judges a trial without ever touching the days that judge the model.

Each fold tests on some of the newest training days and fits on all days that end a label delay before them, as the
Fraud Detection Handbook's prequential validation does; a random split would let a trial see the future. The harness
that reproduces the Handbook's own figures is ``evaluation.folds``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from ml_platform.core.errors import ArtifactError
from ml_platform.modeling import metrics
from ml_platform.modeling.weights import EVENT_TIME

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

CARD = "customer_id"
Objective = Literal["average_precision", "roc_auc", "card_precision_at_100"]


class Trial(BaseModel):
    """How a trial is measured."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    objective: Objective = Field(default="average_precision", description="What is to be as great as possible.")
    folds: int = Field(default=3, ge=1, le=12, description="How many folds; the figure is their mean.")
    test_days: int = Field(default=7, ge=1, description="Days that a fold tests on.")
    delay_days: int = Field(default=7, ge=0, description="Days before the test whose labels are not known by then.")

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that the measurement reads beside features and label."""
        return (EVENT_TIME, CARD) if self.objective == "card_precision_at_100" else (EVENT_TIME,)


@dataclass(frozen=True, slots=True)
class InnerFold:
    """Days of one fold within the training days."""

    train_end: date
    """First day after the fold's training days."""
    test_start: date
    test_end: date
    """First day after the fold's test days."""


def inner_folds(first: date, last: date, trial: Trial) -> list[InnerFold]:
    """Return the folds, newest first, of training days from ``first`` to ``last``, both included.

    Raises:
        ArtifactError: When there are too few days for so many folds.
    """
    end = last + timedelta(days=1)
    found = []
    for back in range(trial.folds):
        test_end = end - timedelta(days=back * trial.test_days)
        test_start = test_end - timedelta(days=trial.test_days)
        found.append(InnerFold(test_start - timedelta(days=trial.delay_days), test_start, test_end))
    if found[-1].train_end <= first:
        needed = trial.folds * trial.test_days + trial.delay_days + 1
        raise ArtifactError(
            f"{trial.folds} folds of {trial.test_days} days after a delay of {trial.delay_days} need {needed} training"
            f" days; there are {(end - first).days}. Train on more days, or search with fewer or shorter folds."
        )
    return found


def split_folds(frame: "pd.DataFrame", trial: Trial) -> "Iterator[tuple[pd.DataFrame, pd.DataFrame]]":
    """Yield each fold's training and test rows, newest fold first."""
    days = event_days(frame)
    for fold in inner_folds(min(days), max(days), trial):
        yield frame[days < fold.train_end], frame[(days >= fold.test_start) & (days < fold.test_end)]


def measure_fold(test: "pd.DataFrame", label: str, scores: "np.ndarray", objective: Objective) -> float:
    """Return a fold's figure.

    Raises:
        ArtifactError: When the fold allows none, for example because it has no positive row.
    """
    import pandas as pd

    labels = test[label].to_numpy()
    try:
        if objective == "card_precision_at_100":
            cards = test[CARD].to_numpy()
            return metrics.card_precision_at_k(
                pd.DataFrame({"day": event_days(test), CARD: cards, "label": labels, "score": scores})
            )
        return float(getattr(metrics, objective)(labels, scores))
    except metrics.UndefinedMetricError as error:
        raise ArtifactError(f"A fold has no {objective}: {error}. Use longer folds.") from error


def event_days(frame: "pd.DataFrame") -> "np.ndarray":
    """Return the day (UTC) of each row."""
    import pandas as pd

    # A frame without rows may have columns without a type.
    days: np.ndarray = pd.to_datetime(frame[EVENT_TIME], utc=True).dt.date.to_numpy()
    return days
