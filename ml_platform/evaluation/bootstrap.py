"""Paired bootstrap by card: how far chance alone can move the difference of two models on the same rows.

Pure. Cards are drawn, not rows: the payments of one card share its fraud, so rows alone would make intervals too
narrow (Field and Welsh 2007, "Bootstrapping clustered data"). Each draw measures both models, so what moves both
cancels in the difference. What follows from the intervals is ``gate``.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from ml_platform.modeling.metrics import CARDS_PER_DAY
from ml_platform.modeling.weighted_ranking import WeightedCardDays, WeightedRanking

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

DRAWS = 500
THREADS = 2
WEIGHTS_AT_ONCE = 400_000
"""Weights of the draws that are measured together: more of them no longer fit the processor's cache."""
MAX_UNITS = 50_000
"""Rows without a card are drawn in at most so many groups, each from all days: draws of single rows would not fit."""
RANKING_METRICS = ("average_precision", "roc_auc", "recall_at_fpr", "card_precision_at_100")


@dataclass(frozen=True, slots=True)
class ScoredRows:
    """The rows both models scored; every array has shape (n_rows,)."""

    labels: "np.ndarray"
    cards: "np.ndarray"
    """Number of each row's card, from 0."""
    days: "np.ndarray"
    """Number of each row's day, from 0, in order of time."""

    @classmethod
    def of(cls, labels: "np.ndarray", cards: "pd.Series", times: "pd.Series") -> Self:
        """Number the cards and the UTC days of these rows."""
        import pandas as pd

        days = pd.to_datetime(times, utc=True, cache=False).dt.floor("D")
        return cls(labels, *(pd.factorize(values, sort=True)[0].astype("int32") for values in (cards, days)))


@dataclass(frozen=True, slots=True)
class Draws:
    """Each metric of one model, on the rows as they are and in each draw."""

    figures: Mapping[str, float]
    values: "Mapping[str, np.ndarray]"
    """Of shape (n_draws,); NaN where a draw had no value."""


def drawn_together(holdout: "pd.DataFrame", card: str) -> "pd.Series":
    """Return what is drawn as a whole with each row: its card, or without that column the row alone."""
    import numpy as np
    import pandas as pd

    if card in holdout.columns:
        return holdout[card]
    return pd.Series(np.arange(len(holdout)) % MAX_UNITS, index=holdout.index)


def draw_cards(n_cards: int, draws: int, seed: int) -> "np.ndarray":
    """Return how often each card is drawn, int16 of shape (n_draws, n_cards); draw i does not depend on how many."""
    import numpy as np

    return np.stack(
        [
            np.bincount(np.random.default_rng(child).integers(0, n_cards, n_cards), minlength=n_cards).astype("int16")
            for child in np.random.SeedSequence(seed).spawn(draws)
        ]
    )


def ranking_draws(rows: ScoredRows, scores: "Mapping[str, np.ndarray]", drawn: "np.ndarray") -> dict[str, Draws]:
    """Measure each model's ranking on the same draws of cards.

    Args:
        rows: Labels, cards and days.
        scores: By model, finite scores of shape (n_rows,).
        drawn: From ``draw_cards``, of shape (n_draws, n_cards).
    """
    import numpy as np

    measured = {
        name: (
            WeightedRanking(rows.labels, given, rows.cards),
            WeightedCardDays(rows.labels, given, rows.days, rows.cards),
        )
        for name, given in scores.items()
    }

    def measure(weights: "np.ndarray") -> "np.ndarray":
        return np.stack([_figures(ranking, by_day, weights) for ranking, by_day in measured.values()], axis=1)

    # The rows as they are: each card once.
    all_weights = np.concatenate([np.ones_like(drawn[:1]), drawn])
    parts = min(1 + all_weights.size // WEIGHTS_AT_ONCE, 1 + len(drawn) // 16)
    with ThreadPoolExecutor(THREADS) as pool:
        table = np.concatenate(list(pool.map(measure, np.array_split(all_weights, parts))))
    return {
        name: Draws(
            dict(zip(RANKING_METRICS, table[0, position].tolist(), strict=True)),
            {metric: table[1:, position, column] for column, metric in enumerate(RANKING_METRICS)},
        )
        for position, name in enumerate(measured)
    }


def _figures(ranking: WeightedRanking, by_day: WeightedCardDays, weights: "np.ndarray") -> "np.ndarray":
    import numpy as np

    figures = ranking.measure_all(weights)
    precision = by_day.measure_all(weights, CARDS_PER_DAY)
    # A draw that lost a class has no figure at all.
    precision[np.isnan(figures[:, 0])] = np.nan
    table: np.ndarray = np.column_stack([figures, precision])
    return table


def ratio_draws(cards: "np.ndarray", over: "np.ndarray", under: "np.ndarray", drawn: "np.ndarray") -> "np.ndarray":
    """Bootstrap ratios of sums, e.g. frauds found by frauds, or cost by payments.

    Args:
        cards: Number of each row's card, of shape (n_rows,).
        over: Numerators of shape (n_rows, n_ratios).
        under: Denominators of the same shape.
        drawn: From ``draw_cards``, of shape (n_draws, n_cards).

    Returns:
        Array of shape (n_draws, n_ratios); NaN where a draw's denominator is 0.
    """
    import numpy as np

    n_cards, ratios = drawn.shape[1], over.shape[1]
    sums = np.stack(
        [
            np.bincount(cards, weights=part[:, ratio], minlength=n_cards)
            for part in (over, under)
            for ratio in range(ratios)
        ],
        axis=1,
    )
    totals = np.concatenate([chunk.astype(float) @ sums for chunk in np.array_split(drawn, max(len(drawn) // 50, 1))])
    tops, bottoms = totals[:, :ratios], totals[:, ratios:]
    ratio: np.ndarray = np.divide(tops, bottoms, out=np.full_like(tops, np.nan), where=bottoms > 0)
    return ratio
