"""Daily tables: replaced as a whole, read in day order, absent days skipped."""

import io
from datetime import date

import polars as pl

from ml_platform.aws.objects import ObjectStore
from ml_platform.aws.tables import DailyTable, _Contents
from ml_platform.core import names


def test_a_day_that_is_written_again_is_replaced(store: ObjectStore) -> None:
    table = DailyTable(store, "payments/transactions")
    table.write(date(2026, 1, 5), pl.DataFrame({"amount": [1.0, 2.0]}))
    table.write(date(2026, 1, 5), pl.DataFrame({"amount": [3.0]}))
    assert table.read(date(2026, 1, 1), date(2026, 1, 31))["amount"].to_list() == [3.0]


def test_days_come_back_in_order_and_absent_days_are_skipped(store: ObjectStore) -> None:
    table = DailyTable(store, "payments/transactions")
    table.write_days((date(2026, 1, day), pl.DataFrame({"day": [day]})) for day in (9, 5, 7))
    assert table.days() == [date(2026, 1, 5), date(2026, 1, 7), date(2026, 1, 9)]
    assert table.read(date(2026, 1, 5), date(2026, 1, 9))["day"].to_list() == [5, 7, 9]


def test_a_table_without_partitions_reads_as_empty(store: ObjectStore) -> None:
    assert DailyTable(store, "payments/nothing").read(date(2026, 1, 1), date(2026, 1, 3)).is_empty()


def test_a_day_that_another_process_replaced_or_deleted_is_seen(store: ObjectStore) -> None:
    table, day = DailyTable(store, "payments/shared"), date(2026, 1, 5)
    table.write(day, pl.DataFrame({"amount": [1.0]}))
    key = names.table_partition(table.name, day)
    before, replacement = store.get(key), io.BytesIO()
    pl.DataFrame({"amount": [2.0]}).write_parquet(replacement)
    # Behind the table's back, and back again: the same bytes have the same ETag.
    for content, expected in ((replacement.getvalue(), [2.0]), (before, [1.0])):
        store.put(key, content)
        assert table.read(day, day)["amount"].to_list() == expected
    store.delete([key])
    assert table.read(day, day).is_empty()


def test_bytes_are_kept_up_to_a_limit_and_those_asked_for_last_stay(store: ObjectStore) -> None:
    contents = _Contents(max_bytes=5)
    for name in ("a", "b"):
        contents.keep((store, name, "1"), b"xx")
    assert contents.find((store, "a", "1")) == b"xx"
    contents.keep((store, "c", "1"), b"xx")
    assert [contents.find((store, name, "1")) for name in "abc"] == [b"xx", None, b"xx"]
