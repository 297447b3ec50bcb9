"""A day costs what its windows reach back to, and a changed row re-opens exactly the days that it changes."""

import random
from datetime import UTC, date, datetime, time, timedelta
from functools import cache

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_platform.aws.objects import ObjectStore
from ml_platform.aws.tables import DailyTable
from ml_platform.features.tables import FRAUD_LABELS, TRANSACTIONS
from ml_platform.features.windows.compute import compute_table
from ml_platform.features.windows.declaration import FeatureTable
from ml_platform.features.windows.on_polars.engine import window_features
from ml_platform.features.windows.payments import FEATURE_TABLES, terminal_risk
from ml_platform.features.windows.reach import days_touched, days_touched_by_label, first_day_read
from tests.unit.features import worlds
from tests.unit.features.windows.tables import EVERYTHING

DAYS = 60
PAYMENTS = worlds.payments(days=DAYS, per_day=6)
LABELS = worlds.labels(PAYMENTS)
TABLES = pytest.mark.parametrize("table", [*FEATURE_TABLES, EVERYTHING], ids=lambda table: table.name)


def _day(offset: int) -> date:
    return worlds.FIRST_DAY + timedelta(days=offset)


def _features(table: FeatureTable, rows: pl.DataFrame, labels: pl.DataFrame = LABELS) -> pl.DataFrame:
    return window_features(table, rows, labels if table.labels else None).sort("event_time", "transaction_id")


@cache
def _of_everything(table: FeatureTable) -> pl.DataFrame:
    return _features(table, PAYMENTS)


def _on(frame: pl.DataFrame, first: date, last: date) -> pl.DataFrame:
    return frame.filter(pl.col("event_time").dt.date().is_between(first, last))


@TABLES
@settings(max_examples=10, deadline=None)
@given(st.integers(0, DAYS - 1), st.integers(0, 20))
def test_what_windows_reach_back_to_is_all_that_a_range_needs(table: FeatureTable, start: int, length: int) -> None:
    first, last = _day(start), _day(min(start + length, DAYS - 1))
    earliest = first_day_read(table, first)
    labels = LABELS.filter(pl.col("known_time").dt.date().is_between(earliest, last))
    alone = _features(table, _on(PAYMENTS, earliest, last), labels)
    assert _on(alone, first, last).equals(_on(_of_everything(table), first, last))


@TABLES
@pytest.mark.parametrize("seed", range(3))
def test_a_changed_day_touches_the_days_it_says_and_no_other(table: FeatureTable, seed: int) -> None:
    changed = _day(random.Random(seed).randrange(DAYS - 10))  # noqa: S311
    rows = PAYMENTS.filter((pl.col("event_time").dt.date() != changed) | (pl.col("amount") > 100))
    before, after = _of_everything(table), _features(table, rows)
    touched = set(days_touched(table, changed))
    for offset in range(DAYS):
        same = _on(after, _day(offset), _day(offset)).equals(_on(before, _day(offset), _day(offset)))
        assert same or _day(offset) in touched, _day(offset)


@pytest.mark.parametrize("table", FEATURE_TABLES, ids=lambda table: table.name)
def test_the_outermost_days_touched_can_really_change(table: FeatureTable) -> None:
    """A row at each end of the day, and one at each end of the days it is said to touch."""
    day = _day(30)
    touched = days_touched(table, day)
    edges = [datetime.combine(day, time.min, UTC), datetime.combine(day, time.max, UTC)]
    watched = [datetime.combine(it, clock, UTC) for it in touched for clock in (time.min, time.max)]
    rows = [(f"s{n}", at, "c1", "m1", 60.0) for n, at in enumerate(edges)]
    rows += [(f"w{n}", at, "c1", "m1", 7.0) for n, at in enumerate(watched) if at.date() != day]
    schema = list(PAYMENTS.schema.items())
    before = pl.DataFrame(rows, schema=schema, orient="row")
    features = [_features(table, frame) for frame in (before, before.filter(pl.col("amount") != 60.0))]
    for it in (touched[1], touched[-1]):
        assert not _on(features[0], it, it).equals(_on(features[1], it, it)), it


def test_a_late_label_touches_only_days_since_it_was_known() -> None:
    event, known = _day(10), _day(25)
    row = PAYMENTS.filter(pl.col("event_time").dt.date() == event).row(0, named=True)
    late = datetime.combine(known, time(9), UTC)
    learnt = pl.DataFrame([(row["transaction_id"], 1, row["event_time"], late)], schema=LABELS.schema, orient="row")
    rest = LABELS.filter(pl.col("transaction_id") != row["transaction_id"])
    before, after = (_features(terminal_risk, PAYMENTS, labels) for labels in (rest, pl.concat([rest, learnt])))
    changed = {
        _day(offset)
        for offset in range(DAYS)
        if not _on(before, _day(offset), _day(offset)).equals(_on(after, _day(offset), _day(offset)))
    }
    touched = days_touched_by_label(terminal_risk, event, known)
    assert changed
    assert changed <= set(touched)
    assert touched[0] == known


@pytest.fixture
def landed(store: ObjectStore) -> ObjectStore:
    worlds.land(store, PAYMENTS, LABELS)
    return store


def test_a_day_costs_the_same_however_long_the_history_is(landed: ObjectStore) -> None:
    day = _day(DAYS - 1)
    with_history = compute_table(landed, terminal_risk, day, day)
    kept = DailyTable(landed, TRANSACTIONS).days()[-38:]
    reached = DailyTable(landed, TRANSACTIONS).read(kept[0], day)
    entities = reached.filter(pl.col("event_time").dt.date() == day)["terminal_id"].unique().to_list()
    assert with_history.days_read == len(kept) == terminal_risk.reach.days + 1
    assert with_history.rows_read == reached.height < PAYMENTS.height
    assert with_history.rows_computed == reached.filter(pl.col("terminal_id").is_in(entities)).height
    before = DailyTable(landed, terminal_risk.name).read(day, day)
    for table in (TRANSACTIONS, FRAUD_LABELS):
        folder = f"tables/{table}/"
        landed.delete([key for key in landed.keys(folder) if key.split("date=")[1][:10] < kept[0].isoformat()])
    without = compute_table(landed, terminal_risk, day, day)
    after = DailyTable(landed, terminal_risk.name).read(day, day)
    assert without == with_history
    assert not before.is_empty()
    assert after.equals(before)


def test_a_long_backfill_in_stretches_writes_the_same_bytes(
    landed: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, last = _day(DAYS - 20), _day(DAYS - 1)
    for table in FEATURE_TABLES:
        compute_table(landed, table, first, last)
        at_once = [landed.get(key) for key in landed.keys(f"tables/{table.name}/")]
        monkeypatch.setattr("ml_platform.features.windows.compute._DAYS_AT_ONCE", 9)
        report = compute_table(landed, table, first, last)
        assert report.rows == _on(PAYMENTS, first, last).height
        assert [landed.get(key) for key in landed.keys(f"tables/{table.name}/")] == at_once
