"""Through Feast: definitions, training sets, the online store, and that training and serving agree."""

import json
import os
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ml_platform.aws.tables import DailyTable
from ml_platform.core import names
from ml_platform.core.errors import FeatureError
from ml_platform.features.labels.known import labels_as_known
from ml_platform.features.offline.lookup import point_in_time_features, references
from ml_platform.features.offline.training_set import build_training_set, read_split
from ml_platform.features.offline.training_set_spec import TrainingSetManifest, TrainingSetSpec
from ml_platform.features.online.materialization import materialize_online
from ml_platform.features.online.parity import compare_online_with_offline
from ml_platform.features.online.reader import OnlineFeatures, PaymentRequest
from ml_platform.features.store import apply, feature_store
from ml_platform.features.tables import (
    CARD_ACTIVITY,
    CARD_FEATURES,
    FRAUD_LABELS,
    MODEL_FEATURES,
    ON_DEMAND_FEATURES,
    TERMINAL_FEATURES,
    TERMINAL_RISK,
)
from tests.unit.features import worlds
from tests.unit.features.conftest import World


def a_spec(world: World, **overrides: Any) -> TrainingSetSpec:
    values = {"model": "card_fraud", "as_of": world.end, "train_days": 14, "validation_days": 5, "holdout_days": 5}
    return TrainingSetSpec(**values | overrides)


def whole(world: World, manifest: TrainingSetManifest) -> pl.DataFrame:
    return pl.concat([read_split(world.store, manifest, split) for split in manifest.splits])


def a_request(card: str, terminal: str, at: datetime, amount: float = 12.5) -> PaymentRequest:
    return PaymentRequest(customer_id=card, terminal_id=terminal, amount=amount, transaction_time=at)


# Definitions


def test_definitions_are_applied_once_and_again_only_when_they_changed(world: World) -> None:
    feature_store(world.settings)
    assert not apply(world.settings)
    (world.settings.feast_home / "applied.txt").write_text("an older version")
    assert apply(world.settings)
    assert not apply(world.settings)


def test_a_registry_read_again_is_not_taken_for_the_one_before(world: World) -> None:
    from feast.infra.registry.proto_registry_utils import list_entities

    store = feature_store(world.settings)
    snapshot = store.registry.proto()  # type: ignore[attr-defined]
    assert list_entities(snapshot, store.project, None)
    # What Python does at times: a new snapshot at the address of the one before.
    again = store.registry.proto()  # type: ignore[attr-defined]
    del again.entities[:]
    snapshot.CopyFrom(again)
    assert list_entities(snapshot, store.project, None) == []


def test_feature_views_declare_exactly_the_columns_of_their_tables(world: World) -> None:
    views = {view.name: view for view in feature_store(world.settings).list_feature_views()}
    last = world.end.date() - timedelta(days=1)
    for table, view, features in (
        (CARD_ACTIVITY, "card_activity", CARD_FEATURES),
        (TERMINAL_RISK, "terminal_risk", TERMINAL_FEATURES),
    ):
        frame = DailyTable(world.store, table).read(last, last)
        assert tuple(field.name for field in views[view].features) == features
        assert frame.columns == ["transaction_id", *views[view].join_keys, "event_time", "created_time", *features]
        assert views[view].batch_source.path == table


def test_the_service_serves_the_fourteen_features_that_are_not_in_the_request(world: World) -> None:
    store = feature_store(world.settings)
    assert set(references(store, "fraud_v1", MODEL_FEATURES)) == {
        *ON_DEMAND_FEATURES,
        *CARD_FEATURES,
        *TERMINAL_FEATURES,
    }
    with pytest.raises(FeatureError, match="does not serve shoe_size"):
        references(store, "fraud_v1", ("amount", "shoe_size"))
    with pytest.raises(FeatureError, match="no feature service fraud_v99"):
        references(store, "fraud_v99", MODEL_FEATURES)


def test_feast_itself_reads_the_same_definitions(world: World, checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "feast").mkdir()
    environment = os.environ | {
        "ML_PLATFORM_HOME": str(tmp_path),
        "ML_PLATFORM_REGION": world.settings.region,
        "ML_PLATFORM_ONLINE_STORE": world.settings.online_store,
        "ML_PLATFORM_FEATURE_REGISTRY": f"sqlite:///{tmp_path}/feast/registry.db",
    }
    command = [str(Path(sys.executable).with_name("feast")), "-c", "feature_repo", "apply"]
    done = subprocess.run(command, env=environment, cwd=checkout, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with sqlite3.connect(tmp_path / "feast" / "registry.db") as registry:
        applied = {
            name
            for column, table in (
                ("entity_name", "entities"),
                ("feature_view_name", "feature_views"),
                ("feature_view_name", "on_demand_feature_views"),
                ("feature_service_name", "feature_services"),
            )
            for (name,) in registry.execute(f"SELECT {column} FROM {table}")  # noqa: S608  # names of our own
        }
    assert {"customer", "terminal", "card_activity", "terminal_risk", "payment_calendar", "fraud_v1"} <= applied


# Training sets


def test_a_training_set_holds_each_labelled_payment_of_its_days_once(world: World) -> None:
    spec = a_spec(world)
    manifest = build_training_set(world.settings, world.store, spec)
    for split, (first, last) in spec.days().items():
        frame = read_split(world.store, manifest, split)
        of_these_days = world.transactions.filter(pl.col("event_time").dt.date().is_between(first, last))
        known = labels_as_known(world.store, spec.as_of, first, last)
        assert sorted(frame["transaction_id"]) == sorted(
            set(of_these_days["transaction_id"]) & set(known["transaction_id"])
        )
        assert (
            dict(frame.select("transaction_id", "label").iter_rows()).items()
            <= dict(known.select("transaction_id", "label").iter_rows()).items()
        )
        described = manifest.splits[split]
        assert (described.rows, described.positives) == (frame.height, frame["label"].sum())
        assert described.unlabelled == of_these_days.height - frame.height
        assert len(described.labelled_by_day) == (last - first).days + 1
        assert min(described.labelled_by_day.values()) > 0.9
        assert frame.columns == ["transaction_id", "event_time", "customer_id", "terminal_id", "label", *MODEL_FEATURES]


def test_splits_are_counted_back_from_as_of_with_a_gap_before_the_holdout() -> None:
    spec = TrainingSetSpec(
        model="m", as_of=datetime(2018, 8, 22, tzinfo=UTC), train_days=7, validation_days=0, holdout_days=7
    )
    days = {split: (first.isoformat(), last.isoformat()) for split, (first, last) in spec.days().items()}
    assert days == {"train": ("2018-07-25", "2018-07-31"), "holdout": ("2018-08-08", "2018-08-14")}
    with pytest.raises(ValueError, match="must be a midnight"):
        TrainingSetSpec(model="m", as_of=datetime(2018, 8, 22, 1, tzinfo=UTC))


def test_the_same_inputs_give_the_same_bytes_and_are_not_written_again(world: World) -> None:
    first = build_training_set(world.settings, world.store, a_spec(world, model="twice"))
    prefix = names.model_prefix("twice", "training-sets")
    before = {key: world.store.get(key) for key in world.store.keys(prefix)}
    marker = f"{prefix}{first.fingerprint}/manifest.json"
    world.store.put(f"{prefix}{first.fingerprint}/train/part-0.parquet", b"left alone")
    assert build_training_set(world.settings, world.store, a_spec(world, model="twice")) == first
    assert world.store.get(f"{prefix}{first.fingerprint}/train/part-0.parquet") == b"left alone"
    world.store.delete([marker])
    assert build_training_set(world.settings, world.store, a_spec(world, model="twice")) == first
    assert {key: world.store.get(key) for key in world.store.keys(prefix)} == before


@pytest.mark.parametrize(
    "change", [{"train_days": 13}, {"feature_lookup": "event"}, {"features": MODEL_FEATURES[::-1]}], ids=str
)
def test_another_spec_gives_another_fingerprint(world: World, change: dict[str, Any]) -> None:
    built = build_training_set(world.settings, world.store, a_spec(world))
    assert build_training_set(world.settings, world.store, a_spec(world, **change)).fingerprint != built.fingerprint


def test_features_as_of_the_event_are_the_rows_of_the_feature_tables(world: World) -> None:
    frame = whole(world, build_training_set(world.settings, world.store, a_spec(world, feature_lookup="event")))
    span = frame["event_time"].min().date(), frame["event_time"].max().date()
    for table, features in ((CARD_ACTIVITY, CARD_FEATURES), (TERMINAL_RISK, TERMINAL_FEATURES)):
        rows = DailyTable(world.store, table).read(*span).select("transaction_id", *features)
        expected = frame.select("transaction_id").join(rows, on="transaction_id", how="left", maintain_order="left")
        assert frame.select("transaction_id", *features).equals(
            expected.with_columns(pl.col(features).cast(pl.Float64))
        )
    times = frame["event_time"]
    assert frame["is_weekend"].to_list() == (times.dt.weekday() >= 6).cast(pl.Float64).to_list()
    assert frame["is_night"].to_list() == (times.dt.hour() <= 6).cast(pl.Float64).to_list()


def test_daily_features_do_not_see_the_day_they_are_used_on(world: World) -> None:
    frame = whole(world, build_training_set(world.settings, world.store, a_spec(world)))
    for table, key, features, days in (
        (CARD_ACTIVITY, "customer_id", CARD_FEATURES, 30),
        (TERMINAL_RISK, "terminal_id", TERMINAL_FEATURES, 37),
    ):
        rows = DailyTable(world.store, table).read(worlds.FIRST_DAY, world.end.date()).sort("event_time")
        for row in frame.sample(80, seed=1).iter_rows(named=True):
            day = row["event_time"].replace(hour=0, minute=0)
            alive = pl.col("event_time") >= day - timedelta(days=days, microseconds=1)
            mine = rows.filter((pl.col(key) == row[key]) & (pl.col("event_time") < day) & alive)
            expected = mine.select(features).tail(1).to_dicts()
            for name in features:
                assert row[name] == (expected[0][name] if expected else (None if "mean" in name else 0)), name


def test_labels_learnt_after_the_cutoff_change_nothing(world: World) -> None:
    as_of = world.end - timedelta(days=10)
    spec = a_spec(world, as_of=as_of, model="cutoff")
    before = build_training_set(world.settings, world.store, spec)
    labels = DailyTable(world.store, FRAUD_LABELS)
    later = {day: labels.read(day, day) for day in labels.days() if day > as_of.date()}
    world.store.delete([names.table_partition(FRAUD_LABELS, day) for day in later])
    try:
        assert build_training_set(world.settings, world.store, spec).fingerprint == before.fingerprint
    finally:
        labels.write_days(later.items())


def test_cards_known_to_be_compromised_can_be_left_out_of_the_holdout(world: World) -> None:
    spec = a_spec(world, drop_known_compromised_cards=True)
    manifest = build_training_set(world.settings, world.store, spec)
    kept = read_split(world.store, manifest, "holdout")
    everything = read_split(world.store, build_training_set(world.settings, world.store, a_spec(world)), "holdout")
    card_of = dict(world.transactions.select("transaction_id", "customer_id").iter_rows())
    start = spec.days()["train"][0]
    expected = []
    for row in everything.iter_rows(named=True):
        morning = row["event_time"].replace(hour=0, minute=0)
        heard = world.labels.filter((pl.col("known_time") < morning) & (pl.col("event_time").dt.date() >= start))
        newest = heard.sort("known_time", "label").unique("transaction_id", keep="last").filter(pl.col("label") == 1)
        if row["customer_id"] not in {card_of[transaction] for transaction in newest["transaction_id"]}:
            expected.append(row["transaction_id"])
    assert kept["transaction_id"].to_list() == expected
    assert 0 < manifest.splits["holdout"].dropped == everything.height - kept.height


def test_a_second_model_has_another_target_on_the_same_payments(world: World) -> None:
    features = ("terminal_tx_count_7d", "terminal_fraud_rate_7d", "is_night")
    spec = a_spec(world, model="terminal_risk_alert", target="terminal_compromised", features=features)
    frame = whole(world, build_training_set(world.settings, world.store, spec))
    per_day = frame.group_by("terminal_id", pl.col("event_time").dt.date()).agg(pl.col("label").n_unique())
    assert per_day["label"].max() == 1
    assert tuple(frame.columns[-3:]) == features
    assert 0 < frame["label"].sum() < frame.height


def test_missing_days_are_told_with_what_to_do(world: World) -> None:
    with pytest.raises(FeatureError, match="There are no payments from"):
        build_training_set(world.settings, world.store, a_spec(world, as_of=world.end + timedelta(days=99)))
    day = a_spec(world).days()["holdout"][0]
    key = names.table_partition(CARD_ACTIVITY, day)
    content = world.store.get(key)
    world.store.delete([key])
    try:
        with pytest.raises(FeatureError, match=f"lacks 1 of the days .* the first being {day}"):
            build_training_set(world.settings, world.store, a_spec(world))
    finally:
        world.store.put(key, content)


# Online


def test_an_empty_online_store_is_an_error_and_not_zeros(world: World, tmp_path: Path) -> None:
    with pytest.raises(FeatureError, match="never filled"):
        OnlineFeatures(world.settings.model_copy(update={"home": tmp_path}))


def test_online_equals_offline_value_for_value(world: World) -> None:
    materialize_online(world.settings, world.end, days=1)
    report = compare_online_with_offline(world.settings, world.store, world.end, sample=300, seed=1)
    assert report.verdict.passed, report.examples
    assert report.values == 300 * 15


def test_parity_finds_a_value_that_differs(world: World) -> None:
    materialize_online(world.settings, world.end, days=1)
    day = world.end.date() - timedelta(days=1)
    table = DailyTable(world.store, CARD_ACTIVITY)
    rows = table.read(day, day)
    table.write(day, rows.with_columns(pl.col("card_tx_count_7d") + 1))
    try:
        report = compare_online_with_offline(world.settings, world.store, world.end, sample=100, seed=1)
    finally:
        table.write(day, rows)
    assert not report.verdict.passed
    assert set(report.differences) == {"card_tx_count_7d"}
    assert "card_tx_count_7d of card" in report.examples[0]


def test_features_come_in_the_models_order_with_what_is_absent_spelt_out(world: World) -> None:
    materialize_online(world.settings, world.end, days=1)
    features = ("is_night", "terminal_fraud_rate_1d", "amount", "card_amount_mean_30d", "card_tx_count_30d")
    served = OnlineFeatures(world.settings, features).read(
        [a_request("nobody", "nowhere", world.end + timedelta(hours=3)), a_request("c1", "m1", world.end, amount=7)]
    )
    assert [tuple(row) for row in served] == [features, features]
    assert served[0] == dict(zip(features, (1.0, 0.0, 12.5, None, 0.0), strict=True))
    assert served[1]["amount"] == 7.0
    assert served[1]["card_amount_mean_30d"] is not None


def test_a_value_past_its_time_to_live_is_not_served(world: World) -> None:
    materialize_online(world.settings, world.end, days=60)
    online = OnlineFeatures(world.settings, ("card_tx_count_30d", "terminal_tx_count_30d"))
    last_seen = world.transactions.filter(pl.col("customer_id") == "c0")["event_time"].max()
    alive = last_seen.replace(hour=0, minute=0) + timedelta(days=30)
    assert online.read([a_request("c0", "m1", alive)])[0]["card_tx_count_30d"] > 0
    assert online.read([a_request("c0", "m1", alive + timedelta(days=2))])[0]["card_tx_count_30d"] == 0


def test_materializing_an_older_day_does_not_take_the_store_back(world: World) -> None:
    materialize_online(world.settings, world.end, days=1)
    online = OnlineFeatures(world.settings)
    requests = [a_request(f"c{number}", f"m{number % 15}", world.end) for number in range(25)]
    before = online.read(requests)
    report = materialize_online(world.settings, world.end - timedelta(days=20), days=5)
    assert report.end == world.end
    assert online.read(requests) == before


def test_days_that_were_skipped_are_made_up_for(world: World, tmp_path: Path) -> None:
    settings = world.settings.model_copy(update={"home": tmp_path})
    materialize_online(settings, world.end - timedelta(days=30), days=1)
    materialize_online(settings, world.end, days=1)
    report = compare_online_with_offline(settings, world.store, world.end, sample=100, seed=2)
    assert report.verdict.passed, report.examples


_PROBE = """
import json, sys
from datetime import datetime
from ml_platform.aws.objects import ObjectStore
from ml_platform.core.settings import Settings
from ml_platform.features.online.reader import OnlineFeatures
from ml_platform.features.offline.training_set import build_training_set
from ml_platform.features.offline.training_set_spec import TrainingSetSpec
settings = Settings.load()
spec = TrainingSetSpec.model_validate_json(sys.argv[1])
manifest = build_training_set(settings, ObjectStore.from_settings(settings), spec)
request = {"customer_id": "c1", "terminal_id": "m1", "amount": 1.0, "transaction_time": spec.as_of}
print(json.dumps([manifest.fingerprint, list(OnlineFeatures(settings).read([request])[0].items())]))
"""


def test_order_and_fingerprint_do_not_depend_on_the_process(world: World) -> None:
    """Each process has its own hash seed, and Feast orders features by it."""
    materialize_online(world.settings, world.end, days=1)
    spec = a_spec(world)
    fingerprint = build_training_set(world.settings, world.store, spec).fingerprint
    served = OnlineFeatures(world.settings).read([a_request("c1", "m1", spec.as_of, amount=1.0)])[0]
    command = [sys.executable, "-c", _PROBE, spec.model_dump_json()]
    environment = os.environ | {"PYTHONHASHSEED": "1"}
    there = json.loads(subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True).stdout)
    assert there == [fingerprint, [list(item) for item in served.items()]]
    assert tuple(served) == MODEL_FEATURES


# The join, through Feast


def test_the_join_keeps_rows_order_and_duplicates(world: World) -> None:
    payments = world.transactions.filter(pl.col("event_time") >= world.end - timedelta(days=5)).sample(
        fraction=1, shuffle=True, seed=3
    )
    twice = pl.concat([payments, payments.head(10).with_columns(customer_id=pl.lit("nobody"))])
    joined = point_in_time_features(
        feature_store(world.settings), twice, service="fraud_v1", features=MODEL_FEATURES, lookup="event"
    )
    assert joined["transaction_id"].to_list() == twice["transaction_id"].to_list()
    assert joined["card_tx_count_1d"].tail(10).to_list() == [0.0] * 10
    assert joined["card_tx_count_1d"].head(payments.height).min() > 0


def test_rows_not_yet_written_can_be_left_out_of_a_join(world: World) -> None:
    store = feature_store(world.settings)
    instant = world.end - timedelta(days=1, microseconds=1)
    asked = pl.DataFrame({"customer_id": ["c1"], "event_timestamp": [instant]}).to_pandas()
    features = ["card_activity:card_tx_count_30d"]
    written = store.get_historical_features(asked, features, filter_by_created_timestamp=True).to_df()
    any_time = store.get_historical_features(asked, features).to_df()
    # A day's rows are written at its end, so before that the day before is the newest.
    rows = DailyTable(world.store, CARD_ACTIVITY).read(instant.date() - timedelta(days=30), instant.date())
    mine = rows.filter(pl.col("customer_id") == "c1").sort("event_time")
    assert any_time["card_tx_count_30d"][0] == mine["card_tx_count_30d"][-1]
    earlier = mine.filter(pl.col("created_time") <= instant)
    assert written["card_tx_count_30d"][0] == earlier["card_tx_count_30d"][-1]
