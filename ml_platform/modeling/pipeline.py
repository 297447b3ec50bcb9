"""The fitted pipeline: the one object that training, evaluation, serving and batch score with.

Everything is learnt in ``fit``; scoring only applies it. Saving and loading is ``artifact``; a model's own way to fit
is ``training_code``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from ml_platform.core.errors import ArtifactError
from ml_platform.modeling.boosters import Progress, fit_booster
from ml_platform.modeling.calibration import DEFAULT_THRESHOLD, IDENTITY, Calibration, best_f1_threshold, fit_platt
from ml_platform.modeling.estimators import Estimator, wrap
from ml_platform.modeling.schema import Signature
from ml_platform.modeling.scikit_reasons import Reference
from ml_platform.modeling.training_code import Explained, Fit, TrainingRows, run_training_code
from ml_platform.modeling.weights import row_weights

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from ml_platform.modeling.hyperparameters import HyperParameters

__all__ = ["FittedPipeline", "Progress"]

_CHECKED_ROWS, _STEPS, _ROUNDING = 100, 10, 1e-9


@dataclass(frozen=True, slots=True)
class FittedPipeline:
    """Feature order, estimator, calibration and threshold."""

    signature: Signature
    estimator: Estimator
    calibration: Calibration = IDENTITY
    threshold: float = DEFAULT_THRESHOLD
    reference: Reference | None = None
    """What scores are explained against, where the estimator needs more than itself."""

    @classmethod
    def fit(
        cls,
        train: "pd.DataFrame",
        validation: "pd.DataFrame | None",
        hyperparameters: "HyperParameters",
        progress: Progress | None = None,
        code: Fit | None = None,
    ) -> Self:
        """Fit on ``train``; calibrate and choose the threshold on ``validation`` when that has both classes.

        Without such a validation set the score is the estimator's own probability and the threshold 0.5.
        ``shuffle_labels`` is not this method's business: the training container shuffles what it reads.

        Args:
            train: Rows to learn from.
            validation: Rows to calibrate on.
            hyperparameters: How to fit.
            progress: Is told how far the default fit is.
            code: The model's own training code; default: LightGBM.

        Raises:
            ArtifactError: When rows, columns or labels do not make a model.
            ConfigurationError: When a LightGBM parameter cannot be used.
        """
        signature = hyperparameters.signature
        labels = _learnable_labels(signature, train, "training")
        held_out = None if validation is None else _labels(signature, validation, "validation")
        weights = row_weights(train, labels, hyperparameters)
        rows = TrainingRows(signature.features, signature.values(train), labels, weights)
        run = partial(fit_booster, progress=progress) if code is None else partial(run_training_code, code)
        fitted: Any = run(rows, hyperparameters)
        declared = fitted if isinstance(fitted, Explained) else None
        estimator = wrap(fitted.model if declared else fitted, signature)
        reference = declared.reference(signature.features) if declared else estimator.reference(rows.matrix)
        bare = cls(signature, estimator, reference=reference)
        bare._require_an_answer_to_nothing()
        bare._require_monotone(rows.matrix[:_CHECKED_ROWS], hyperparameters.monotone)
        if validation is None or held_out is None:
            return bare
        return bare._calibrated(signature.values(validation), held_out)

    def _calibrated(self, matrix: "np.ndarray", labels: "np.ndarray") -> Self:
        calibrated = replace(self, calibration=fit_platt(self.estimator.raw(matrix), labels))
        return replace(calibrated, threshold=best_f1_threshold(calibrated.score_matrix(matrix), labels))

    def _require_an_answer_to_nothing(self) -> None:
        """Score a row without one value: what serving would refuse is better refused here."""
        import numpy as np

        self.score_matrix(np.full((1, len(self.signature.features)), np.nan))

    def _require_monotone(self, matrix: "np.ndarray", declared: "Mapping[str, int]") -> None:
        """Refuse a model that goes against what is declared: training code of one's own may not have read it.

        Each feature's observed values are tried one after the other in rows that are else as they were.
        """
        import numpy as np

        for name, direction in declared.items():
            column = self.signature.features.index(name)
            values = np.unique(matrix[:, column][np.isfinite(matrix[:, column])])
            steps = values[np.unique(np.linspace(0, len(values) - 1, _STEPS).astype(int))] if len(values) else values
            many = np.repeat(matrix[:, None, :], len(steps), axis=1)
            many[:, :, column] = steps
            scores = self.estimator.raw(many.reshape(-1, matrix.shape[1])).reshape(len(matrix), len(steps))
            if (direction * np.diff(scores, axis=1) < -_ROUNDING).any():
                raise ArtifactError(
                    f"{name} is declared to only {'raise' if direction > 0 else 'lower'} the score, and the model does"
                    " not keep to it. LightGBM does by itself; your own code reads hyperparameters.monotone."
                )

    @property
    def explained_by(self) -> str:
        """How single scores are explained, in words; empty when they cannot be."""
        return self.estimator.explained_by(self.reference)

    def score(self, frame: "pd.DataFrame") -> "np.ndarray":
        """Return the probability of the label being 1 for each row: float64 of shape (n_rows,), in [0, 1].

        Columns may come in any order; NaN is missing and handled by the estimator.

        Raises:
            ArtifactError: When a column of the signature is missing or not numeric.
        """
        return self.score_matrix(self.signature.values(frame))

    def score_matrix(self, matrix: "np.ndarray") -> "np.ndarray":
        """Score an array of shape (n_rows, n_features), columns in the signature's order.

        Raises:
            ArtifactError: When the array has another width.
        """
        import numpy as np

        if matrix.ndim != 2 or matrix.shape[1] != len(self.signature.features):  # noqa: PLR2004
            raise ArtifactError(
                f"The model reads {len(self.signature.features)} features a row, not an array of shape {matrix.shape}."
            )
        if not len(matrix):
            return np.empty(0)
        return self.calibration.probabilities(self.estimator.raw(matrix))


def _labels(signature: Signature, frame: "pd.DataFrame", name: str) -> "np.ndarray":
    if not len(frame):
        raise ArtifactError(f"The {name} data has no rows.")
    return signature.labels(frame)


def _learnable_labels(signature: Signature, frame: "pd.DataFrame", name: str) -> "np.ndarray":
    labels = _labels(signature, frame, name)
    if labels.min() == labels.max():
        raise ArtifactError(
            f"All {len(labels)} rows of the {name} data have label {labels[0]:.0f}; a model needs both 0 and 1."
            " Choose a window that holds both."
        )
    return labels
