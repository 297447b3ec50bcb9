"""The Polars engine equals a reference that looks at every pair of rows, whatever the rows are like."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_platform.core.errors import FeatureError
from ml_platform.features.windows.on_polars.engine import window_features
from tests.unit.features import worlds
from tests.unit.features.windows.tables import EVERYTHING, differing, reference

# Around the hour that Brussels repeats in autumn: calendar days there are 25 hours long.
_START = datetime(2026, 10, 22, tzinfo=UTC)
_QUARTERS = st.integers(0, 4 * 24 * 12)  # 12 days in quarters of an hour: many ties, and gaps
_PAYMENT = st.tuples(
    _QUARTERS,
    st.sampled_from(["c1", "c2", None]),
    st.sampled_from(["m1", "m2", "m3", None]),
    st.sampled_from([0.0, 0.1, 2.5, 49.99, 50.0, 57.16 * 5, 1_000_000.123456, None]),
)
_LABEL = st.tuples(st.integers(0, 24), st.sampled_from([0, 1]), st.integers(0, 20 * 24))
_INSTANT = pl.Datetime("us", "UTC")


def _payments(drawn: list[tuple]) -> pl.DataFrame:
    rows = [
        (f"t{number:03}", _START + timedelta(minutes=15 * quarter), card, terminal, amount)
        for number, (quarter, card, terminal, amount) in enumerate(drawn)
    ]
    schema = [
        ("transaction_id", pl.String),
        ("event_time", _INSTANT),
        ("customer_id", pl.String),
        ("terminal_id", pl.String),
    ]
    return pl.DataFrame(rows, schema=[*schema, ("amount", pl.Float64)], orient="row")


def _labels(drawn: list[tuple], payments: pl.DataFrame) -> pl.DataFrame:
    times = dict(payments.select("transaction_id", "event_time").iter_rows())
    rows = [
        (f"t{number:03}", label, times[f"t{number:03}"], times[f"t{number:03}"] + timedelta(hours=hours))
        for number, label, hours in drawn
        if f"t{number:03}" in times
    ]
    schema = [("transaction_id", pl.String), ("label", pl.Int8), ("event_time", _INSTANT), ("known_time", _INSTANT)]
    return pl.DataFrame(rows, schema=schema, orient="row")


@settings(max_examples=40, deadline=None)
@given(st.lists(_PAYMENT, max_size=25), st.lists(_LABEL, max_size=30), st.sampled_from([3, 1_000]))
def test_every_aggregate_equals_the_reference(drawn: list[tuple], known: list[tuple], max_rows: int) -> None:
    payments = _payments(drawn)
    labels = _labels(known, payments)
    computed = window_features(EVERYTHING, payments, labels, max_rows_at_once=max_rows)
    expected = reference(EVERYTHING, payments.to_dicts(), labels.to_dicts())
    assert computed["transaction_id"].to_list() == payments["transaction_id"].to_list()
    for name in EVERYTHING.feature_names:
        assert differing(computed[name].to_list(), [row[name] for row in expected]) == [], name


@settings(max_examples=8, deadline=None)
@given(st.lists(_PAYMENT, min_size=1, max_size=25), st.sampled_from(["Europe/Brussels", "Asia/Kathmandu", "UTC"]))
def test_a_time_zone_moves_no_window(drawn: list[tuple], zone: str) -> None:
    payments = _payments(drawn)
    nothing = _labels([], payments)
    elsewhere = payments.with_columns(pl.col("event_time").dt.convert_time_zone(zone))
    computed = window_features(EVERYTHING, payments, nothing)
    assert computed.equals(window_features(EVERYTHING, elsewhere, nothing))
    milliseconds = payments.with_columns(pl.col("event_time").dt.cast_time_unit("ms"))
    assert computed.equals(window_features(EVERYTHING, milliseconds, nothing))


def test_the_order_and_the_grouping_of_rows_change_no_bit() -> None:
    payments = worlds.payments(days=40, per_day=20, cards=9)
    labels = worlds.labels(payments)
    expected = window_features(EVERYTHING, payments, labels)
    for seed, max_rows in ((1, 10**6), (2, 100), (3, 1)):
        shuffled = payments.sample(fraction=1, shuffle=True, seed=seed)
        computed = window_features(EVERYTHING, shuffled, labels, max_rows_at_once=max_rows)
        assert computed.sort("transaction_id").equals(expected.sort("transaction_id"))


def test_times_without_a_zone_or_a_value_are_refused() -> None:
    payments = worlds.payments(days=2, per_day=2)
    labels = worlds.labels(payments)
    with pytest.raises(FeatureError, match="names no instants"):
        window_features(EVERYTHING, payments.with_columns(pl.col("event_time").dt.replace_time_zone(None)), labels)
    absent = payments.with_columns(event_time=pl.lit(None, _INSTANT))
    with pytest.raises(FeatureError, match="4 rows of payments/transactions have no event_time"):
        window_features(EVERYTHING, absent, labels)
    with pytest.raises(FeatureError, match="no labels were given"):
        window_features(EVERYTHING, payments)
