"""Landing: validated days in S3, bad rows accounted for, days replaced as a whole, nothing written on failure."""

from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from ml_platform.aws.objects import ObjectStore
from ml_platform.aws.tables import DailyTable
from ml_platform.core.errors import SourceDataError
from ml_platform.core.settings import Settings
from ml_platform.ingestion.declaration import FRAUD_LABELS, TRANSACTIONS
from ml_platform.ingestion.landing import ingest_labels, ingest_transactions
from ml_platform.ingestion.schema import empty_table
from ml_platform.ingestion.source import FileSource, open_source

MONDAY = date(2026, 1, 5)
WEDNESDAY = date(2026, 1, 7)
HEADER = "transaction_id,event_time,customer_id,terminal_id,amount,label\n"


def source_of(path: Path, *lines: str) -> FileSource:
    path.write_text(HEADER + "\n".join(lines))
    return FileSource(str(path))


@pytest.fixture
def payments(tmp_path: Path) -> FileSource:
    """Three days; Tuesday is empty, Monday has two bad rows."""
    return source_of(
        tmp_path / "payments.csv",
        "a,2026-01-05 10:00:00,c1,x1,10.00,0",
        "b,2026-01-05 11:00:00,c1,x1,-3,0",
        "c,soon,,x1,1.50,0",
        "d,2026-01-07 09:00:00,c2,x2,5.50,1",
        "a,2026-01-07 10:00:00,c2,x2,7.00,0",
    )


def test_good_rows_land_by_day_and_bad_ones_are_quarantined_with_reasons(
    payments: FileSource, store: ObjectStore
) -> None:
    report = ingest_transactions(payments, store, (MONDAY, WEDNESDAY))
    assert [(day.accepted, day.quarantined) for day in report.days] == [(1, 2), (0, 0), (1, 1)]
    assert (report.accepted, report.quarantined, report.total_amount) == (2, 3, 15.5)
    assert report.reasons == {
        "amount negative": 1,
        "customer_id missing": 1,
        "event_time unparsable": 1,
        "transaction_id duplicate": 1,
    }
    landed = DailyTable(store, "payments/transactions").read(MONDAY, WEDNESDAY)
    assert landed.schema == empty_table(TRANSACTIONS).schema
    assert landed["transaction_id"].to_list() == ["a", "d"]
    quarantined = DailyTable(store, "payments/quarantine").read(MONDAY, WEDNESDAY)
    assert quarantined["reason"].to_list() == [
        "amount negative",
        "event_time unparsable; customer_id missing",
        "transaction_id duplicate",
    ]
    assert quarantined["event_time"][1] == "soon"


def test_an_empty_day_inside_a_range_is_an_empty_partition_and_reported(
    payments: FileSource, store: ObjectStore
) -> None:
    report = ingest_transactions(payments, store, (MONDAY, WEDNESDAY))
    tuesday = MONDAY + timedelta(days=1)
    assert report.empty_days == (tuesday,)
    partition = DailyTable(store, "payments/transactions").read(tuesday, tuesday)
    assert partition is not None
    assert partition.equals(empty_table(TRANSACTIONS))
    assert report.days[1].address == store.uri("tables/payments/transactions/date=2026-01-06/part-0.parquet")
    assert report.days[1].quarantine_address is None


def test_an_empty_day_alone_is_landed_empty_when_the_source_has_days_around_it(
    payments: FileSource, store: ObjectStore
) -> None:
    tuesday = MONDAY + timedelta(days=1)
    report = ingest_transactions(payments, store, (tuesday, tuesday))
    assert report.empty_days == (tuesday,)
    assert DailyTable(store, "payments/transactions").days() == [tuesday]


def test_days_that_the_source_does_not_reach_are_a_failure_that_names_them(
    payments: FileSource, store: ObjectStore
) -> None:
    with pytest.raises(SourceDataError, match=r"from 2025-12-01 to 2025-12-31.* 2026-01-05 to 2026-01-07"):
        ingest_transactions(payments, store, (date(2025, 12, 1), date(2025, 12, 31)))
    with pytest.raises(SourceDataError, match="no transactions on 2026-01-08"):
        ingest_transactions(payments, store, (date(2026, 1, 8), date(2026, 1, 8)))
    assert list(store.keys("")) == []


def test_landing_a_day_again_replaces_it_and_its_quarantine(
    payments: FileSource, store: ObjectStore, tmp_path: Path
) -> None:
    ingest_transactions(payments, store, (MONDAY, WEDNESDAY))
    corrected = source_of(tmp_path / "corrected.csv", "b,2026-01-05 11:00:00,c1,x1,3,0")
    report = ingest_transactions(corrected, store, (MONDAY, MONDAY))
    assert report.quarantined == 0
    landed = DailyTable(store, "payments/transactions").read(MONDAY, WEDNESDAY)
    assert landed["transaction_id"].to_list() == ["b", "d"]
    assert DailyTable(store, "payments/quarantine").days() == [WEDNESDAY]


def test_a_day_of_nothing_but_bad_rows_fails_and_leaves_what_was_there(
    payments: FileSource, store: ObjectStore, tmp_path: Path
) -> None:
    ingest_transactions(payments, store, (MONDAY, WEDNESDAY))
    before = DailyTable(store, "payments/transactions").read(MONDAY, WEDNESDAY)
    mistaken = FileSource(payments.address, {"amount": "terminal_id"})
    with pytest.raises(SourceDataError, match=r"None of the 3 rows on 2026-01-05 .*amount not a number \(3\)"):
        ingest_transactions(mistaken, store, (MONDAY, MONDAY))
    assert DailyTable(store, "payments/transactions").read(MONDAY, WEDNESDAY).equals(before)


def test_a_source_that_breaks_midway_writes_nothing(payments: FileSource, store: ObjectStore) -> None:
    with Path(payments.address).open("a") as file:
        file.write('\nz,"2026-01-07 11:00:00,c,x,1,0\n')
    with pytest.raises(SourceDataError, match="cannot be read"):
        ingest_transactions(payments, store, (MONDAY, WEDNESDAY))
    assert list(store.keys("tables/")) == []


def test_labels_land_by_the_day_they_became_known(payments: FileSource, store: ObjectStore) -> None:
    report = ingest_labels(payments, store, MONDAY, MONDAY + timedelta(days=9))
    assert [day.accepted for day in report.days] == [0, 0, 0, 0, 0, 0, 0, 2, 0, 2]
    assert (report.accepted, report.frauds, report.quarantined) == (4, 1, 1)
    table = DailyTable(store, "payments/fraud_labels")
    assert table.read(MONDAY, MONDAY).equals(empty_table(FRAUD_LABELS))
    known = table.read(date(2026, 1, 14), date(2026, 1, 14))
    assert known.schema == empty_table(FRAUD_LABELS).schema
    assert known.select("transaction_id", "label").rows() == [("d", 1), ("a", 0)]


def test_what_two_sources_learnt_in_one_instant_lands_with_their_names(store: ObjectStore, tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    said = "\na,2026-01-05 10:00:00,c,x,1,{},2026-01-07 10:00:00,{}"
    lines = [said.format(*words) for words in ((1, "customer"), (0, "analyst"), (1, "analyst"), (0, ""))]
    file.write_text(HEADER.strip() + ",known_time,label_source" + "".join(lines))
    report = ingest_labels(FileSource(str(file)), store, WEDNESDAY, WEDNESDAY)
    assert report.reasons == {"transaction_id duplicate": 1}
    landed = DailyTable(store, "payments/fraud_labels").read(WEDNESDAY, WEDNESDAY)
    assert landed.select("source", "label").rows() == [("customer", 1), ("analyst", 0), (None, 0)]


def test_a_source_that_does_not_say_who_labels_is_as_declared(payments: FileSource, store: ObjectStore) -> None:
    report = ingest_labels(payments, store, MONDAY, MONDAY + timedelta(days=9))
    assert report.judged.schema.passed
    landed = DailyTable(store, "payments/fraud_labels").read(MONDAY, MONDAY + timedelta(days=9))
    assert landed["source"].null_count() == landed.height == 4


def test_a_bad_label_is_quarantined_and_landing_again_replaces_it(store: ObjectStore, tmp_path: Path) -> None:
    days = (date(2026, 1, 12), date(2026, 1, 12))
    lines = ["a,2026-01-05 10:00:00,c,x,1,0", "b,2026-01-05 10:00:00,c,x,1,7"]
    report = ingest_labels(source_of(tmp_path / "bad.csv", *lines), store, *days)
    assert report.reasons == {"label neither 0 nor 1": 1}
    quarantine = DailyTable(store, "payments/label_quarantine")
    assert quarantine.read(days[0], days[0])["label"].to_list() == ["7"]
    ingest_labels(source_of(tmp_path / "good.csv", lines[0]), store, *days)
    assert quarantine.days() == []


def test_labels_of_days_on_which_none_became_known_are_no_failure(payments: FileSource, store: ObjectStore) -> None:
    report = ingest_labels(payments, store, MONDAY, MONDAY)
    assert (report.accepted, len(report.days)) == (0, 1)


def test_a_simulated_week_lands_whole_and_a_day_again_to_the_byte(settings: Settings, store: ObjectStore) -> None:
    source = open_source(settings.model_copy(update={"simulator_customers": 100}))
    report = ingest_transactions(source, store, (MONDAY, MONDAY + timedelta(days=6)))
    assert report.quarantined == 0
    assert report.accepted > 500
    key = store.key(report.days[3].address)
    before = store.get(key)
    again = ingest_transactions(source, store, (report.days[3].day, report.days[3].day))
    assert again.days == (report.days[3],)
    assert store.get(key) == before
    assert pl.read_parquet(before)["event_time"].dt.date().unique().to_list() == [report.days[3].day]
