"""The catalogue names every feature there is, and shows how it looks."""

from datetime import UTC, datetime

import polars as pl

from ml_platform.aws.manifests import Manifests
from ml_platform.aws.objects import ObjectStore
from ml_platform.aws.tables import DailyTable
from ml_platform.features.catalogue.catalogue import build_catalogue, features_by_model
from ml_platform.features.catalogue.entries import all_entries
from ml_platform.features.offline.training_set_spec import TrainingSetManifest, TrainingSetSpec
from ml_platform.features.tables import CARD_ACTIVITY, CARD_FEATURES, MODEL_FEATURES
from tests.unit.features import worlds

EVENT = datetime(2026, 1, 5, 12, tzinfo=UTC)


def test_every_feature_of_a_model_is_described() -> None:
    entries = {entry.name: entry for entry in all_entries()}
    assert set(MODEL_FEATURES) <= set(entries)
    assert all(entry.meaning and entry.unit and entry.owner and entry.made_of for entry in entries.values())


def test_a_feature_says_of_which_columns_it_is_made() -> None:
    entries = {entry.name: entry for entry in all_entries()}
    assert [str(column) for column in entries["card_amount_mean_7d"].made_of] == [
        "payments/transactions.customer_id",
        "payments/transactions.event_time",
        "payments/transactions.amount",
    ]
    assert "payments/fraud_labels.known_time" in map(str, entries["terminal_fraud_rate_1d"].made_of)
    assert entries["terminal_fraud_rate_1d"].window == "1 d, ending 7 d before, up to now"


def test_figures_are_of_the_newest_days(store: ObjectStore) -> None:
    values = {name: [1.0, None, 3.0, float("nan")] for name in CARD_FEATURES}
    frame = pl.DataFrame({"customer_id": list("abcd"), "event_time": [EVENT] * 4, **values})
    DailyTable(store, CARD_ACTIVITY).write(worlds.FIRST_DAY, frame)
    catalogue = {entry.name: entry for entry in build_catalogue(store)}
    figures = catalogue["card_amount_mean_7d"].figures
    assert figures is not None
    assert (figures.rows, figures.null_rate, figures.mean, figures.fresh_until) == (4, 0.5, 2.0, EVENT)
    assert sum(figures.counts) == 2
    assert figures.plot("t").startswith("![t](data:image/svg+xml,")
    assert catalogue["terminal_tx_count_1d"].figures is None


def test_a_feature_that_is_always_missing_is_told(store: ObjectStore) -> None:
    nothing = pl.DataFrame({"event_time": [EVENT], "card_tx_count_1d": pl.Series([None], dtype=pl.Int64)})
    DailyTable(store, CARD_ACTIVITY).write(worlds.FIRST_DAY, nothing)
    catalogue = {entry.name: entry for entry in build_catalogue(store)}
    figures = catalogue["card_tx_count_1d"].figures
    assert figures is not None
    assert (figures.null_rate, figures.mean) == (1.0, None)
    assert figures.plot("t") == "every value is missing"


def test_models_are_those_whose_training_set_holds_the_feature(store: ObjectStore) -> None:
    assert features_by_model(store) == {}
    spec = TrainingSetSpec(model="m", features=("amount", "is_night"), as_of=datetime(2026, 2, 1, tzinfo=UTC))
    manifest = TrainingSetManifest(
        model="m",
        fingerprint="f",
        uri="u",
        features=spec.features,
        as_of=spec.as_of,
        splits={},
        spec=spec,
        fingerprints={},
    )
    Manifests(store, "m").write("training_set", manifest)
    store.put("models/broken/manifests/training_set.json", b"{}")
    catalogue = {entry.name: entry.models for entry in build_catalogue(store)}
    assert (catalogue["is_night"], catalogue["card_tx_count_1d"]) == (("m",), ())
