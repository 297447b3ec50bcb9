"""News from the source lead to the right runs: ticked on a real instance, with real files and a real bucket."""

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
from dagster import DagsterInstance, DagsterRunStatus
from dagster._core.test_utils import create_run_for_test

from ml_platform.aws.objects import ObjectStore
from ml_platform.aws.tables import DailyTable
from ml_platform.cli.runs import RANGE_END_TAG, RANGE_START_TAG, Runs
from ml_platform.components import payments
from ml_platform.core.errors import SourceDataError
from ml_platform.core.settings import Settings
from ml_platform.defs.schedules import REASON_TAG
from ml_platform.defs.source_sensors import missing_days
from tests.defs.ticks import tick

START = date(2026, 1, 5)


def day(number: int) -> date:
    return START + timedelta(days=number)


# Missing days


@pytest.mark.parametrize(
    ("offered", "landed", "today", "missing"),
    [
        pytest.param((0, 2), [], 9, [0, 1, 2], id="nothing is landed"),
        pytest.param((0, 2), [0, 1, 2], 9, [], id="everything is landed"),
        pytest.param((0, 4), [0, 2], 9, [1, 3, 4], id="a gap counts"),
        pytest.param((0, 9), [], 3, [0, 1, 2], id="a day that is not over is not complete"),
        pytest.param((-5, 1), [], 9, [0, 1], id="days before the history are left alone"),
        pytest.param((-5, -2), [], 9, [], id="the source ends before the history"),
        pytest.param((4, 6), [], 3, [], id="the source begins after today"),
        pytest.param(None, [0], 3, [1, 2], id="a source without an end offers every complete day"),
        pytest.param(None, [], 0, [], id="the first day is not over"),
        pytest.param((0, 1), [0, 1, 2, 3], 9, [], id="more is landed than the source still has"),
    ],
)
def test_missing_days(offered: tuple[int, int] | None, landed: list[int], today: int, missing: list[int]) -> None:
    span = (day(offered[0]), day(offered[1])) if offered else None
    assert missing_days(span, [day(number) for number in landed], START, day(today)) == [day(n) for n in missing]


# New source data


def write_days(path: Path, count: int) -> None:
    """Write a source with the first days of the history, ten payments each."""
    rows = [
        {
            "transaction_id": f"{number}-{payment}",
            "event_time": datetime.combine(day(number), time(payment), UTC),
            "customer_id": f"c{payment}",
            "terminal_id": f"t{payment}",
            "amount": 10.0 + payment,
            "label": int(payment == 3),
        }
        for number in range(count)
        for payment in range(10)
    ]
    pl.DataFrame(rows).write_parquet(path)


@pytest.fixture
def source(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "payments.parquet"
    write_days(path, 3)
    monkeypatch.setenv("ML_PLATFORM_SOURCE", str(path))
    return path


@pytest.fixture
def runs(definitions: dg.Definitions, instance: DagsterInstance) -> Runs:
    return Runs(definitions, instance)


# Without the online store, which takes Feast: that whole days land is in ``tests/loop``.
TABLES = [key.to_user_string() for key in payments.DAILY if key != payments.ONLINE_FEATURES]
FEATURE_TABLES = ["payments/card_activity", "payments/terminal_risk"]


def serve(instance: DagsterInstance, *numbers: int) -> None:
    """Let it be known that these days are online."""
    for number in numbers:
        event = dg.AssetMaterialization(payments.ONLINE_FEATURES, partition=day(number).isoformat())
        instance.report_runless_asset_event(event)


def test_new_source_data_asks_for_the_missing_days_as_one_run_until_they_are_landed(
    definitions: dg.Definitions, instance: DagsterInstance, runs: Runs, source: Path, store: ObjectStore
) -> None:
    (first,) = tick(definitions, instance, "new_source_data").run_requests or []
    assert (first.tags[RANGE_START_TAG], first.tags[RANGE_END_TAG]) == ("2026-01-05", "2026-01-07")
    assert first.tags[REASON_TAG] == "the source has 3 new days, 2026-01-05 to 2026-01-07"
    runs.materialize(TABLES, tags=first.tags)
    serve(instance, 0, 1, 2)
    skipped = tick(definitions, instance, "new_source_data")
    assert not skipped.run_requests
    assert skipped.skip_message == "Every complete day that the source has is landed."

    write_days(source, 5)
    (second,) = tick(definitions, instance, "new_source_data").run_requests or []
    assert (second.tags[RANGE_START_TAG], second.tags[RANGE_END_TAG]) == ("2026-01-08", "2026-01-09")
    assert second.run_key != first.run_key
    runs.materialize(TABLES, tags=second.tags)
    serve(instance, 3, 4)
    assert not tick(definitions, instance, "new_source_data").run_requests


def test_a_day_that_is_missing_between_landed_ones_is_asked_for_alone(
    definitions: dg.Definitions, instance: DagsterInstance, runs: Runs, source: Path
) -> None:
    for landed in (0, 2):
        runs.materialize(TABLES, partition=day(landed).isoformat())
        serve(instance, landed)
    (request,) = tick(definitions, instance, "new_source_data").run_requests or []
    assert (request.tags[RANGE_START_TAG], request.tags[RANGE_END_TAG]) == ("2026-01-06", "2026-01-06")


@pytest.mark.parametrize("done", range(1, len(TABLES)))
def test_days_whose_run_died_half_way_are_asked_for_again(
    definitions: dg.Definitions, instance: DagsterInstance, runs: Runs, source: Path, done: int
) -> None:
    runs.materialize(TABLES[:done], days=(day(0), day(2)))
    serve(instance, 0, 1, 2)
    (request,) = tick(definitions, instance, "new_source_data").run_requests or []
    assert (request.tags[RANGE_START_TAG], request.tags[RANGE_END_TAG]) == ("2026-01-05", "2026-01-07")


def test_days_whose_run_died_before_they_were_online_are_asked_for_again(
    definitions: dg.Definitions, instance: DagsterInstance, runs: Runs, source: Path
) -> None:
    runs.materialize(TABLES, days=(day(0), day(2)))
    serve(instance, 0, 2)
    (request,) = tick(definitions, instance, "new_source_data").run_requests or []
    assert (request.tags[RANGE_START_TAG], request.tags[RANGE_END_TAG]) == ("2026-01-06", "2026-01-06")


def test_gaps_are_asked_for_without_the_landed_days_between_them(
    definitions: dg.Definitions, instance: DagsterInstance, runs: Runs, source: Path
) -> None:
    write_days(source, 5)
    runs.materialize(TABLES, days=(day(1), day(3)))
    serve(instance, 1, 2, 3)
    asked = tick(definitions, instance, "new_source_data").run_requests or []
    assert [(request.tags[RANGE_START_TAG], request.tags[RANGE_END_TAG]) for request in asked] == [
        ("2026-01-05", "2026-01-05"),
        ("2026-01-09", "2026-01-09"),
    ]


def test_a_landing_that_failed_or_wrote_nothing_is_tried_again_after_a_pause_that_doubles(
    definitions: dg.Definitions, instance: DagsterInstance, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [datetime.now(UTC)]
    monkeypatch.setattr("ml_platform.defs.source_sensors.utc_now", lambda: clock[0])
    keys, waited = [], []
    for status in (DagsterRunStatus.FAILURE, DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE):
        (request,) = tick(definitions, instance, "new_source_data").run_requests or []
        keys.append(request.run_key)
        create_run_for_test(instance, tags=request.tags, status=status)
        ended = clock[0] = datetime.now(UTC)
        while not tick(definitions, instance, "new_source_data").run_requests:
            clock[0] += timedelta(seconds=30)
        waited.append((clock[0] - ended).total_seconds() / 60)
    assert len(set(keys)) == 3
    assert waited == [1, 2, 4]


def test_days_that_a_run_is_landing_are_not_asked_for(
    definitions: dg.Definitions, instance: DagsterInstance, source: Path
) -> None:
    create_run_for_test(instance, tags={"dagster/partition": "2026-01-06"}, status=DagsterRunStatus.STARTED)
    outcome = tick(definitions, instance, "new_source_data")
    assert not outcome.run_requests
    assert outcome.skip_message == "3 new and 0 changed days are being landed, or soon tried again."


# Late rows


def correct(path: Path, number: int, amount: float) -> None:
    """Change the amount of one payment of a day."""
    rows = pl.read_parquet(path)
    chosen = pl.col("transaction_id") == f"{number}-4"
    rows.with_columns(pl.when(chosen).then(amount).otherwise("amount").alias("amount")).write_parquet(path)


def cards(store: ObjectStore, number: int) -> list[float]:
    rows = DailyTable(store, "payments/card_activity").read(day(number), day(number))
    return rows.filter(pl.col("customer_id") == "c4")["card_amount_mean_30d"].to_list()


def test_a_corrected_row_reopens_its_day_and_the_features_of_the_days_that_see_it(
    definitions: dg.Definitions,
    instance: DagsterInstance,
    runs: Runs,
    source: Path,
    store: ObjectStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_days(source, 4)
    runs.materialize(TABLES, days=(day(0), day(3)))
    serve(instance, 0, 1, 2, 3)
    settled = tick(definitions, instance, "late_rows_reach_features")
    assert not settled.run_requests
    assert cards(store, 3) == [14.0]

    correct(source, 1, 54.0)
    (landing,) = tick(definitions, instance, "new_source_data").run_requests or []
    assert (landing.tags[RANGE_START_TAG], landing.tags[RANGE_END_TAG]) == ("2026-01-06", "2026-01-06")
    assert landing.tags[REASON_TAG] == "the source has other rows for 1 landed days, 2026-01-06 to 2026-01-06"
    runs.materialize(TABLES, tags=landing.tags)
    serve(instance, 1)
    assert not tick(definitions, instance, "new_source_data").run_requests
    assert cards(store, 3) == [14.0]

    (follow,) = tick(definitions, instance, "late_rows_reach_features", settled.cursor).run_requests or []
    assert (follow.tags[RANGE_START_TAG], follow.tags[RANGE_END_TAG]) == ("2026-01-07", "2026-01-08")
    assert follow.tags[REASON_TAG].startswith("late or corrected rows reach the features of 2 days")
    runs.materialize(FEATURE_TABLES, tags=follow.tags)
    assert cards(store, 3) == [24.0]
    # The run did not get to the online store: it is tried again, after a while.
    assert not tick(definitions, instance, "late_rows_reach_features", settled.cursor).run_requests
    later = datetime.now(UTC) + timedelta(minutes=2)
    monkeypatch.setattr("ml_platform.defs.source_sensors.utc_now", lambda: later)
    (online,) = tick(definitions, instance, "late_rows_reach_features", settled.cursor).run_requests or []
    assert online.tags[RANGE_START_TAG] == "2026-01-07"
    serve(instance, 2, 3)
    done = tick(definitions, instance, "late_rows_reach_features", settled.cursor)
    assert not done.run_requests
    assert done.cursor != settled.cursor
    assert not tick(definitions, instance, "late_rows_reach_features", done.cursor).run_requests


def test_landing_the_same_rows_again_reopens_nothing(
    definitions: dg.Definitions, instance: DagsterInstance, runs: Runs, source: Path
) -> None:
    runs.materialize(TABLES, days=(day(0), day(2)))
    serve(instance, 0, 1, 2)
    settled = tick(definitions, instance, "late_rows_reach_features").cursor
    write_days(source, 3)
    assert not tick(definitions, instance, "new_source_data").run_requests
    runs.materialize(TABLES[:2], partition=day(1).isoformat())
    outcome = tick(definitions, instance, "late_rows_reach_features", settled)
    assert (outcome.run_requests, outcome.skip_message) == (
        [],
        "No landed day has changed since features were last found to be right.",
    )


def test_a_day_that_is_landed_after_its_successors_reaches_their_features(
    definitions: dg.Definitions, instance: DagsterInstance, runs: Runs, source: Path
) -> None:
    write_days(source, 4)
    for span in ((1, 3), (0, 0)):
        runs.materialize(TABLES, days=(day(span[0]), day(span[1])))
    serve(instance, 0, 1, 2, 3)
    (follow,) = tick(definitions, instance, "late_rows_reach_features").run_requests or []
    assert (follow.tags[RANGE_START_TAG], follow.tags[RANGE_END_TAG]) == ("2026-01-06", "2026-01-08")


def test_a_source_from_which_nothing_comes_any_more_is_told_once_and_taken_back(
    definitions: dg.Definitions,
    instance: DagsterInstance,
    runs: Runs,
    source: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ML_PLATFORM_SOURCE_FRESHNESS_HOURS", "36")
    runs.materialize(TABLES[:2], days=(day(0), day(2)))
    cursor, told = None, []
    for hours in (30, 40, 50):
        now = datetime.combine(day(3), time(), UTC) + timedelta(hours=hours)
        monkeypatch.setattr("ml_platform.defs.source_sensors.utc_now", lambda now=now: now)
        outcome = tick(definitions, instance, "new_source_data", cursor)
        cursor = outcome.cursor
        told.append([(event.check_name, event.passed, event.description) for event in outcome.asset_events])
    stale = "the newest landed day, 2026-01-07, ended 40 h ago > 36 h"
    assert told == [[], [("newest_day_is_fresh", False, stale)], []]
    monkeypatch.delenv("ML_PLATFORM_SOURCE_FRESHNESS_HOURS")
    (event,) = tick(definitions, instance, "new_source_data", cursor).asset_events
    assert event.passed


def test_a_source_that_is_not_there_is_a_clear_error_of_the_tick(
    definitions: dg.Definitions, instance: DagsterInstance, source: Path
) -> None:
    source.unlink()
    with pytest.raises(SourceDataError, match=r"payments\.parquet"):
        tick(definitions, instance, "new_source_data")
