"""LightGBM: the default fit, and boosters in LightGBM's text format.

Which parameters hold is ``parameters``; how rows are weighted is ``weights``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, cast

from ml_platform.core.errors import ArtifactError
from ml_platform.modeling.estimators import FILES, LIGHTGBM
from ml_platform.modeling.parameters import resolve_parameters
from ml_platform.modeling.reasons import contributions
from ml_platform.modeling.scikit_reasons import TREESHAP

if TYPE_CHECKING:
    import lightgbm as lgb
    import numpy as np

    from ml_platform.modeling.hyperparameters import HyperParameters
    from ml_platform.modeling.schema import Signature
    from ml_platform.modeling.scikit_reasons import Reference
    from ml_platform.modeling.training_code import TrainingRows

Progress = Callable[[int, int], None]
"""Is told (trees fitted, trees in all) after each tree."""

_OBJECTIVE = "objective=binary sigmoid:1"


def fit_booster(
    rows: "TrainingRows", hyperparameters: "HyperParameters", progress: Progress | None = None
) -> "lgb.Booster":
    """Fit LightGBM with the platform's preset: what a model without training code of its own is fitted by.

    Raises:
        ArtifactError: When LightGBM cannot fit these rows.
        ConfigurationError: When a LightGBM parameter cannot be used.
    """
    import lightgbm as lgb

    parameters = resolve_parameters(hyperparameters.model_parameters, hyperparameters.seed) | _declared(hyperparameters)
    trees = int(parameters["num_iterations"])
    # Named both in parameters and as an argument, LightGBM warns.
    rest = {name: value for name, value in parameters.items() if name != "num_iterations"}
    callbacks = [] if progress is None else [lambda env: progress(env.iteration + 1, trees)]
    try:
        data = lgb.Dataset(
            rows.matrix,
            rows.labels,
            weight=rows.weights,
            feature_name=list(rows.features),
            categorical_feature=list(hyperparameters.categorical) or "auto",
            params=rest,
        )
        return lgb.train(rest, data, num_boost_round=trees, callbacks=callbacks)
    except lgb.basic.LightGBMError as error:
        raise ArtifactError(f"LightGBM cannot fit this model: {error}.") from error


def _declared(hyperparameters: "HyperParameters") -> dict[str, Any]:
    """Return what is declared by feature name, as LightGBM wants it: by position."""
    declared: dict[str, Any] = {}
    if hyperparameters.monotone:
        declared["monotone_constraints"] = [hyperparameters.monotone.get(name, 0) for name in hyperparameters.features]
    if hyperparameters.missing == "zero":
        declared["use_missing"] = False
    return declared


@dataclass(frozen=True, slots=True)
class BoosterEstimator:
    """A LightGBM booster for one signature."""

    booster: "lgb.Booster"
    kind: str = LIGHTGBM
    file: str = FILES[LIGHTGBM]

    def raw(self, matrix: "np.ndarray") -> "np.ndarray":
        """Return raw scores in log-odds."""
        # One thread: a row costs microseconds, waking OpenMP's other threads costs up to milliseconds.
        return cast("np.ndarray", self.booster.predict(matrix, raw_score=True, num_threads=1))

    def to_bytes(self) -> bytes:
        """Return LightGBM's text format."""
        return str(self.booster.model_to_string()).encode()

    def reference(self, matrix: "np.ndarray") -> None:  # as every estimator's
        """Nothing need be known: the counts in a booster's nodes are what TreeSHAP explains against."""

    def contributions(self, matrix: "np.ndarray", reference: "Reference | None" = None) -> "np.ndarray":  # noqa: ARG002
        """Return TreeSHAP, as LightGBM computes it."""
        return contributions(self.booster, matrix)

    def explained_by(self, reference: "Reference | None" = None) -> str:  # noqa: ARG002
        """Return how contributions come about."""
        return TREESHAP

    @classmethod
    def load(cls, content: bytes, signature: "Signature") -> Self:
        """Read LightGBM's text format.

        Raises:
            ArtifactError: When it is none, or reads other features, or its scores are not log-odds.
        """
        import lightgbm as lgb

        name = FILES[LIGHTGBM]
        try:
            text = content.decode()
            booster = lgb.Booster(model_str=text)
            names = tuple(booster.feature_name())
        except (lgb.basic.LightGBMError, UnicodeDecodeError, ValueError) as error:
            raise ArtifactError(f"{name} of the model artifact is not a LightGBM model: {error}.") from error
        if names != signature.features:
            raise ArtifactError(f"The booster reads {list(names)}, the signature says {list(signature.features)}.")
        # The header decides what the numbers mean; LightGBM's parameters further down are only a record.
        if _OBJECTIVE not in text.partition("\nTree=")[0].splitlines():
            raise ArtifactError(f"The booster's objective is not binary: its header lacks {_OBJECTIVE!r}.")
        return cls(booster)
