"""Skew of every kind is planted into what was served or into the tables, and must be found and named."""

import io
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import polars as pl
import pytest

from ml_platform.aws.tables import DailyTable
from ml_platform.core.clock import utc_now
from ml_platform.features.online.materialization import materialize_online
from ml_platform.features.online.reader import OnlineFeatures
from ml_platform.features.skew.finished import Unknown, finished_without
from ml_platform.features.skew.replay import Replay
from ml_platform.features.skew.serving_record import ServingRecords, rewritten_since, write_record
from ml_platform.features.tables import CARD_ACTIVITY, CARD_FEATURES, MODEL_FEATURES, TERMINAL_RISK
from ml_platform.monitoring.skew import SkewPolicy, SkewReport
from ml_platform.resources.skew_proof import prove_skew
from tests.unit.features.conftest import World

JUDGED_AT = datetime(2026, 3, 9, tzinfo=UTC)


@pytest.fixture(scope="module")
def replay(world: World) -> Replay:
    return Replay(world.settings, world.store, "fraud_v1", MODEL_FEATURES, "daily")


def last_day(world: World) -> pl.DataFrame:
    return world.transactions.filter(pl.col("event_time") >= world.end - timedelta(days=1))


def served(world: World, home: Path, behind: int = 0, service: str = "fraud_v1") -> pl.DataFrame:
    """What an online store that was filled up to the last day's morning, or days before, serves on that day."""
    settings = world.settings.model_copy(update={"home": home})
    materialize_online(settings, world.end - timedelta(days=1 + behind), days=1)
    payments = last_day(world)
    features = OnlineFeatures(settings, feature_service=service).read(
        [
            {
                "customer_id": row["customer_id"],
                "terminal_id": row["terminal_id"],
                "amount": row["amount"],
                "transaction_time": row["event_time"],
            }
            for row in payments.iter_rows(named=True)
        ]
    )
    schema = dict.fromkeys(MODEL_FEATURES, pl.Float64)
    return pl.concat(
        [payments.select("transaction_id", inference_time=pl.lit(utc_now())), pl.DataFrame(features, schema=schema)],
        how="horizontal",
    )


@pytest.fixture(scope="module")
def right(world: World, tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    return served(world, tmp_path_factory.mktemp("right"))


def proved(replay: Replay, captured: pl.DataFrame) -> SkewReport:
    return prove_skew(
        replay,
        captured,
        SkewPolicy(),
        model="card_fraud",
        package_arn="arn:v1",
        judged_at=datetime(2026, 3, 9, tzinfo=UTC),
    )


def kept_rows(replay: Replay, report: SkewReport) -> pl.DataFrame:
    assert report.rows_uri is not None
    return pl.read_parquet(io.BytesIO(replay.store.get(replay.store.key(report.rows_uri))))


def test_what_was_served_right_has_no_skew(replay: Replay, right: pl.DataFrame) -> None:
    report = proved(replay, right)
    assert report.verdict.passed, report.failures
    assert (report.compared, report.values) == (right.height, right.height * len(MODEL_FEATURES))
    assert kept_rows(replay, report).is_empty()


def test_requests_without_a_landed_payment_are_not_compared(replay: Replay, right: pl.DataFrame) -> None:
    strangers = right.with_columns(pl.concat_str(pl.lit("x"), "transaction_id").alias("transaction_id"))
    report = proved(replay, pl.concat([right.head(3), strangers]))
    assert (report.captured, report.compared, report.judged) == (right.height + 3, 3, False)


def test_a_store_that_was_not_materialized_is_named(world: World, replay: Replay, tmp_path: Path) -> None:
    report = proved(replay, served(world, tmp_path, behind=3))
    assert not report.verdict.passed
    assert set(report.by_cause) == {"missed_materialization"}
    assert "missed_materialization" in " ".join(report.failures)


def test_a_feature_computed_otherwise_is_named_code_and_no_other(replay: Replay, right: pl.DataFrame) -> None:
    in_cents = right.with_columns(pl.col("card_amount_mean_7d") * 100, pl.col("is_night") * -1 + 1)
    report = proved(replay, in_cents)
    assert set(report.by_cause) == {"code"}
    assert set(report.by_feature) == {"card_amount_mean_7d", "is_night"}


def test_an_expired_row_that_was_served_is_named(world: World, replay: Replay, right: pl.DataFrame) -> None:
    """Card c0 fell silent more than its time to live ago; here it pays again, and is served its old row."""
    day = world.end.date() - timedelta(days=1)
    table = DailyTable(world.store, "payments/transactions")
    before = table.read(day, day)
    back = before.head(1).with_columns(customer_id=pl.lit("c0"), transaction_id=pl.lit("back"))
    rows = DailyTable(world.store, CARD_ACTIVITY).read(date(2026, 1, 1), day)
    old = rows.filter(pl.col("customer_id") == "c0").sort("event_time").tail(1)
    assert old["event_time"].item() < world.end - timedelta(days=31)
    unexpired = [pl.lit(float(old[name].item())).alias(name) for name in CARD_FEATURES]
    calendar = right.filter(pl.col("transaction_id") == before["transaction_id"][0])
    captured = calendar.with_columns(pl.lit("back").alias("transaction_id"), *unexpired)
    table.write(day, pl.concat([before, back]))
    try:
        report = proved(replay, captured)
    finally:
        table.write(day, before)
    assert report.by_cause == {"time_to_live": len(CARD_FEATURES)}


def planted(rows: pl.DataFrame, created: timedelta) -> pl.DataFrame:
    """Of every card's rows of a day the last one again, a tick later, corrected, and written later."""
    newest = rows.unique("customer_id", keep="last", maintain_order=True)
    late = newest.with_columns(
        pl.col("event_time") + timedelta(microseconds=1),
        pl.col("created_time") + created,
        pl.col("card_tx_count_7d") + 1,
        pl.col("card_amount_mean_7d") * 2,
    )
    return pl.concat([rows, late]).sort("event_time", maintain_order=True)


def test_rows_that_came_late_are_named(world: World, replay: Replay, right: pl.DataFrame) -> None:
    day = world.end.date() - timedelta(days=2)
    table = DailyTable(world.store, CARD_ACTIVITY)
    rows = table.read(day, day)
    table.write(day, planted(rows, timedelta(days=3)))
    try:
        report = proved(replay, right)
    finally:
        table.write(day, rows)
    assert set(report.by_cause) == {"late_data"}
    assert set(report.by_feature) == {"card_tx_count_7d", "card_amount_mean_7d"}
    kept = kept_rows(replay, report)
    assert kept.height == sum(report.by_cause.values())
    assert {"transaction_id", "feature", "served", "offline", "cause", "customer_id", "event_time"} <= set(kept.columns)


def test_rows_rewritten_without_a_time_of_writing_are_found_by_the_record_of_what_was_served(
    world: World, replay: Replay, right: pl.DataFrame
) -> None:
    """Computing a day again gives its rows the same time of creation, so only the record tells."""
    write_record(world.store, world.end - timedelta(days=1), utc_now())
    captured = right.with_columns(inference_time=pl.lit(utc_now()))
    day = world.end.date() - timedelta(days=2)
    table = DailyTable(world.store, CARD_ACTIVITY)
    rows = table.read(day, day)
    table.write(day, planted(rows, timedelta(0)))
    try:
        late = proved(replay, captured)
        unrecorded = proved(replay, right)
    finally:
        table.write(day, rows)
    assert set(late.by_cause) == {"late_data"}
    assert set(unrecorded.by_cause) == {"code"}


def test_days_rewritten_by_other_definitions_are_not_late_data(world: World) -> None:
    midnight = world.end - timedelta(days=1)
    at = datetime(2026, 7, 1, tzinfo=UTC)
    record = write_record(world.store, midnight, at)
    day = midnight.date() - timedelta(days=1)
    record.partitions[TERMINAL_RISK][day] = "another"
    later = at + timedelta(hours=1)

    def keep(definitions: str) -> None:
        changed = record.model_copy(update={"definitions": definitions})
        key = f"features/serving-records/{at:%Y%m%dT%H%M%S.%f}.json"
        world.store.put(key, changed.model_dump_json().encode())

    keep(record.definitions)
    assert rewritten_since(world.store, [(later, midnight), (later, datetime.combine(day, time(), UTC))]) == {
        CARD_ACTIVITY: [False, False],
        TERMINAL_RISK: [True, False],
    }
    keep("other code")
    assert rewritten_since(world.store, [(later, midnight)])[TERMINAL_RISK] == [False]
    assert ServingRecords(world.store).in_force(datetime(2025, 1, 1, tzinfo=UTC)) is None


@pytest.fixture(scope="module")
def finished(world: World) -> Replay:
    """The replay of a model whose windows are finished at request time."""
    return Replay(world.settings, world.store, "fraud_v2", MODEL_FEATURES, "event")


@pytest.fixture(scope="module")
def exact(world: World, finished: Replay) -> pl.DataFrame:
    """What a store that knows every event serves: the offline store's own values."""
    payments = last_day(world).select("transaction_id", inference_time=pl.lit(utc_now()))
    landed = finished.landed(payments.with_columns(amount=0.0))
    return payments.hstack(finished.offline(landed).drop("transaction_id"))


def test_windows_finished_at_request_time_have_no_skew_when_every_event_was_known(
    finished: Replay, exact: pl.DataFrame
) -> None:
    report = proved(finished, exact)
    assert report.verdict.passed, report.failures
    assert report.compared == exact.height


@pytest.mark.parametrize("behind", [0, 3])
def test_a_store_that_only_knew_whole_days_is_behind_also_when_windows_are_finished_at_request_time(
    world: World, finished: Replay, tmp_path: Path, behind: int
) -> None:
    report = proved(finished, served(world, tmp_path, behind, "fraud_v2"))
    assert not report.verdict.passed
    assert set(report.by_cause) == {"missed_materialization"}


def test_an_event_that_came_late_is_named_also_when_windows_are_finished_at_request_time(
    finished: Replay, exact: pl.DataFrame
) -> None:
    """Each card's second newest payment had not come yet; the newest had."""
    landed = finished.landed(exact)
    unaware = finished_without(finished.store, landed, Unknown(places=frozenset({2})))
    report = proved(finished, exact.with_columns(unaware.select(CARD_FEATURES)))
    assert not report.verdict.passed
    assert set(report.by_cause) == {"late_data"}


def test_days_rewritten_since_are_late_data_also_when_windows_are_finished_at_request_time(
    world: World, finished: Replay, exact: pl.DataFrame
) -> None:
    write_record(world.store, world.end - timedelta(days=1), utc_now())
    captured = exact.with_columns(pl.col("card_tx_count_7d") + 3, inference_time=pl.lit(utc_now()))
    day = world.end.date() - timedelta(days=2)
    table = DailyTable(world.store, CARD_ACTIVITY)
    rows = table.read(day, day)
    table.write(day, planted(rows, timedelta(0)))
    try:
        assert set(proved(finished, captured).by_cause) == {"late_data"}
    finally:
        table.write(day, rows)


def test_a_fault_of_the_finishing_code_is_named_code(finished: Replay, exact: pl.DataFrame) -> None:
    faulty = exact.with_columns(pl.col("card_amount_mean_7d") * 100, pl.col("is_night") * -1 + 1)
    assert set(proved(finished, faulty).by_cause) == {"code"}
