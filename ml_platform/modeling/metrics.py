"""How good scores are: ranking, cards found per day, calibration. Shared by evaluation, monitoring and training.

Pure. A metric that cannot be computed raises :class:`UndefinedMetricError` with the reason; :func:`measure`
turns that into ``None`` and keeps the reason, because unknown is not zero. What is good enough is decided in
``evaluation.gate`` and ``monitoring.performance``.
"""

from collections.abc import Callable, Mapping
from datetime import date
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from ml_platform.modeling import ranking
from ml_platform.modeling.weighted_ranking import WeightedCardDays

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import ArrayLike

Value = TypeVar("Value")

CARDS_PER_DAY = 100
"""How many cards investigators can look at in a day: the Handbook's k."""


class UndefinedMetricError(ValueError):
    """The metric has no value on this input; the message says why."""


class ModelMetrics(BaseModel):
    """Figures of one model on one window of labelled rows; ``None`` means unknown, with the reason kept."""

    model_config = ConfigDict(frozen=True)

    window: tuple[date, date] | None = Field(description="First and last day of the rows, both included.")
    rows: int = Field(ge=0, description="Labelled rows that were scored.")
    positives: int = Field(ge=0, description="Rows among them whose label is 1.")
    average_precision: float | None = None
    roc_auc: float | None = None
    card_precision_at_100: float | None = None
    card_precision_ceiling: float | None = Field(
        default=None, description="Card precision of a perfect ranking on the same rows: it is seldom near 1."
    )
    calibration_error: float | None = None
    brier: float | None = None
    unavailable: dict[str, str] = Field(default_factory=dict, description="Why a metric is unknown, by its name.")

    def why_unknown(self, metric: str) -> str:
        """Return the reason a metric is ``None``."""
        return self.unavailable.get(metric, "not computed")


def average_precision(labels: "ArrayLike", scores: "ArrayLike") -> float:
    """Area under the precision-recall steps: the headline figure when positives are rare.

    Raises:
        UndefinedMetricError: When there are no rows, one class only, or a score that is not finite.
    """
    truth, given = two_classes(labels, scores)
    return ranking.average_precision(truth, given)


def roc_auc(labels: "ArrayLike", scores: "ArrayLike") -> float:
    """Chance that a positive is scored above a negative.

    Raises:
        UndefinedMetricError: When there are no rows, one class only, or a score that is not finite.
    """
    truth, given = two_classes(labels, scores)
    return ranking.roc_auc(truth, given)


def brier(labels: "ArrayLike", scores: "ArrayLike") -> float:
    """Mean squared distance of probabilities to labels.

    Raises:
        UndefinedMetricError: When there are no rows or a score outside [0, 1].
    """
    truth, given = probabilities(labels, scores)
    return float(((given - truth) ** 2).mean())


def expected_calibration_error(labels: "ArrayLike", scores: "ArrayLike", *, bins: int = 10) -> float:
    """Mean distance of predicted and observed rate over bins of equal mass.

    Raises:
        UndefinedMetricError: When there are no rows or a score outside [0, 1].
    """
    predicted, observed, rows = calibration_curve(labels, scores, bins=bins)
    return float((abs(predicted - observed) * rows).sum() / rows.sum())


def calibration_curve(
    labels: "ArrayLike", scores: "ArrayLike", *, bins: int = 10
) -> "tuple[np.ndarray, np.ndarray, np.ndarray]":
    """Mean score, observed rate and number of rows in each of ``bins`` bins of equal mass, in order of score.

    Raises:
        UndefinedMetricError: When there are no rows or a score outside [0, 1].
    """
    import numpy as np

    truth, given = probabilities(labels, scores)
    # Bins of equal width would put nearly all of a rare-event model's rows into the first one. Rows that tie
    # stay together, or the figure would depend on the order of the rows.
    _, position, counts = np.unique(given, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - counts / 2
    membership = np.minimum(middle * bins / len(given), bins - 1).astype(int)[position]
    rows = np.bincount(membership, minlength=bins)
    used = rows > 0
    predicted = np.bincount(membership, weights=given, minlength=bins)[used] / rows[used]
    observed = np.bincount(membership, weights=truth, minlength=bins)[used] / rows[used]
    return predicted, observed, rows[used]


def card_precision_at_k(frame: "pd.DataFrame", *, k: int = CARDS_PER_DAY) -> float:
    """Share of truly compromised cards among the ``k`` most suspicious cards of a day, mean over days.

    The Handbook's definition: a card's score on a day is its highest; cards found on an earlier day are removed;
    the share is taken over ``k`` even on days with fewer cards. Ties are broken by card, so that the figure does
    not depend on the order of the rows.

    Args:
        frame: One row per transaction, columns ``day``, ``customer_id``, ``label`` and ``score``.
        k: Cards that can be looked at in a day.

    Raises:
        UndefinedMetricError: When there are no rows, or a label or score that is not usable.
    """
    import numpy as np
    import pandas as pd

    rows = frame.dropna(subset=["day", "customer_id"])
    labels, scores = _usable(rows["label"], rows["score"])
    days, cards = (pd.factorize(rows[name], sort=True)[0] for name in ("day", "customer_id"))
    return WeightedCardDays(labels, scores, days, cards).measure(np.ones(cards.max() + 1, int), k)


def measure(
    labels: "ArrayLike",
    scores: "ArrayLike",
    *,
    days: "ArrayLike | None" = None,
    cards: "ArrayLike | None" = None,
    window: tuple[date, date] | None = None,
) -> ModelMetrics:
    """Compute every metric; one that is undefined becomes ``None`` and its reason is kept.

    Args:
        labels: Array of shape (n_rows,), 0 or 1.
        scores: Array of shape (n_rows,), in [0, 1].
        days: Day of each row; with ``cards`` it allows the card precision.
        cards: Card of each row.
        window: First and last day that the rows cover.
    """
    import numpy as np
    import pandas as pd

    def by_card(values: "ArrayLike") -> float:
        if days is None or cards is None:
            raise UndefinedMetricError("the rows carry no card or no day")
        return card_precision_at_k(
            pd.DataFrame({"day": days, "customer_id": cards, "label": np.asarray(labels), "score": np.asarray(values)})
        )

    computed, unavailable = attempt(
        {
            "average_precision": lambda: average_precision(labels, scores),
            "roc_auc": lambda: roc_auc(labels, scores),
            "card_precision_at_100": lambda: by_card(scores),
            "card_precision_ceiling": lambda: by_card(labels),
            "calibration_error": lambda: expected_calibration_error(labels, scores),
            "brier": lambda: brier(labels, scores),
        }
    )
    truth = np.asarray(labels)
    return ModelMetrics(
        window=window, rows=len(truth), positives=int((truth == 1).sum()), unavailable=unavailable, **computed
    )


def attempt(measurements: Mapping[str, Callable[[], Value]]) -> tuple[dict[str, Value], dict[str, str]]:
    """Return what could be measured, and of the rest the reason, by name."""
    computed: dict[str, Value] = {}
    unavailable: dict[str, str] = {}
    for name, compute in measurements.items():
        try:
            computed[name] = compute()
        except UndefinedMetricError as error:
            unavailable[name] = str(error)
    return computed, unavailable


def _usable(labels: "ArrayLike", scores: "ArrayLike") -> "tuple[np.ndarray, np.ndarray]":
    import numpy as np

    truth = np.asarray(labels, dtype=float).ravel()
    given = np.asarray(scores, dtype=float).ravel()
    if len(truth) != len(given):
        raise ValueError(f"{len(truth)} labels but {len(given)} scores: they must describe the same rows")
    if not len(truth):
        raise UndefinedMetricError("no rows")
    if broken := int((~np.isfinite(given)).sum()):
        raise UndefinedMetricError(f"{broken} of {len(given)} scores are not finite numbers")
    if strange := int((~np.isin(truth, (0.0, 1.0))).sum()):
        raise UndefinedMetricError(f"{strange} of {len(truth)} labels are neither 0 nor 1")
    return truth, given


def two_classes(labels: "ArrayLike", scores: "ArrayLike") -> "tuple[np.ndarray, np.ndarray]":
    """Return labels and finite scores as floats, of shape (n_rows,), with both classes among them.

    Raises:
        UndefinedMetricError: When they are not.
    """
    truth, given = _usable(labels, scores)
    positives = int(truth.sum())
    if positives in (0, len(truth)):
        raise UndefinedMetricError(f"one class only: {positives} positives in {len(truth)} rows")
    return truth, given


def probabilities(labels: "ArrayLike", scores: "ArrayLike") -> "tuple[np.ndarray, np.ndarray]":
    """Return labels and scores in [0, 1] as floats, of shape (n_rows,).

    Raises:
        UndefinedMetricError: When they are not.
    """
    truth, given = _usable(labels, scores)
    if outside := int(((given < 0) | (given > 1)).sum()):
        raise UndefinedMetricError(f"{outside} of {len(given)} scores lie outside [0, 1]")
    return truth, given
