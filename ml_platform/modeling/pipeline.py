"""The fitted pipeline: the one object that training, evaluation, serving and batch score with.

Everything is learnt in ``fit``; scoring only applies it. Saving and loading is ``artifact``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, cast

from ml_platform.core.errors import ArtifactError
from ml_platform.modeling.calibration import DEFAULT_THRESHOLD, IDENTITY, Calibration, best_f1_threshold, fit_platt
from ml_platform.modeling.parameters import resolve_parameters
from ml_platform.modeling.schema import Signature

if TYPE_CHECKING:
    import lightgbm as lgb
    import numpy as np
    import pandas as pd

    from ml_platform.modeling.hyperparameters import HyperParameters

Progress = Callable[[int, int], None]
"""Is told (trees fitted, trees in all) after each tree."""


@dataclass(frozen=True, slots=True)
class FittedPipeline:
    """Feature order, booster, calibration and threshold."""

    signature: Signature
    booster: "lgb.Booster"
    calibration: Calibration = IDENTITY
    threshold: float = DEFAULT_THRESHOLD

    @classmethod
    def fit(
        cls,
        train: "pd.DataFrame",
        validation: "pd.DataFrame | None",
        hyperparameters: "HyperParameters",
        progress: Progress | None = None,
    ) -> Self:
        """Fit on ``train``; calibrate and choose the threshold on ``validation`` when that has both classes.

        Without such a validation set the score is the booster's own probability and the threshold 0.5.
        ``shuffle_labels`` is not this method's business: the training container shuffles what it reads.

        Raises:
            ArtifactError: When rows, columns or labels do not make a model.
            ConfigurationError: When a LightGBM parameter cannot be used.
        """
        signature = hyperparameters.signature
        labels = _learnable_labels(signature, train, "training")
        held_out = None if validation is None else _labels(signature, validation, "validation")
        parameters = resolve_parameters(hyperparameters.model_parameters, hyperparameters.seed)
        bare = cls(signature, _fit_booster(signature, signature.values(train), labels, parameters, progress))
        if validation is None or held_out is None:
            return bare
        return bare._calibrated(signature.values(validation), held_out)

    def _calibrated(self, matrix: "np.ndarray", labels: "np.ndarray") -> Self:
        calibration = fit_platt(self._raw(matrix), labels)
        calibrated = type(self)(self.signature, self.booster, calibration)
        threshold = best_f1_threshold(calibrated.score_matrix(matrix), labels)
        return type(self)(self.signature, self.booster, calibration, threshold)

    def score(self, frame: "pd.DataFrame") -> "np.ndarray":
        """Return the probability of the label being 1 for each row: float64 of shape (n_rows,), in [0, 1].

        Columns may come in any order; NaN is missing and handled by the trees.

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
        return self.calibration.probabilities(self._raw(matrix))

    def _raw(self, matrix: "np.ndarray") -> "np.ndarray":
        # One thread: a row costs microseconds, waking OpenMP's other threads costs up to milliseconds.
        return cast("np.ndarray", self.booster.predict(matrix, raw_score=True, num_threads=1))


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


def _fit_booster(
    signature: Signature,
    matrix: "np.ndarray",
    labels: "np.ndarray",
    parameters: dict[str, Any],
    progress: Progress | None,
) -> "lgb.Booster":
    import lightgbm as lgb

    trees = int(parameters["num_iterations"])
    # Named both in parameters and as an argument, LightGBM warns.
    rest = {name: value for name, value in parameters.items() if name != "num_iterations"}
    callbacks = [] if progress is None else [lambda env: progress(env.iteration + 1, trees)]
    try:
        data = lgb.Dataset(matrix, labels, feature_name=list(signature.features), params=rest)
        trained = lgb.train(rest, data, num_boost_round=trees, callbacks=callbacks)
    except lgb.basic.LightGBMError as error:
        raise ArtifactError(f"LightGBM cannot fit this model: {error}.") from error
    # What is scored with from here on is what will be saved, not LightGBM's training state.
    return lgb.Booster(model_str=trained.model_to_string())
