"""Ranking figures of the same rows under ever other weights: what a bootstrap asks for hundreds of times.

The rows are sorted once; each draw is then one gather and one running sum. Equal scores count together, as in
``ranking``, whose figures these are when every weight is 1. Which rows are drawn is ``evaluation.bootstrap``.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

MAX_FPR = 0.01
"""False-positive rate at which recall is taken: one genuine payment in a hundred is disturbed."""


@dataclass(frozen=True, slots=True)
class RankingFigures:
    """What a ranking of weighted rows is worth."""

    average_precision: float
    roc_auc: float
    recall_at_fpr: float
    """Share of positives above the lowest score whose false-positive rate is still allowed."""


class WeightedRanking:
    """Rows in order of score, ready to be measured under any weights."""

    def __init__(
        self, labels: "np.ndarray", scores: "np.ndarray", units: "np.ndarray", *, max_fpr: float = MAX_FPR
    ) -> None:
        """Sort the rows.

        Args:
            labels: Array of shape (n_rows,), 0 or 1.
            scores: Array of shape (n_rows,), finite.
            units: What is drawn as a whole, e.g. the card's number: integers of shape (n_rows,), from 0.
            max_fpr: False-positive rate that ``recall_at_fpr`` allows.
        """
        import numpy as np

        order = np.argsort(-scores, kind="stable")
        ranked = scores[order]
        starts_tie = np.append([True], ranked[1:] != ranked[:-1]) if len(ranked) else np.empty(0, bool)
        self._units = units[order].astype("int32")
        self._positives = np.flatnonzero(labels[order] == 1)
        tie = np.cumsum(starts_tie) - 1
        # Average precision, AUC and recall change only where a tie holds a positive: about 1 % of the rows.
        hit, self._tie = np.unique(tie[self._positives], return_inverse=True)
        self._first = np.flatnonzero(starts_tie)[hit]
        self._last = np.append(np.flatnonzero(starts_tie)[1:], len(ranked))[hit] - 1
        self._max_fpr = max_fpr

    def measure(self, weights: "np.ndarray") -> RankingFigures | None:
        """Measure the rows with the weight of their unit; None when one class has no weight.

        Args:
            weights: How often each unit was drawn: integers of shape (n_units,).
        """
        import numpy as np

        drawn = weights[self._units]
        alerts = np.cumsum(drawn, dtype="int64")
        gained = np.bincount(self._tie, weights=drawn[self._positives], minlength=len(self._last))
        if not len(gained) or not gained.any() or alerts[-1] == gained.sum():
            return None
        hits = np.cumsum(gained)
        positives, negatives = hits[-1], alerts[-1] - hits[-1]
        at_end = alerts[self._last]
        misses_after = at_end - hits
        misses_before = alerts[self._first] - drawn[self._first] - hits + gained
        allowed = hits[misses_after <= self._max_fpr * negatives]
        precision = np.divide(hits, at_end, out=np.zeros_like(hits), where=at_end > 0)
        return RankingFigures(
            average_precision=float((gained * precision).sum() / positives),
            roc_auc=float((gained * (negatives - (misses_before + misses_after) / 2)).sum() / (positives * negatives)),
            recall_at_fpr=float(allowed[-1] / positives) if len(allowed) else 0.0,
        )


class WeightedCardDays:
    """Each day's cards in order of their highest score: the Handbook's card precision under any weights."""

    def __init__(self, labels: "np.ndarray", scores: "np.ndarray", days: "np.ndarray", cards: "np.ndarray") -> None:
        """Reduce the rows to one per card and day.

        Args:
            labels: Array of shape (n_rows,), 0 or 1.
            scores: Array of shape (n_rows,), finite.
            days: Number of each row's day: integers of shape (n_rows,), from 0, in order of time.
            cards: Number of each row's card: integers of shape (n_rows,), from 0.
        """
        import numpy as np

        self._cards = int(cards.max()) + 1 if len(cards) else 0
        n_days = int(days.max()) + 1 if len(days) else 0
        highest = np.full((n_days, self._cards), -np.inf)
        np.maximum.at(highest, (days, cards), scores)
        compromised = np.zeros((n_days, self._cards), bool)
        compromised[days[labels == 1], cards[labels == 1]] = True
        # Stable: equal scores in order of the card's number. Cards without a row that day come last, and are cut off.
        ranked = [np.argsort(-of_day, kind="stable")[: np.isfinite(of_day).sum()] for of_day in highest]
        self._days = [(order, of_day[order]) for order, of_day in zip(ranked, compromised, strict=True)]

    def measure(self, weights: "np.ndarray", k: int) -> float:
        """Share of compromised cards among the ``k`` most suspicious of a day, mean over days; found cards leave.

        Args:
            weights: How often each card was drawn: integers of shape (n_cards,). A card drawn twice is two cards.
            k: Cards that can be looked at in a day.
        """
        import numpy as np

        found = np.zeros(self._cards, bool)
        shares = []
        for cards, compromised in self._days:
            drawn = np.where(found[cards], 0, weights[cards])
            taken = np.clip(k - (np.cumsum(drawn) - drawn), 0, drawn)
            shares.append(float(taken[compromised].sum()) / k)
            found[cards[compromised & (taken > 0)]] = True
        return sum(shares) / len(shares) if shares else 0.0
