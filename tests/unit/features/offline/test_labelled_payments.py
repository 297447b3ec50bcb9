"""Which payments a training set may hold: each once, and how many of a day's labels are known is said."""

import io
from typing import Any

import polars as pl
import pytest

from ml_platform.core import names
from ml_platform.core.errors import FeatureError
from ml_platform.features.offline.labelled_payments import labelled_payments
from ml_platform.features.offline.training_set import build_training_set
from ml_platform.features.offline.training_set_spec import TrainingSetSpec
from ml_platform.features.tables import TRANSACTIONS
from tests.unit.features.conftest import World


def a_spec(world: World, **overrides: Any) -> TrainingSetSpec:
    values = {"model": "card_fraud", "as_of": world.end, "train_days": 14, "validation_days": 5, "holdout_days": 5}
    return TrainingSetSpec(**values | overrides)


def test_a_holdout_that_ends_before_its_labels_are_known_says_so_day_by_day(world: World) -> None:
    spec = a_spec(world, label_delay_days=0)
    labelled = labelled_payments(world.store, spec, "holdout").labelled_by_day
    assert list(labelled) == sorted(labelled)
    assert labelled[spec.days()["holdout"][1]] < 0.5


def test_a_payment_that_landed_twice_makes_no_training_set(world: World) -> None:
    key = names.table_partition(TRANSACTIONS, a_spec(world).days()["holdout"][0])
    content = world.store.get(key)
    once, twice = pl.read_parquet(content), io.BytesIO()
    pl.concat([once, once.head(1)]).write_parquet(twice)
    world.store.put(key, twice.getvalue())
    try:
        with pytest.raises(FeatureError, match=r"not the same ones once each"):
            build_training_set(world.settings, world.store, a_spec(world))
    finally:
        world.store.put(key, content)
