"""How far chance can move one model's own figures, by the bootstrap of cards.

Pure. The difference of two models is ``comparison``; this is what a reader of a model card wants beside each figure.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ml_platform.evaluation.bootstrap import ScoredRows, draw_cards, drawn_together, ranking_draws, ratio_draws
from ml_platform.modeling.declared_metrics import FRAUD_METRICS, METRICS

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

DRAWS = 100
"""Enough for the 5 % quantiles that are shown with two digits; nothing is judged by them."""


def metric_intervals(
    holdout: "pd.DataFrame",
    scores: "np.ndarray",
    *,
    declared: Sequence[str] = FRAUD_METRICS,
    label: str = "label",
    card: str = "customer_id",
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """Return the 90 % interval of each metric that can be drawn; nothing where labels or scores allow none.

    Without the column of cards each row is drawn alone, and what is counted by card has no interval.
    """
    import numpy as np

    labels, given = holdout[label].to_numpy(), np.asarray(scores, float)
    if len(np.unique(labels)) < 2 or not np.isfinite(given).all():  # noqa: PLR2004
        return {}
    rows = ScoredRows.of(labels, drawn_together(holdout, card), holdout["event_time"])
    drawn = draw_cards(int(rows.cards.max()) + 1, DRAWS, seed)
    values = dict(ranking_draws(rows, {"model": given}, drawn)["model"].values)
    if card not in holdout.columns:
        del values["card_precision_at_100"]
    by_row = {name: add for name in declared if (add := METRICS[name].by_row)}
    if by_row:
        losses = np.stack([add(labels, given) for add in by_row.values()], axis=1)
        means = ratio_draws(rows.cards, losses, np.ones_like(losses), drawn)
        values |= dict(zip(by_row, means.T, strict=True))
    return {name: _interval(known) for name, drawn_values in values.items() if len(known := _finite(drawn_values))}


def _finite(values: "np.ndarray") -> "np.ndarray":
    import numpy as np

    finite: np.ndarray = values[np.isfinite(values)]
    return finite


def _interval(values: "np.ndarray") -> tuple[float, float]:
    import numpy as np

    low, high = np.quantile(values, [0.05, 0.95])
    return float(low), float(high)
