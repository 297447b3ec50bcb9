"""How far chance can move one model's own figures, by the bootstrap of cards.

Pure. The difference of two models is ``comparison``; this is what a reader of a model card wants beside each figure.
"""

from typing import TYPE_CHECKING

from ml_platform.evaluation.bootstrap import ScoredRows, draw_cards, ranking_draws

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

DRAWS = 100
"""Enough for the 5 % quantiles that are shown with two digits; nothing is judged by them."""


def metric_intervals(
    holdout: "pd.DataFrame", scores: "np.ndarray", *, label: str = "label", card: str = "customer_id", seed: int = 0
) -> dict[str, tuple[float, float]]:
    """Return the 90 % interval of each ranking metric; nothing where labels, cards or scores allow none."""
    import numpy as np

    labels = holdout[label].to_numpy()
    if card not in holdout.columns or len(np.unique(labels)) < 2 or not np.isfinite(scores).all():  # noqa: PLR2004
        return {}
    rows = ScoredRows.of(labels, holdout[card], holdout["event_time"])
    drawn = draw_cards(int(rows.cards.max()) + 1, DRAWS, seed)
    measured = ranking_draws(rows, {"model": np.asarray(scores, float)}, drawn)["model"]
    found = {}
    for name, values in measured.values.items():
        known = values[np.isfinite(values)]
        if len(known):
            low, high = np.quantile(known, [0.05, 0.95])
            found[name] = (float(low), float(high))
    return found
