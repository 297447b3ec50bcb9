"""The signature of a model: which columns it reads, in which order, and the label it learns.

Only names and order live here. Values are float64 and NaN means missing; the container's text and JSON forms are
``codec``.
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ml_platform.core.errors import ArtifactError
from ml_platform.core.fingerprint import fingerprint_bytes

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

# LightGBM silently rewrites names with other characters, and then no longer answers to ours.
_FEATURE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-]{0,127}")
SCORE = "score"
"""The name of a model's output wherever it stands beside the features; no feature may have it."""


def check_names(features: Sequence[str], label: str) -> None:
    """Raise ``ValueError`` when these names cannot be the columns of a model."""
    odd = [name for name in features if not _FEATURE_NAME.fullmatch(name)]
    if odd:
        raise ValueError(f"feature names may hold letters, digits, '_', '-' and '.' only, unlike {odd}")
    if len(set(features)) != len(features):
        raise ValueError("a feature is named twice")
    if taken := {label, SCORE} & set(features):
        raise ValueError(f"{sorted(taken)} cannot be a feature: it is the label or the model's own output")


class Signature(BaseModel):
    """A model's input columns, in order, and its label."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    features: tuple[str, ...] = Field(min_length=1, description="Input columns; the order is part of the model.")
    label: str = Field(default="label", min_length=1, description="Column with 0 or 1 to learn.")

    @model_validator(mode="after")
    def _names_are_usable(self) -> Self:
        check_names(self.features, self.label)
        return self

    def matrix(self, frame: "pd.DataFrame") -> "pd.DataFrame":
        """Return the features of ``frame`` in the model's order as float64; other columns are left out.

        Raises:
            ArtifactError: When a column is missing, occurs twice, or holds something that is not a number.
        """
        missing = [name for name in self.features if name not in frame.columns]
        if missing:
            raise ArtifactError(f"The model needs columns that the data does not have: {', '.join(missing)}.")
        selected = frame.loc[:, list(self.features)]
        if selected.shape[1] != len(self.features):
            raise ArtifactError("The data has a feature column more than once; give each column one name.")
        try:
            return selected.astype("float64")
        except (TypeError, ValueError) as error:
            raise ArtifactError(f"Feature columns must hold numbers: {error}.") from error

    def values(self, frame: "pd.DataFrame") -> "np.ndarray":
        """Return ``matrix`` as a C-ordered array of shape (n_rows, n_features); raises like ``matrix``."""
        import numpy as np

        return np.ascontiguousarray(self.matrix(frame).to_numpy(dtype="float64", na_value=np.nan))

    def labels(self, frame: "pd.DataFrame") -> "np.ndarray":
        """Return the labels of ``frame`` as float64 of shape (n_rows,), each 0 or 1.

        Raises:
            ArtifactError: When the column is missing or holds anything else.
        """
        import numpy as np

        if self.label not in frame.columns:
            raise ArtifactError(f"The data has no label column {self.label!r}.")
        try:
            labels: np.ndarray = frame[self.label].to_numpy(dtype="float64", na_value=np.nan)
        except (TypeError, ValueError) as error:
            raise ArtifactError(f"Label column {self.label!r} must hold 0 or 1: {error}.") from error
        wrong = ~np.isin(labels, (0.0, 1.0))
        if wrong.any():
            raise ArtifactError(
                f"Label column {self.label!r} must hold 0 or 1, but {int(wrong.sum())} of {len(labels)} rows do not"
                f" (the first holds {labels[wrong][0]}). Leave unlabelled rows out of the training set."
            )
        return labels

    def digest(self, frame: "pd.DataFrame") -> str:
        """Return the SHA-256 of the frame's features and labels, row by row: what a fit was of."""
        return fingerprint_bytes(self.values(frame).tobytes() + self.labels(frame).tobytes())
