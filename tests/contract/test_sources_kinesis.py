"""A Kinesis stream as a source: every record once, in order of its key, whatever dies and however it is resharded."""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from ml_platform.aws import streams
from ml_platform.aws.tables import DailyTable
from ml_platform.core.errors import ConfigurationError, SourceDataError
from ml_platform.core.settings import Settings
from ml_platform.ingestion.changes.change_source import ChangeSource
from ml_platform.ingestion.changes.kinesis import KinesisOrigin, readable
from ml_platform.ingestion.landing import ingest_labels, ingest_transactions
from ml_platform.ingestion.source import open_source
from tests.contract.payments_table import MONDAY, filed, landed_ids, noon, source_at

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

THREE_DAYS = (MONDAY, MONDAY + timedelta(days=2))


@pytest.fixture
def kinesis(ground_services: str) -> "KinesisClient":
    return boto3.client("kinesis", endpoint_url=ground_services, region_name="us-east-1")


@pytest.fixture
def stream(kinesis: "KinesisClient", settings: Settings) -> Iterator[str]:
    name = f"payments-{os.urandom(4).hex()}"
    kinesis.create_stream(StreamName=name, ShardCount=2)
    wait_until_active(kinesis, name)
    yield name
    kinesis.delete_stream(StreamName=name)


def wait_until_active(kinesis: "KinesisClient", stream: str) -> None:
    until = time.monotonic() + 20
    while kinesis.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]["StreamStatus"] != "ACTIVE":
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.fixture
def source(settings: Settings, stream: str) -> ChangeSource:
    return small(source_at(settings, f"kinesis://{stream}"))


def small(source: ChangeSource, records: int = 7) -> ChangeSource:
    assert isinstance(source.origin, KinesisOrigin)
    return replace(source, origin=replace(source.origin, records_at_once=records))


def payment(name: str, number: int = 0, **changes: Any) -> dict[str, Any]:
    at = noon(number % 3, number).isoformat()
    row = {"transaction_id": name, "event_time": at, "customer_id": "c1", "terminal_id": 7, "amount": 1.5}
    return row | changes


def put(kinesis: "KinesisClient", stream: str, *records: dict[str, Any] | bytes) -> None:
    """Put records, each under its transaction as key."""
    entries: list[Any] = []
    for record in records:
        key = "poison" if isinstance(record, bytes) else str(record.get("transaction_id", "none"))
        entries.append({"Data": record if isinstance(record, bytes) else json.dumps(record), "PartitionKey": key})
    assert kinesis.put_records(StreamName=stream, Records=entries)["FailedRecordCount"] == 0


def names(source: ChangeSource) -> list[str]:
    return [name for name, _, _ in filed(source)]


def test_every_record_is_filed_once_from_all_shards(
    kinesis: "KinesisClient", stream: str, source: ChangeSource
) -> None:
    put(kinesis, stream, *(payment(f"a{n}", n) for n in range(60)))
    assert source.refresh() == 60
    assert source.refresh() == 0
    put(kinesis, stream, *(payment(f"b{n}", n) for n in range(20)))
    assert source.refresh() == 20
    assert names(source) == sorted([f"a{n}" for n in range(60)] + [f"b{n}" for n in range(20)])


def test_a_later_record_of_a_payment_replaces_the_earlier_and_a_repetition_changes_nothing(
    kinesis: "KinesisClient", stream: str, source: ChangeSource
) -> None:
    put(kinesis, stream, payment("a"), payment("a"), payment("a", amount=9.5), payment("b"))
    source.refresh()
    assert filed(source) == [("a", "2026-01-05", "9.5"), ("b", "2026-01-05", "1.5")]


class Killed(BaseException):
    """Stands for the end of the process, which nothing catches."""


def test_a_crash_after_any_batch_neither_loses_nor_doubles(
    kinesis: "KinesisClient", stream: str, source: ChangeSource
) -> None:
    def die() -> None:
        raise Killed

    put(kinesis, stream, *(payment(f"a{n}", n) for n in range(60)))
    for _ in range(4):
        with pytest.raises(Killed):
            replace(source, after_filing=die).refresh()
    put(kinesis, stream, *(payment(f"b{n}", n) for n in range(10)))
    source.refresh()
    rows = source.inbox.rows("transactions", [MONDAY + timedelta(days=n) for n in range(3)])
    assert rows is not None
    assert rows["key"].n_unique() == len(rows) == 70
    assert rows["position"].n_unique() == 70


def test_resharding_loses_nothing_and_keeps_the_order_of_a_key(
    kinesis: "KinesisClient", stream: str, source: ChangeSource
) -> None:
    """The ground services forget a closed shard's records at once, so here it is read before it is closed."""
    put(kinesis, stream, *(payment(f"a{n}", n, amount=1) for n in range(30)))
    assert source.refresh() == 30
    shards = kinesis.list_shards(StreamName=stream)["Shards"]
    start = int(shards[0]["HashKeyRange"]["StartingHashKey"])
    end = int(shards[0]["HashKeyRange"]["EndingHashKey"])
    kinesis.split_shard(
        StreamName=stream, ShardToSplit=shards[0]["ShardId"], NewStartingHashKey=str((start + end) // 2)
    )
    put(kinesis, stream, *(payment(f"a{n}", n, amount=2) for n in range(30)))
    assert source.refresh() == 30
    assert {amount for _, _, amount in filed(source)} == {"2"}
    made = [shard["ShardId"] for shard in kinesis.list_shards(StreamName=stream)["Shards"] if "ParentShardId" in shard]
    kinesis.merge_shards(StreamName=stream, ShardToMerge=made[0], AdjacentShardToMerge=made[1])
    put(kinesis, stream, *(payment(f"a{n}", n, amount=3) for n in range(30)))
    assert source.refresh() == 30
    assert {amount for _, _, amount in filed(source)} == {"3"}


def test_children_of_a_shard_are_read_when_it_is_read_to_its_end() -> None:
    """As AWS has it: a closed shard stays listed, with the records that it had."""
    parent, left, right = (
        streams.Shard("shardId-2", (), closed=True),
        streams.Shard("shardId-3", ("shardId-2",), closed=False),
        streams.Shard("shardId-4", ("shardId-2", "shardId-gone"), closed=False),
    )
    listed = [right, left, parent]
    assert readable(listed, finished=set()) == [parent]
    assert readable(listed, finished={"shardId-2"}) == [left, right]
    assert readable([left, right], finished=set()) == [left, right]


def test_labels_come_as_records_of_their_own_and_leave_the_payment_alone(
    kinesis: "KinesisClient", stream: str, source: ChangeSource
) -> None:
    about = {"transaction_id": "a", "event_time": noon(0).isoformat(), "label": True, "known_time": noon(2).isoformat()}
    put(kinesis, stream, payment("a"), about)
    source.refresh()
    assert filed(source) == [("a", "2026-01-05", "1.5")]
    report = ingest_labels(source, source.inbox.store, *THREE_DAYS)
    assert (report.accepted, report.frauds, report.quarantined) == (1, 1, 0)


def test_a_delete_in_the_envelope_of_dms_takes_the_payment_away(
    kinesis: "KinesisClient", stream: str, source: ChangeSource
) -> None:
    def enveloped(operation: str, row: dict[str, Any]) -> dict[str, Any]:
        metadata = {"record-type": "data", "operation": operation}
        return {"transaction_id": row["transaction_id"], "data": row, "metadata": metadata}

    put(kinesis, stream, enveloped("insert", payment("a")), enveloped("insert", payment("b")))
    put(kinesis, stream, enveloped("delete", payment("a")))
    source.refresh()
    assert names(source) == ["b"]


@pytest.mark.parametrize("poison", [b"{half a rec", b"\xff\xfe", b"[1, 2]", b'"text"', b""])
def test_a_poison_message_is_quarantined_as_it_came_and_stops_nothing(
    kinesis: "KinesisClient", stream: str, source: ChangeSource, poison: bytes
) -> None:
    today = datetime.now(UTC)
    put(kinesis, stream, payment("a", event_time=today.isoformat()), poison or b" ")
    put(kinesis, stream, payment("b", event_time=today.isoformat()))
    source.refresh()
    complete = replace(source, now=lambda: today + timedelta(days=1, hours=1))
    complete.refresh()
    report = ingest_transactions(complete, source.inbox.store, (today.date(), today.date()))
    assert (report.accepted, report.reasons) == (2, {"record unreadable": 1})
    quarantined = DailyTable(source.inbox.store, "payments/quarantine").read(today.date(), today.date())
    assert quarantined["payload"].to_list() == ["base64://4=" if poison == b"\xff\xfe" else (poison or b" ").decode()]


def test_clock_skew_into_the_future_is_quarantined_on_the_day_of_arrival(
    kinesis: "KinesisClient", stream: str, source: ChangeSource
) -> None:
    today = datetime.now(UTC)
    ahead = (today + timedelta(days=400)).isoformat()
    put(kinesis, stream, payment("a", event_time=today.isoformat()), payment("b", event_time=ahead))
    source.refresh()
    complete = replace(source, now=lambda: today + timedelta(days=1, hours=1))
    complete.refresh()
    report = ingest_transactions(complete, source.inbox.store, (today.date(), today.date()))
    assert (report.accepted, report.reasons) == (1, {"event_time in the future": 1})


def test_events_out_of_order_land_on_their_own_days_and_reopen_them(
    kinesis: "KinesisClient", stream: str, source: ChangeSource
) -> None:
    put(kinesis, stream, payment("c", 2), payment("a", 0), payment("b", 1))
    source.refresh()
    ingest_transactions(source, source.inbox.store, THREE_DAYS)
    before = source.versions(*THREE_DAYS).transactions
    put(kinesis, stream, payment("late", 0))
    source.refresh()
    after = source.versions(*THREE_DAYS).transactions
    assert [day for day in after if after[day] != before[day]] == [MONDAY]
    ingest_transactions(source, source.inbox.store, (MONDAY, MONDAY))
    assert landed_ids(source) == ["a", "b", "c", "late"]


def test_an_empty_day_is_landed_empty_when_the_stream_has_passed_it(
    kinesis: "KinesisClient", stream: str, source: ChangeSource
) -> None:
    put(kinesis, stream, payment("a", 0), payment("c", 2))
    source = replace(source, now=lambda: noon(4))
    source.refresh()
    assert source.days() == (MONDAY, MONDAY + timedelta(days=3))
    tuesday = MONDAY + timedelta(days=1)
    assert ingest_transactions(source, source.inbox.store, (tuesday, tuesday)).empty_days == (tuesday,)


def test_a_day_is_offered_when_it_is_over_and_its_arrival_delay_has_passed(
    kinesis: "KinesisClient", stream: str, settings: Settings
) -> None:
    put(kinesis, stream, payment("a", 0))
    at = MONDAY + timedelta(days=1)
    for hour, offered in ((5, MONDAY - timedelta(days=1)), (7, MONDAY)):
        source = source_at(settings, f"kinesis://{stream}", source_arrival_delay_hours=6)
        clock = datetime(at.year, at.month, at.day, hour, tzinfo=UTC)
        source = replace(source, now=lambda clock=clock: clock)
        source.refresh()
        assert source.days()[1] == offered


def test_many_batches_of_a_day_are_folded_into_one_object(
    kinesis: "KinesisClient", stream: str, source: ChangeSource
) -> None:
    source = small(source, 1)
    put(kinesis, stream, *(payment("a" if n % 2 else f"b{n}", 0, amount=n) for n in range(40)))
    source.refresh()
    kept = list(source.inbox.store.keys(f"inbox/{source.inbox.source}/transactions/"))
    assert len(kept) <= 17
    assert len(filed(source)) == 21
    assert ("a", "2026-01-05", "39") in filed(source)


def test_a_stream_that_is_not_there_is_a_clear_error(settings: Settings) -> None:
    with pytest.raises(SourceDataError, match="Kinesis stream nothing cannot be read"):
        source_at(settings, "kinesis://nothing").refresh()
    with pytest.raises(ConfigurationError, match="must name a Kinesis stream"):
        open_source(settings.model_copy(update={"source": "kinesis://"}))
