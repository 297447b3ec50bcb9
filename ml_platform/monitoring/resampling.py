"""How far chance alone can move the average precision of a few known frauds.

Pure. A week has tens of frauds, and the average precision of so few moves by several points from week to week with an
unchanged model. What follows from a loss is ``performance``.
"""

from typing import TYPE_CHECKING

from ml_platform.modeling.weighted_ranking import WeightedRanking

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

    # In order of score, so that the draws do not depend on the order of the rows.
    order = np.argsort(-scores, kind="stable")
    rows = WeightedRanking(labels[order], scores[order], np.arange(len(labels)))
    random = np.random.default_rng(seed)
    # Each row once on average: the Poisson bootstrap. A draw that lost a class has no figure.
    measured = (rows.measure(random.poisson(1.0, len(labels))) for _ in range(resamples))
    found = [figures.average_precision for figures in measured if figures]
    return float(np.quantile(found, confidence)) if found else 1.0
