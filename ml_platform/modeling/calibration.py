"""Calibration and threshold: from a booster's raw score to a probability and a decision. Pure numpy."""

from typing import TYPE_CHECKING, Final

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    import numpy as np

DEFAULT_THRESHOLD: Final = 0.5
_NEWTON_STEPS = 100
_CONVERGED = 1e-10


class Calibration(BaseModel):
    """Platt scaling: ``probability = 1 / (1 + exp(-(slope * raw + intercept)))``. The default is the plain sigmoid.

    The slope is positive, so that calibration never changes a ranking.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    slope: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    intercept: float = Field(default=0.0, allow_inf_nan=False)

    def probabilities(self, raw: "np.ndarray") -> "np.ndarray":
        """Return probabilities in [0, 1] of raw scores of the same shape."""
        import numpy as np

        # Beyond 700 exp() overflows, and the probability is 0 or 1 to the last bit anyway.
        return 1.0 / (1.0 + np.exp(-np.clip(self.slope * raw + self.intercept, -700.0, 700.0)))


IDENTITY: Final = Calibration()


def fit_platt(raw: "np.ndarray", labels: "np.ndarray") -> Calibration:
    """Fit slope and intercept on held-out rows by Newton's method, with Platt's softened targets.

    Args:
        raw: Raw scores of shape (n_rows,).
        labels: 0 or 1, of shape (n_rows,).

    Returns:
        The identity when there is only one class, when the scores do not vary, or when the scores rank the rows
        no better than chance (a fitted slope of zero or less would turn the model upside down).
    """
    import numpy as np

    positives, negatives = labels.sum(), (1 - labels).sum()
    spread = raw.std() if raw.size else 0.0
    if not positives or not negatives or not spread > 0:
        return IDENTITY
    # Softened targets keep the slope finite when the classes separate perfectly.
    targets = np.where(labels == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    centre = raw.mean()
    design = np.column_stack([(raw - centre) / spread, np.ones_like(raw)])
    weights = np.array([0.0, np.log((positives + 1) / (negatives + 1))])
    loss = _loss(design, targets, weights)
    for _ in range(_NEWTON_STEPS):
        probability = _sigmoid(design @ weights)
        gradient = design.T @ (probability - targets)
        curvature = (design * (probability * (1 - probability))[:, None]).T @ design + 1e-12 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        size, candidate = 1.0, weights - step
        while _loss(design, targets, candidate) > loss and size > _CONVERGED:
            size /= 2
            candidate = weights - size * step
        weights, loss = candidate, _loss(design, targets, candidate)
        if np.abs(size * step).max() < _CONVERGED:
            break
    slope = weights[0] / spread
    if not (np.isfinite(weights).all() and slope > 0):
        return IDENTITY
    return Calibration(slope=float(slope), intercept=float(weights[1] - slope * centre))


def best_f1_threshold(scores: "np.ndarray", labels: "np.ndarray") -> float:
    """Return the threshold whose alerts (``score >= threshold``) have the highest F1; 0.5 with a single class.

    It lies midway between two neighbouring scores, so that rounding elsewhere cannot flip a decision.
    """
    import numpy as np

    positives = labels.sum()
    if not positives or positives == labels.size:
        return DEFAULT_THRESHOLD
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], np.cumsum(labels[order])
    # Equal scores alert together: only the last row of each tie is a possible cut.
    cuts = np.flatnonzero(np.append(ranked[:-1] != ranked[1:], [True]))
    f1 = 2 * hits[cuts] / (cuts + 1 + positives)
    cut = cuts[int(np.argmax(f1))]
    below = ranked[cut + 1] if cut + 1 < ranked.size else 0.0
    return float((ranked[cut] + below) / 2)


def _sigmoid(logits: "np.ndarray") -> "np.ndarray":
    return IDENTITY.probabilities(logits)


def _loss(design: "np.ndarray", targets: "np.ndarray", weights: "np.ndarray") -> float:
    import numpy as np

    logits = design @ weights
    return float(np.sum(np.logaddexp(0.0, logits) - targets * logits))
