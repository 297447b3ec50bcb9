"""Ranking figures of the same rows under ever other weights: what a bootstrap asks for hundreds of times.

The rows are sorted once. Figures change only where a tie of equal scores holds a positive, about 1 % of the rows, so
all that a draw must know is the weight of the negatives between those ties: one product of a sparse matrix with the
weights, for many draws at a time. Equal scores count together, as in ``ranking``, whose figures these are when every
weight is 1. Which rows are drawn is ``evaluation.bootstrap``.
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
        drawn, positive = units[order].astype("int32"), labels[order] == 1
        hit, tie = np.unique((np.cumsum(starts_tie) - 1)[positive], return_inverse=True)
        starts = np.append(np.flatnonzero(starts_tie), len(ranked))
        # Negatives are counted above each tie that holds a positive, in it, and below the last: above, in, above, ...
        edges = np.stack([starts[hit], starts[np.minimum(hit + 1, len(starts) - 1)]], axis=1).ravel()
        above = np.append(0, np.cumsum(~positive))
        n_units = int(units.max()) + 1 if len(units) else 0
        self._hits = _sums_of_units(drawn[positive], np.bincount(tie, minlength=len(hit)), n_units)
        self._misses = _sums_of_units(
            drawn[~positive], np.diff(np.concatenate([[0], above[edges], above[-1:]])), n_units
        )
        self._max_fpr = max_fpr

    def measure(self, weights: "np.ndarray") -> RankingFigures | None:
        """Measure the rows with the weight of their unit; None when one class has no weight.

        Args:
            weights: How often each unit was drawn: integers of shape (n_units,).
        """
        import numpy as np

        figures = self.measure_all(weights[None])[0]
        return None if np.isnan(figures[0]) else RankingFigures(*figures.tolist())

    def measure_all(self, weights: "np.ndarray") -> "np.ndarray":
        """Measure many draws at once.

        Args:
            weights: How often each unit was drawn: integers of shape (n_draws, n_units).

        Returns:
            Array of shape (n_draws, 3), columns as in ``RankingFigures``; NaN where one class has no weight.
        """
        import numpy as np

        by_unit = np.ascontiguousarray(weights.T[: self._hits.shape[1]], dtype="int32")
        gained = self._hits @ by_unit
        hits = np.cumsum(gained, axis=0, dtype=float)
        misses = np.cumsum(self._misses @ by_unit, axis=0, dtype=float)
        positives, negatives = hits[-1] if len(hits) else np.zeros(len(weights)), misses[-1]
        known = (positives > 0) & (negatives > 0)
        figures = np.full((len(weights), 3), np.nan)
        if not known.any():
            return figures
        misses_before, misses_after = misses[:-1:2], misses[1::2]
        at_end = hits + misses_after
        precision = np.divide(hits, at_end, out=np.zeros_like(hits), where=at_end > 0)
        allowed = (misses_after <= self._max_fpr * negatives).sum(axis=0)
        found = np.where(allowed > 0, np.take_along_axis(hits, np.maximum(allowed - 1, 0)[None], axis=0)[0], 0)
        ranked_below = (gained * (negatives - (misses_before + misses_after) / 2)).sum(axis=0)
        columns = ((gained * precision).sum(axis=0), ranked_below / np.maximum(negatives, 1), found)
        figures[known] = (np.stack(columns, axis=1) / np.maximum(positives, 1)[:, None])[known]
        return figures


def _sums_of_units(units: "np.ndarray", sizes: "np.ndarray", n_units: int):  # type: ignore[no-untyped-def]
    """Return the sparse matrix whose product with weights sums them over runs of rows, ``sizes`` rows in each."""
    import numpy as np
    from scipy.sparse import csr_array

    starts = np.append(0, np.cumsum(sizes)).astype("int32")
    return csr_array((np.ones(len(units), "int32"), units, starts), shape=(len(sizes), n_units))


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
        return float(self.measure_all(weights[None], k)[0])

    def measure_all(self, weights: "np.ndarray", k: int) -> "np.ndarray":
        """Measure many draws at once: weights of shape (n_draws, n_cards) give an array of shape (n_draws,)."""
        import numpy as np

        left = np.array(weights.T[: self._cards], dtype="int32", order="C")
        shares = np.zeros(len(weights))
        for cards, compromised in self._days:
            # Of thousands of cards the first few hundred fill the places, whatever was drawn.
            looked_at = 4 * k
            while looked_at < len(cards) and (left[cards[:looked_at]].sum(axis=0) < k).any():
                looked_at *= 4
            first, guilty = cards[:looked_at], compromised[:looked_at]
            drawn = left[first]
            taken = np.clip(k - (np.cumsum(drawn, axis=0) - drawn), 0, drawn)[guilty]
            shares += taken.sum(axis=0) / k
            left[first[guilty]] = np.where(taken > 0, 0, drawn[guilty])
        return shares / max(len(self._days), 1)
