"""How much each training row counts: rare positives more, old rows less. The same for every kind of estimator."""

from typing import TYPE_CHECKING

from ml_platform.core.errors import ArtifactError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from ml_platform.modeling.hyperparameters import HyperParameters

EVENT_TIME = "event_time"
"""Column that a decay over time reads."""


def row_weights(frame: "pd.DataFrame", labels: "np.ndarray", hyperparameters: "HyperParameters") -> "np.ndarray | None":
    """Return weights of shape (n_rows,), or None when all rows count the same.

    Decay has a mean of 1, so that a penalty such as ``lambda_l2`` keeps its meaning. Calibration undoes what the
    weight of positives does to probabilities.

    Raises:
        ArtifactError: When rows shall count by age and have no time.
    """
    import numpy as np

    weights: np.ndarray | None = None
    if hyperparameters.half_life_days is not None:
        age = _age_in_days(frame)
        weights = np.exp2(-age / hyperparameters.half_life_days)
        weights /= weights.mean()
    positive = hyperparameters.positive_weight
    if positive == "balanced":
        positive = float((labels == 0).sum() / max((labels == 1).sum(), 1))
    if positive != 1:
        weights = (np.ones(len(labels)) if weights is None else weights) * np.where(labels == 1, positive, 1.0)
    return weights


def _age_in_days(frame: "pd.DataFrame") -> "np.ndarray":
    import numpy as np
    import pandas as pd

    if EVENT_TIME not in frame.columns:
        raise ArtifactError(f"half_life_days needs the column {EVENT_TIME!r}, which the training data does not have.")
    times = pd.to_datetime(frame[EVENT_TIME], utc=True)
    if times.isna().any():
        raise ArtifactError(f"{int(times.isna().sum())} training rows have no {EVENT_TIME}; half_life_days needs it.")
    return np.asarray((times.max() - times).dt.total_seconds() / 86_400, dtype="float64")
