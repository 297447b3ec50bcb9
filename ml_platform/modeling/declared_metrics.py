"""Which metrics there are for a task, what each needs, and which way is better; and their figures on some rows.

A model declares by name what it is judged by, so a model without cards or amounts needs none. How a metric is computed
is ``metrics``; what is good enough is decided in ``evaluation.gate`` and ``monitoring.performance``.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from ml_platform.modeling import metrics
from ml_platform.modeling.weighted_ranking import MAX_FPR

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike

Task = Literal["binary_classification"]
Needs = Literal["scores", "probabilities", "cards"]


@dataclass(frozen=True, slots=True)
class LabelledScores:
    """What metrics are computed from; every array has shape (n_rows,)."""

    labels: "ArrayLike"
    scores: "ArrayLike"
    days: "ArrayLike | None" = None
    cards: "ArrayLike | None" = None
    """What people look at in a day."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: how people call it, what it needs beside labels, and which way is better."""

    name: str
    spoken: str
    compute: Callable[[LabelledScores], float]
    needs: Needs = "scores"
    better: Literal["higher", "lower"] = "higher"
    most: float = 1.0
    """The largest limit that means something."""
    by_row: "Callable[[np.ndarray, np.ndarray], np.ndarray] | None" = None
    """From labels and scores to what each row adds to the mean that the metric is, if it is one."""


def _by_card(rows: LabelledScores, values: "ArrayLike") -> float:
    import numpy as np
    import pandas as pd

    if rows.days is None or rows.cards is None:
        raise metrics.UndefinedMetricError("the rows carry no card or no day")
    labels, scores = np.asarray(rows.labels), np.asarray(values)
    return metrics.card_precision_at_k(
        pd.DataFrame({"day": rows.days, "customer_id": rows.cards, "label": labels, "score": scores})
    )


_BINARY = (
    Metric("average_precision", "average precision", lambda rows: metrics.average_precision(rows.labels, rows.scores)),
    Metric("roc_auc", "ROC AUC", lambda rows: metrics.roc_auc(rows.labels, rows.scores)),
    Metric(
        "recall_at_fpr",
        f"recall at {MAX_FPR:.0%} false alarms",
        lambda rows: metrics.recall_at_fpr(rows.labels, rows.scores),
    ),
    Metric("card_precision_at_100", "card precision@100", lambda rows: _by_card(rows, rows.scores), "cards"),
    # Card precision is seldom near 1: this is what it could be on the same rows.
    Metric("card_precision_ceiling", "… of a perfect ranking", lambda rows: _by_card(rows, rows.labels), "cards"),
    Metric(
        "calibration_error",
        "calibration error",
        lambda rows: metrics.expected_calibration_error(rows.labels, rows.scores),
        "probabilities",
        "lower",
    ),
    Metric(
        "brier",
        "Brier score",
        lambda rows: metrics.brier(rows.labels, rows.scores),
        "probabilities",
        "lower",
        by_row=metrics.squared_error,
    ),
    Metric(
        "log_loss",
        "log loss",
        lambda rows: metrics.log_loss(rows.labels, rows.scores),
        "probabilities",
        "lower",
        math.inf,
        metrics.surprise,
    ),
)
TASKS: Mapping[Task, Mapping[str, Metric]] = {"binary_classification": {metric.name: metric for metric in _BINARY}}
METRICS: Mapping[str, Metric] = {name: metric for known in TASKS.values() for name, metric in known.items()}
FRAUD_METRICS = tuple(name for name in METRICS if name != "log_loss")
"""What models of payments are judged by, unless they declare something else."""


def require_known(task: Task, names: Sequence[str]) -> None:
    """Refuse names that are no metric of a task.

    Raises:
        ValueError: With those that are.
    """
    if unknown := [name for name in names if name not in TASKS[task]]:
        raise ValueError(f"no metric of {task}: {', '.join(unknown)}; there are {', '.join(TASKS[task])}")


class ModelMetrics(BaseModel):
    """Figures of one model on one window of labelled rows: each declared metric is a field of its own name."""

    model_config = ConfigDict(frozen=True, extra="allow")
    __pydantic_extra__: dict[str, float | None]

    window: tuple[date, date] | None = Field(description="First and last day of the rows, both included.")
    rows: int = Field(ge=0, description="Labelled rows that were scored.")
    positives: int = Field(ge=0, description="Rows among them whose label is 1.")
    unavailable: dict[str, str] = Field(default_factory=dict, description="Why a metric is unknown, by its name.")

    @property
    def figures(self) -> dict[str, float]:
        """What is known of the declared metrics. What is no finite number is unknown: it is not above any limit."""
        return {name: value for name in self.__pydantic_extra__ if (value := self.figure(name)) is not None}

    def figure(self, metric: str) -> float | None:
        """Return a metric's figure; None when it is unknown or was not declared."""
        value = self.__pydantic_extra__.get(metric)
        return value if value is not None and math.isfinite(value) else None

    def why_unknown(self, metric: str) -> str:
        """Return the reason that a metric has no figure."""
        return self.unavailable.get(metric, "not computed")


def measure(
    labels: "ArrayLike",
    scores: "ArrayLike",
    *,
    days: "ArrayLike | None" = None,
    cards: "ArrayLike | None" = None,
    window: tuple[date, date] | None = None,
    declared: Sequence[str] = FRAUD_METRICS,
) -> ModelMetrics:
    """Compute the declared metrics; one that is undefined becomes ``None`` and its reason is kept.

    Args:
        labels: Array of shape (n_rows,), 0 or 1.
        scores: Array of shape (n_rows,), in [0, 1].
        days: Day of each row; with ``cards`` it allows the card precision.
        cards: Card of each row.
        window: First and last day that the rows cover.
        declared: Names of metrics.
    """
    import numpy as np

    rows = LabelledScores(labels, scores, days, cards)
    found, unavailable = metrics.attempt(
        {name: lambda metric=METRICS[name]: metric.compute(rows) for name in declared}  # type: ignore[misc]
    )
    truth = np.asarray(labels)
    return ModelMetrics(
        window=window,
        rows=len(truth),
        positives=int((truth == 1).sum()),
        unavailable=unavailable,
        **{name: found.get(name) for name in declared},
    )
