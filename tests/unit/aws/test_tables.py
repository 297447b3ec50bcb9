"""Daily tables: replaced as a whole, read in day order, absent days skipped."""

from datetime import date

import polars as pl

from ml_platform.aws.objects import ObjectStore
from ml_platform.aws.tables import DailyTable


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
