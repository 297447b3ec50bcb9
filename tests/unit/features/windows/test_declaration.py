"""Declarations refuse what no engine can compute, and Feast is told exactly what is declared."""

import subprocess
import sys
from datetime import timedelta

import pytest
from pydantic import ValidationError

from ml_platform.features.windows.declaration import FeatureTable, KnownFraud, WindowFeature
from ml_platform.features.windows.payments import FEATURE_TABLES, card_activity

VALID = {"name": "f", "aggregate": "count", "window": timedelta(days=1), "meaning": "m", "unit": "u"}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"aggregate": "mean"}, "mean needs column"),
        ({"column": "amount"}, "count takes no column"),
        ({"aggregate": "rate"}, "rate needs it"),
        ({"aggregate": "since_previous"}, "needs bounds before_now"),
        ({"aggregate": "max", "column": "amount", "where": [KnownFraud()]}, "KnownFraud works with"),
        ({"window": timedelta(0)}, "greater than or equal"),
        ({"delay": timedelta(days=-1)}, "greater than or equal"),
        ({"name": "Not A Name"}, "pattern"),
    ],
)
def test_what_cannot_be_computed_cannot_be_declared(change: dict, why: str) -> None:
    WindowFeature.model_validate(VALID)
    with pytest.raises(ValidationError, match=why):
        WindowFeature.model_validate(VALID | change)


def test_a_table_names_the_labels_its_features_look_at_and_no_feature_twice() -> None:
    feature = WindowFeature.model_validate(VALID | {"where": [KnownFraud()]})
    with pytest.raises(ValidationError, match="must name its labels"):
        FeatureTable.model_validate(dict(card_activity) | {"features": (feature,)})
    with pytest.raises(ValidationError, match="same name"):
        FeatureTable.model_validate(dict(card_activity) | {"features": card_activity.features * 2})


def test_a_declaration_survives_json() -> None:
    for table in FEATURE_TABLES:
        assert FeatureTable.model_validate_json(table.model_dump_json()) == table


def test_feast_is_told_what_is_declared() -> None:
    from feature_repo import feature_views

    for table in FEATURE_TABLES:
        view = getattr(feature_views, table.name.split("/")[1])
        assert tuple(field.name for field in view.features) == table.feature_names
        kinds = {field.name: str(field.dtype) for field in view.features}
        assert kinds == {it.name: "Int64" if it.is_integer else "Float64" for it in table.features}
        assert view.batch_source.path == table.name
        assert view.join_keys == [table.key]
        assert view.ttl == table.reach


def test_declarations_import_no_engine() -> None:
    code = (
        "import ml_platform.features.windows.payments, ml_platform.features.windows.reach, sys; "
        "assert not {'polars', 'pandas', 'numpy', 'pyspark', 'feast'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
