"""Contributions of features to the scores of scikit-learn's models: exact where the model allows it.

A linear model adds its features up: a coefficient times the distance from the average training row. Trees and forests
are explained by TreeSHAP (``trees_as_booster``). What a pipeline makes of the features before is followed back to
them. For anything else training code may declare an ordinary row (``training_code.Explained``): each feature alone is
then set to its ordinary value, which is how much of the score was that feature's.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from math import isnan
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ml_platform.modeling.trees_as_booster import as_booster

if TYPE_CHECKING:
    from collections.abc import Callable

    import lightgbm as lgb
    import numpy as np

TREESHAP = "TreeSHAP"
REPLACEMENT = "fall of the score when one feature alone is set to its ordinary value"
_TINY = 1e-15
_TOKEN = re.compile(r"<(\d+)>")
_ROWS_AT_ONCE = 2000


class Reference(BaseModel):
    """What a score is explained against: a part of the artifact, as it is learnt from the training rows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["linear", "replacement"]
    values: tuple[float | None, ...] = Field(
        description="linear: what each feature adds to the log-odds of the average training row. "
        "replacement: each feature's ordinary value; null is missing."
    )

    def row(self) -> "np.ndarray":
        """Return the values as an array; None is NaN."""
        import numpy as np

        return np.array([np.nan if value is None else value for value in self.values], dtype="float64")


@dataclass(frozen=True)
class ScikitReasons:
    """What is known of a fitted classifier's way from features to score."""

    classifier: Any
    n_features: int

    @cached_property
    def sources(self) -> "np.ndarray | None":
        """Which feature each input column of the last step is made of; None when one is made of several, or unknown."""
        import numpy as np

        if self._before is None:
            return np.arange(self.n_features)
        try:
            names = self._before.get_feature_names_out([f"<{number}>" for number in range(self.n_features)])
        # A step that does not tell what it makes, or checks the names: its own choice of error.
        except (AttributeError, ValueError, TypeError):
            return None
        found = [set(_TOKEN.findall(str(name))) for name in names]
        if self._mixes or any(len(each) != 1 for each in found):
            return None
        return np.array([int(each.pop()) for each in found], dtype=int)

    @cached_property
    def linear(self) -> bool:
        """Whether the score adds up coefficients times columns, each of one feature."""
        coefficients = getattr(self._last, "coef_", None)
        if coefficients is None or not hasattr(self._last, "intercept_"):
            return False
        return bool(getattr(coefficients, "size", -1) == self._width and self.sources is not None)

    @cached_property
    def booster(self) -> "lgb.Booster | None":
        """The trees of a tree or forest, as LightGBM explains them; None for another model."""
        trees = _trees(self._last)
        return as_booster(trees, self._width) if trees and self.sources is not None else None

    @property
    def words(self) -> str:
        """How a row is explained; empty when there is no way to."""
        if self.linear:
            return "coefficient times distance from the average training row"
        return TREESHAP if self.booster is not None else ""

    def reference(self, matrix: "np.ndarray") -> "Reference | None":
        """Return what a linear model's rows are explained against, learnt from training rows; others need none."""
        if not self.linear:
            return None
        return Reference(method="linear", values=tuple(self._terms(matrix).mean(axis=0).tolist()))

    def contributions(self, matrix: "np.ndarray", reference: Reference | None) -> "np.ndarray | None":
        """Return contributions to the raw scores as ``reasons.contributions`` does; None when there is no way to.

        Args:
            matrix: Rows of shape (n_rows, n_features).
            reference: What a linear model's rows are explained against.
        """
        if reference is not None and self.linear:
            return self._of_linear(matrix, reference.row())
        return None if self.booster is None else self._of_trees(matrix, self.booster)

    def _of_linear(self, matrix: "np.ndarray", average: "np.ndarray") -> "np.ndarray":
        import numpy as np

        base = float(np.ravel(self._last.intercept_)[0]) + average.sum()
        if self._affine is None:
            terms = self._terms(matrix)
        else:
            slope, offset, missing = self._affine
            terms = np.where(np.isnan(matrix), missing, matrix * slope + offset)
        return np.column_stack([terms - average, np.full(len(matrix), base)])

    def _of_trees(self, matrix: "np.ndarray", booster: "lgb.Booster") -> "np.ndarray":
        import numpy as np

        # As scikit-learn reads them.
        columns = self._columns(matrix).astype("float32").astype("float64")
        n_trees = booster.num_trees()
        found = np.asarray(booster.predict(columns, pred_contrib=True, num_threads=1)) / n_trees
        score = np.asarray(booster.predict(columns, raw_score=True, num_threads=1)) / n_trees
        base = found[:, -1]
        # Trees add up probabilities, reasons are told in log-odds: all of a row's stretched by the same, above 0.
        moved, whole = _log_odds(score) - _log_odds(base), score - base
        slope = 1 / np.maximum(base * (1 - base), _TINY)
        stretch = np.divide(moved, whole, out=slope, where=np.abs(whole) > _TINY)
        return np.column_stack([self._by_feature(found[:, :-1]) * stretch[:, None], _log_odds(base)])

    @cached_property
    def _steps(self) -> list[Any]:
        return [step for _, step in getattr(self.classifier, "steps", [("", self.classifier)])]

    @property
    def _last(self) -> Any:
        return self._steps[-1]

    @cached_property
    def _before(self) -> Any:
        return self.classifier[:-1] if len(self._steps) > 1 else None

    @cached_property
    def _width(self) -> int:
        return int(getattr(self._last, "n_features_in_", -1))

    def _terms(self, matrix: "np.ndarray") -> "np.ndarray":
        """Return what each feature adds to a linear model's scores: of shape (n_rows, n_features)."""
        import numpy as np

        return self._by_feature(self._columns(matrix) * np.ravel(self._last.coef_))

    @cached_property
    def _affine(self) -> "tuple[np.ndarray, np.ndarray, np.ndarray] | None":
        """Slope, offset and what a missing value adds, by feature; None when a step does more than fill and scale.

        Three rows tell, and no step has to be run again for each score that is explained.
        """
        import numpy as np

        if not all(_only_fills_and_scales(step) for step in _all_steps(self._before)):
            return None
        try:
            zero, one, missing = self._terms(np.array([[0.0], [1.0], [np.nan]]).repeat(self.n_features, axis=1))
        except ValueError:
            # Without an imputer a missing value has no score either.
            zero, one = self._terms(np.array([[0.0], [1.0]]).repeat(self.n_features, axis=1))
            missing = np.full(self.n_features, np.nan)
        return one - zero, zero, missing

    @cached_property
    def _mixes(self) -> bool:
        from sklearn.preprocessing import Normalizer

        # Named as if one column made one: but each is divided by all the others of its row.
        return any(isinstance(step, Normalizer) for step in _all_steps(self._before))

    def _columns(self, matrix: "np.ndarray") -> "np.ndarray":
        import numpy as np

        made = matrix if self._before is None else self._before.transform(matrix)
        return np.asarray(made.toarray() if hasattr(made, "toarray") else made, dtype="float64")

    def _by_feature(self, found: "np.ndarray") -> "np.ndarray":
        """Add up the columns that are made of the same feature."""
        import numpy as np

        if self._before is None:
            return found
        return np.asarray(found @ np.eye(self.n_features)[self.sources])


def _trees(model: Any) -> list[Any]:
    from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier

    if isinstance(model, RandomForestClassifier | ExtraTreesClassifier):
        return list(model.estimators_)
    return [model] if hasattr(model, "tree_") else []


def _all_steps(model: Any) -> "list[Any]":
    """Return a transformer and all it is made of: pipelines, unions and column transformers hold others."""
    if model is None:
        return []
    parts = [
        *getattr(model, "steps", ()),
        *getattr(model, "transformers_", ()),
        *getattr(model, "transformer_list", ()),
    ]
    return [model, *(inner for part in parts for inner in _all_steps(part[1]))]


def _only_fills_and_scales(step: Any) -> bool:
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import FeatureUnion, Pipeline
    from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

    if isinstance(step, SimpleImputer):
        return isinstance(step.missing_values, float) and isnan(step.missing_values)
    if isinstance(step, MinMaxScaler | MaxAbsScaler):
        return not getattr(step, "clip", False)
    held = (Pipeline, FeatureUnion, ColumnTransformer, StandardScaler, RobustScaler)
    return isinstance(step, held) or step in ("passthrough", "drop")


def by_replacement(
    matrix: "np.ndarray", ordinary: "np.ndarray", raw: "Callable[[np.ndarray], np.ndarray]"
) -> "np.ndarray":
    """Return how far each score falls when one feature alone is set to its ordinary value.

    Args:
        matrix: Rows of shape (n_rows, n_features).
        ordinary: A value for each feature.
        raw: Scores rows.

    Returns:
        As ``reasons.contributions``: the last column makes each row add up.
    """
    import numpy as np

    width = len(ordinary)
    found = np.empty((len(matrix), width + 1))
    for start in range(0, len(matrix), _ROWS_AT_ONCE):
        rows = matrix[start : start + _ROWS_AT_ONCE]
        # Each row as it is, and once with each feature replaced.
        many = np.repeat(rows[:, None, :], width + 1, axis=1)
        many[:, np.arange(width), np.arange(width)] = ordinary
        scores = raw(many.reshape(-1, width)).reshape(len(rows), width + 1)
        found[start : start + _ROWS_AT_ONCE] = scores[:, -1:] - scores
        found[start : start + _ROWS_AT_ONCE, -1] = scores[:, -1] - found[start : start + _ROWS_AT_ONCE, :-1].sum(axis=1)
    return found


def _log_odds(probability: "np.ndarray") -> "np.ndarray":
    import numpy as np

    certain = np.clip(probability, _TINY, 1 - _TINY)
    return np.asarray(np.log(certain) - np.log1p(-certain))
