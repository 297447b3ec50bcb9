"""Who said a label, from the rows of a table or a stream: nobody's word replaces another's."""

from datetime import UTC, date, datetime, timedelta

from ml_platform.ingestion.changes.change import Change
from ml_platform.ingestion.changes.filing import file_labels, newest
from ml_platform.ingestion.changes.rows import raw_labels
from ml_platform.ingestion.changes.table_rows import TableReader, find_columns

NOON = datetime(2026, 1, 7, 12, tzinfo=UTC)
MAPPING = {"source": "Reported_By"}
PAYMENT = {"transaction_id": "a", "event_time": "2026-01-05T10:00:00Z"}


def said(position: int, label: str, who: str | None, operation: str = "label") -> Change:
    row = {**PAYMENT, "reported_by": who}
    return Change(operation, str(position), NOON, "a", row, PAYMENT["event_time"], None, label, NOON.isoformat())


def held(*changes: Change) -> list[tuple[str | None, str]]:
    (filed,) = file_labels(changes).values()
    rows = raw_labels(newest(filed, MAPPING).with_columns(day=date(2026, 1, 7)), MAPPING)
    return list(rows.select("source", "label").iter_rows())


def test_two_sources_may_speak_in_one_instant_and_each_corrects_itself() -> None:
    words = said(1, "1", "customer"), said(2, "0", "analyst"), said(3, "1", "analyst"), said(4, "0", None)
    assert held(*words) == [("customer", "1"), ("analyst", "1"), (None, "0")]


def test_a_tables_row_has_one_label_whoever_says_it() -> None:
    assert held(said(1, "1", "customer", "upsert"), said(2, "1", "analyst", "upsert")) == [("analyst", "1")]


def test_a_table_in_which_only_the_source_changed_says_something_new() -> None:
    columns = find_columns([*PAYMENT, "label", "reported_by"], MAPPING, ["label"], "payments")
    reader = TableReader(columns, timedelta(days=7))
    before, after = ({**PAYMENT, "label": "1", "reported_by": who} for who in ("analyst", "chargeback"))
    assert reader.change("upsert", "1", NOON, after, before).label == "1"
    assert reader.change("upsert", "1", NOON, after | {"amount": "3"}, after).label is None


def test_the_source_is_no_column_that_reading_stops_for() -> None:
    assert find_columns([*PAYMENT, "label"], MAPPING, ["label"], "payments").source is None
