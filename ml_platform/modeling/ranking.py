"""How well scores rank rare positives: average precision and ROC AUC, ties counted together. Pure numpy.

Small enough for the training container, which would otherwise load all of scikit-learn for two numbers.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def average_precision(labels: "np.ndarray", scores: "np.ndarray") -> float | None:
    """Return the step-wise area under the precision-recall curve; None without a positive."""
    hits, alerts = _cumulated(labels, scores)
    if not hits.size or not hits[-1]:
        return None
    gained = hits.copy()
    gained[1:] -= hits[:-1]
    return float((gained / hits[-1] * hits / alerts).sum())


def roc_auc(labels: "np.ndarray", scores: "np.ndarray") -> float | None:
    """Return the chance that a positive scores above a negative, ties half; None unless both classes are there."""
    import numpy as np

    hits, alerts = _cumulated(labels, scores)
    misses = alerts - hits
    if not hits.size or not hits[-1] or not misses[-1]:
        return None
    return float(np.trapezoid(np.append(0, hits), np.append(0, misses)) / (hits[-1] * misses[-1]))


def _cumulated(labels: "np.ndarray", scores: "np.ndarray") -> "tuple[np.ndarray, np.ndarray]":
    """Return positives and rows at or above each distinct score, highest first."""
    import numpy as np

    if not scores.size:
        return np.empty(0), np.empty(0)
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    last_of_tie = np.flatnonzero(np.append(ranked[:-1] != ranked[1:], [True]))
    return np.cumsum(labels[order])[last_of_tie].astype("float64"), (last_of_tie + 1).astype("float64")
