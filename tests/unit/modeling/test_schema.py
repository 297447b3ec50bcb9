"""The signature picks the model's columns, in its order, and says which are wrong."""

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from ml_platform.core.errors import ArtifactError
from ml_platform.modeling.schema import Signature

SIGNATURE = Signature(features=("b", "a"))


def test_columns_come_in_the_signatures_order_as_floats() -> None:
    matrix = SIGNATURE.matrix(pd.DataFrame({"a": [1, 2], "other": ["x", "y"], "b": [True, False]}))
    assert list(matrix.columns) == ["b", "a"]
    assert matrix.to_numpy().tolist() == [[1.0, 1.0], [0.0, 2.0]]
    assert set(matrix.dtypes) == {np.dtype("float64")}


def test_every_missing_column_is_named() -> None:
    with pytest.raises(ArtifactError, match=r"does not have: b, a\."):
        SIGNATURE.matrix(pd.DataFrame({"c": [1.0]}))


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([1, None], dtype="Int64"),
        pd.Series([1.0, None], dtype="object"),
        pd.Series([1.0, np.nan], dtype="float32"),
        pd.Series([1, None], dtype="Float64"),
    ],
    ids=lambda column: str(column.dtype),
)
def test_a_missing_value_becomes_nan_whatever_holds_it(column: pd.Series) -> None:
    values = SIGNATURE.values(pd.DataFrame({"a": column, "b": [0.0, 0.0]}))
    assert np.isnan(values[1, 1])
    assert values[0, 1] == 1.0
    assert values.flags.c_contiguous


def test_text_in_a_feature_is_refused() -> None:
    with pytest.raises(ArtifactError, match="must hold numbers"):
        SIGNATURE.values(pd.DataFrame({"a": ["much"], "b": [1.0]}))


def test_a_column_that_occurs_twice_is_refused() -> None:
    frame = pd.DataFrame([[1.0, 2.0, 3.0]], columns=["a", "b", "a"])
    with pytest.raises(ArtifactError, match="more than once"):
        SIGNATURE.matrix(frame)


@pytest.mark.parametrize("labels", [[0, 2], [0.0, np.nan], [0.5, 1], ["fraud", "fine"]])
def test_a_label_is_zero_or_one(labels: list[object]) -> None:
    with pytest.raises(ArtifactError, match="must hold 0 or 1"):
        SIGNATURE.labels(pd.DataFrame({"label": labels}))


def test_an_absent_label_column_is_named() -> None:
    with pytest.raises(ArtifactError, match="no label column 'label'"):
        SIGNATURE.labels(pd.DataFrame({"a": [1]}))


@pytest.mark.parametrize(
    "features", [(), ("a", "a"), ("a b",), ("a:b",), ("",), ("label",), ("score",), ("1a",)], ids=repr
)
def test_a_signature_that_could_not_be_served_is_refused(features: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError):
        Signature(features=features)
