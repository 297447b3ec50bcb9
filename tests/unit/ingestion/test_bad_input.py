"""Bad input from files: each kind is quarantined or a clear error, nothing is lost, and later days come by themselves.

The same for databases and streams is ``tests/contract/test_sources_*``.
"""

import socket
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import polars as pl
import pytest

from ml_platform.aws import clients
from ml_platform.aws.objects import ObjectStore
from ml_platform.aws.tables import DailyTable
from ml_platform.core.errors import SourceDataError
from ml_platform.ingestion.landing import ingest_transactions
from ml_platform.ingestion.ledger import read_ledger
from ml_platform.ingestion.source import FileSource

MONDAY = date(2026, 1, 5)


def noon(day: int) -> datetime:
    return datetime(2026, 1, 5, 12, tzinfo=UTC) + timedelta(days=day)


def payments(day: int, count: int, **changes: Any) -> pl.DataFrame:
    rows = [
        {
            "transaction_id": f"{day}-{n}",
            "event_time": noon(day) + timedelta(minutes=n),
            "customer_id": "c1",
            "terminal_id": "x1",
            "amount": 10.0,
            "label": 0,
        }
        | changes
        for n in range(count)
    ]
    return pl.DataFrame(rows)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "export").mkdir()
    return tmp_path / "export"


def days(first: int, last: int) -> tuple[date, date]:
    return MONDAY + timedelta(days=first), MONDAY + timedelta(days=last)


def test_a_renamed_column_is_a_clear_error_and_the_mapping_catches_up(folder: Path, store: ObjectStore) -> None:
    payments(0, 5).write_parquet(folder / "0.parquet")
    ingest_transactions(FileSource(str(folder)), store, days(0, 0))
    payments(0, 5).rename({"amount": "value"}).write_parquet(folder / "0.parquet")
    payments(1, 5).rename({"amount": "value"}).write_parquet(folder / "1.parquet")
    with pytest.raises(SourceDataError, match=r"no column for amount.*ML_PLATFORM_SOURCE_COLUMNS"):
        ingest_transactions(FileSource(str(folder)), store, days(0, 1))
    assert DailyTable(store, "payments/transactions").days() == [MONDAY]
    report = ingest_transactions(FileSource(str(folder), {"amount": "value"}), store, days(0, 1))
    assert report.accepted == 10


def test_a_changed_type_is_told_and_only_unreadable_values_are_set_aside(folder: Path, store: ObjectStore) -> None:
    payments(0, 5).write_parquet(folder / "payments.parquet")
    assert ingest_transactions(FileSource(str(folder)), store, days(0, 0)).judged.schema.passed
    text = pl.when(pl.col("transaction_id") == "0-2").then(pl.lit("ten")).otherwise(pl.col("amount").cast(pl.String))
    payments(0, 5).with_columns(amount=text).write_parquet(folder / "payments.parquet")
    report = ingest_transactions(FileSource(str(folder)), store, days(0, 0))
    assert report.judged.schema.failures == ("amount was Float64 and is String",)
    assert (report.accepted, report.reasons) == (4, {"amount not a number": 1})


def test_clock_skew_into_the_future_is_quarantined_under_the_last_day_that_has_come(
    folder: Path, store: ObjectStore
) -> None:
    payments(0, 5).write_parquet(folder / "0.parquet")
    payments(400, 2).write_parquet(folder / "1.parquet")
    source = FileSource(str(folder), now=lambda: noon(1))
    assert source.days() == days(0, 0)
    report = ingest_transactions(source, store, days(0, 0), now=lambda: noon(1))
    assert (report.accepted, report.reasons) == (5, {"event_time in the future": 2})
    later = FileSource(str(folder), now=lambda: noon(401))
    assert later.days() == days(0, 400)
    assert later.versions(*days(0, 0)) != source.versions(*days(0, 0))
    assert ingest_transactions(later, store, days(400, 400), now=lambda: noon(401)).accepted == 2


def test_duplicates_and_events_out_of_order_land_once_on_their_days(folder: Path, store: ObjectStore) -> None:
    mixed = pl.concat([payments(1, 3), payments(0, 3), payments(1, 3)])
    mixed.write_parquet(folder / "payments.parquet")
    report = ingest_transactions(FileSource(str(folder)), store, days(0, 1))
    assert [day.accepted for day in report.days] == [3, 3]
    assert report.reasons == {"transaction_id duplicate": 3}


def test_a_volume_spike_is_landed_and_told(folder: Path, store: ObjectStore) -> None:
    pl.concat([payments(n, 20) for n in range(10)] + [payments(10, 200)]).write_parquet(folder / "payments.parquet")
    assert ingest_transactions(FileSource(str(folder)), store, days(0, 9)).judged.volume.passed
    report = ingest_transactions(FileSource(str(folder)), store, days(10, 10))
    assert report.accepted == 200
    assert report.judged.volume.failures == ("200 rows on 2026-01-15 are 10 times the usual 20 (expected 0.2 to 5)",)


def test_an_empty_day_is_landed_and_told(folder: Path, store: ObjectStore) -> None:
    pl.concat([payments(n, 20) for n in (*range(10), 11)]).write_parquet(folder / "payments.parquet")
    ingest_transactions(FileSource(str(folder)), store, days(0, 9))
    report = ingest_transactions(FileSource(str(folder)), store, days(10, 10))
    assert report.empty_days == (MONDAY + timedelta(days=10),)
    assert report.judged.volume.failures == ("0 rows on 2026-01-15 are 0 times the usual 20 (expected 0.2 to 5)",)


def test_a_late_row_changes_the_version_of_its_day_and_the_revision_when_it_is_landed(
    folder: Path, store: ObjectStore
) -> None:
    pl.concat([payments(n, 3) for n in range(3)]).write_parquet(folder / "payments.parquet")
    source = FileSource(str(folder))
    ingest_transactions(source, store, days(0, 2))
    before = read_ledger(store, "payments/transactions")
    payments(1, 4).tail(1).write_parquet(folder / "late.parquet")
    changed = {
        day
        for day, version in FileSource(str(folder)).versions(*days(0, 2)).transactions.items()
        if version != before.days[day].version
    }
    assert changed == {MONDAY + timedelta(days=1)}
    ingest_transactions(FileSource(str(folder)), store, days(0, 2))
    assert set(read_ledger(store, "payments/transactions").changed_since(before.revision)) == changed


@pytest.fixture
def gate(ground_services: str) -> Iterator["Gate"]:
    gate = Gate(urlsplit(ground_services).port or 0)
    yield gate
    gate.close()


class Gate:
    """A port in front of S3 that drops the first connections, as many as ``to_drop`` says."""

    def __init__(self, target: int) -> None:
        self._target = target
        self.to_drop = 2
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if self.to_drop:
                near.close()
                self.to_drop -= 1
                continue
            far = socket.create_connection(("127.0.0.1", self._target))
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=_pump, args=(source, sink), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while content := source.recv(65536):
            sink.sendall(content)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        return


def test_a_store_that_is_down_is_waited_for_and_every_row_lands(
    folder: Path, store: ObjectStore, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    payments(0, 5).write_parquet(folder / "payments.parquet")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{gate.port}")
    clients.forget_clients()
    try:
        assert ingest_transactions(FileSource(str(folder)), store, days(0, 0)).accepted == 5
    finally:
        clients.forget_clients()
    assert gate.to_drop == 0
