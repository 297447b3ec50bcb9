"""How good scores are: ranking, cards found per day, calibration. Shared by evaluation, monitoring and training.

Pure. A metric that cannot be computed raises :class:`UndefinedMetricError` with the reason; :func:`attempt` keeps it,
because unknown is not zero. Which of them a model is judged by is declared (``declared_metrics``).
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

from ml_platform.modeling import ranking
from ml_platform.modeling.weighted_ranking import MAX_FPR, WeightedCardDays

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import ArrayLike

Value = TypeVar("Value")

CARDS_PER_DAY = 100
"""How many cards investigators can look at in a day: the Handbook's k."""

_SMALLEST = 1e-15


class UndefinedMetricError(ValueError):
    """The metric has no value on this input; the message says why."""


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


def recall_at_fpr(labels: "ArrayLike", scores: "ArrayLike", *, max_fpr: float = MAX_FPR) -> float:
    """Share of positives found while no more than ``max_fpr`` of the negatives are disturbed.

    Raises:
        UndefinedMetricError: When there are no rows, one class only, or a score that is not finite.
    """
    truth, given = two_classes(labels, scores)
    return ranking.recall_at_fpr(truth, given, max_fpr)


def brier(labels: "ArrayLike", scores: "ArrayLike") -> float:
    """Mean squared distance of probabilities to labels.

    Raises:
        UndefinedMetricError: When there are no rows or a score outside [0, 1].
    """
    return float(squared_error(*probabilities(labels, scores)).mean())


def log_loss(labels: "ArrayLike", scores: "ArrayLike") -> float:
    """Mean surprise at the labels, in nats.

    Raises:
        UndefinedMetricError: When there are no rows or a score outside [0, 1].
    """
    return float(surprise(*probabilities(labels, scores)).mean())


def surprise(labels: "np.ndarray", scores: "np.ndarray") -> "np.ndarray":
    """Return each row's logarithmic loss, of shape (n_rows,); a sure score that is wrong counts as nearly sure."""
    import numpy as np

    kept = np.clip(scores, _SMALLEST, 1 - _SMALLEST)
    losses: np.ndarray = -np.where(labels == 1, np.log(kept), np.log1p(-kept))
    return losses


def squared_error(labels: "np.ndarray", scores: "np.ndarray") -> "np.ndarray":
    """Return each row's squared distance of score and label, of shape (n_rows,)."""
    errors: np.ndarray = (scores - labels) ** 2
    return errors


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
