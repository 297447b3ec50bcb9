"""Reading a feature table between two instants: inclusive, only the days that matter, from a directory as from S3."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from ml_platform.core import names
from ml_platform.core.errors import FeatureError
from ml_platform.features.partitions import DirectoryTable, open_table, rows_between

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
TABLE = "payments/card_activity"


@pytest.fixture
def table(tmp_path: Path) -> DirectoryTable:
    for offset in (0, 1, 3):
        path = tmp_path / names.table_partition(TABLE, date(2026, 1, 5) + timedelta(days=offset))
        path.parent.mkdir(parents=True)
        time = pl.Series([NOON + timedelta(days=offset)], dtype=pl.Datetime("us", "UTC"))
        pl.DataFrame({"event_time": time, "value": [offset], "other": ["x"]}).write_parquet(path)
    return DirectoryTable(tmp_path, TABLE)


def values(table: DirectoryTable, start: datetime | None, end: datetime | None) -> list[int]:
    return rows_between(table, ["event_time", "value"], "event_time", start, end)["value"].to_list()


def test_both_ends_are_included_and_none_is_unbounded(table: DirectoryTable) -> None:
    day, tick = timedelta(days=1), timedelta(microseconds=1)
    assert values(table, NOON, NOON + day) == [0, 1]
    assert values(table, NOON + tick, NOON + day - tick) == []
    assert values(table, None, NOON) == [0]
    assert values(table, NOON + day, None) == [1, 3]
    assert values(table, None, None) == [0, 1, 3]


def test_naive_instants_are_utc(table: DirectoryTable) -> None:
    naive = NOON.replace(tzinfo=None)
    assert values(table, naive, naive) == [0]


def test_a_damaged_day_outside_the_range_is_never_opened(table: DirectoryTable) -> None:
    (table.root / names.table_partition(TABLE, date(2026, 1, 8))).write_bytes(b"not parquet")
    assert values(table, NOON, NOON + timedelta(days=2)) == [0, 1]


def test_days_that_are_not_there_are_told(table: DirectoryTable, tmp_path: Path) -> None:
    with pytest.raises(FeatureError, match="It holds 2026-01-05 to 2026-01-08"):
        values(table, NOON + timedelta(days=30), None)
    with pytest.raises(FeatureError, match="It is empty"):
        rows_between(open_table(str(tmp_path), "us-east-1", "payments/none"), ["value"], "event_time", None, None)
