"""The metrics a candidate is judged by, under the names evaluation uses.

They are computed in ``modeling.metrics``, because monitoring judges live traffic by the very same figures and
capabilities do not import each other. Thresholds are in ``gate``.
"""

from ml_platform.modeling.metrics import (
    ModelMetrics,
    UndefinedMetricError,
    average_precision,
    brier,
    calibration_curve,
    card_precision_at_k,
    expected_calibration_error,
    measure,
    roc_auc,
)

__all__ = [
    "ModelMetrics",
    "UndefinedMetricError",
    "average_precision",
    "brier",
    "calibration_curve",
    "card_precision_at_k",
    "expected_calibration_error",
    "measure",
    "roc_auc",
]
