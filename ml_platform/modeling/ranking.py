"""Average precision, ROC AUC and the curve behind them in plain numpy; equal scores count together.

Training jobs and runs would otherwise load all of scikit-learn for them, which costs each more than a second. Which
rows have a defined metric at all is ``metrics``.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def average_precision(labels: "np.ndarray", scores: "np.ndarray") -> float:
    """Return the step-wise area under the precision-recall curve; at least one label must be 1."""
    import numpy as np

    hits, alerts = _cumulated(labels, scores)
    gained = np.diff(hits, prepend=0.0)
    return float((gained * hits / alerts).sum() / hits[-1])


def roc_auc(labels: "np.ndarray", scores: "np.ndarray") -> float:
    """Return the chance that a positive scores above a negative, ties half; both classes must be there."""
    import numpy as np

    hits, alerts = _cumulated(labels, scores)
    misses = alerts - hits
    return float(np.trapezoid(np.append(0.0, hits), np.append(0.0, misses)) / (hits[-1] * misses[-1]))


def recall_at_fpr(labels: "np.ndarray", scores: "np.ndarray", max_fpr: float) -> float:
    """Return the share of positives above the lowest score whose false-positive rate is still allowed."""
    hits, alerts = _cumulated(labels, scores)
    misses = alerts - hits
    allowed = hits[misses <= max_fpr * misses[-1]]
    return float(allowed[-1] / hits[-1]) if len(allowed) else 0.0


def precision_recall(labels: "np.ndarray", scores: "np.ndarray") -> "tuple[np.ndarray, np.ndarray]":
    """Return precision and recall at each distinct score, highest first; at least one label must be 1."""
    hits, alerts = _cumulated(labels, scores)
    return hits / alerts, hits / hits[-1]


def precision_at_recalls(labels: "np.ndarray", scores: "np.ndarray", points: int) -> "tuple[np.ndarray, np.ndarray]":
    """Return evenly spaced recalls from 0 to 1, and the precision at which each is reached.

    Evenly spaced, because nearly all thresholds of a rare-event model lie at high recall: points taken evenly from
    the curve would leave its interesting part out.
    """
    import numpy as np

    precision, recall = precision_recall(labels, scores)
    wanted = np.linspace(0, 1, points)
    reached = np.minimum(np.searchsorted(recall, wanted - 1e-12), len(recall) - 1)
    return wanted, precision[reached]


def _cumulated(labels: "np.ndarray", scores: "np.ndarray") -> "tuple[np.ndarray, np.ndarray]":
    """Return positives and rows at or above each distinct score, highest first."""
    import numpy as np

    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    last_of_tie = np.flatnonzero(np.append(ranked[:-1] != ranked[1:], [True]))
    return np.cumsum(labels[order], dtype="float64")[last_of_tie], last_of_tie + 1.0
