"""How far chance alone can move the average precision of a few known frauds.

Pure. A week has tens of frauds, and the average precision of so few moves by several points from week to week with an
unchanged model. What follows from a loss is ``performance``.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

RESAMPLES = 200


def average_precision_at_best(
    labels: "np.ndarray", scores: "np.ndarray", confidence: float, *, resamples: int = RESAMPLES, seed: int = 0
) -> float:
    """Return an upper bound of the average precision behind a sample: the quantile of its bootstrap.

    Args:
        labels: Array of shape (n_rows,), 0 or 1, with at least one 1.
        scores: Array of shape (n_rows,), finite.
        confidence: Share of the resamples that lie at or below the bound.
        resamples: How often the rows are drawn.
        seed: Of the draws: the same rows give the same bound.
    """
    import numpy as np

    order = np.argsort(-scores, kind="stable")
    truth, ranked = labels[order].astype("float64"), scores[order]
    last_of_tie = np.flatnonzero(np.append(ranked[:-1] != ranked[1:], [True]))
    random = np.random.default_rng(seed)
    found = []
    for _ in range(resamples):
        # Each row once on average: the Poisson bootstrap, which needs no second sort.
        drawn = random.poisson(1.0, len(truth))
        hits = np.cumsum(drawn * truth)[last_of_tie]
        alerts = np.cumsum(drawn)[last_of_tie]
        if hits[-1]:
            found.append(float((np.diff(hits, prepend=0.0) * hits / np.maximum(alerts, 1)).sum() / hits[-1]))
    return float(np.quantile(found, confidence)) if found else 1.0
