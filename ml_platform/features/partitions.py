"""Rows of a feature table between two instants: only the days that can hold some are read.

Tables lie in S3, read through boto3 as everything else here, or in a directory of the same layout.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ml_platform.aws.objects import ObjectStore
from ml_platform.aws.tables import DailyTable
from ml_platform.core import names
from ml_platform.core.errors import FeatureError

if TYPE_CHECKING:
    import polars as pl

_S3 = "s3://"


class Partitions(Protocol):
    """What of ``aws.tables.DailyTable`` is needed to read one."""

    @property
    def name(self) -> str:
        """The table's asset path."""
        ...

    def days(self) -> list[date]:
        """Return the days that have a partition, ascending."""
        ...

    def read(self, first: date, last: date, columns: Sequence[str] | None = None) -> "pl.DataFrame":
        """Return the rows of these days, both included; without any partition a frame without columns."""
        ...


def open_table(location: str, region: str, name: str) -> Partitions:
    """Return a table below ``s3://bucket`` or a directory."""
    if location.startswith(_S3):
        return DailyTable(ObjectStore(location.removeprefix(_S3).strip("/"), region), name)
    return DirectoryTable(Path(location), name)


def rows_between(
    table: Partitions, columns: Sequence[str], event_column: str, start: datetime | None, end: datetime | None
) -> "pl.DataFrame":
    """Return the rows with ``start <= event <= end``; naive instants are UTC, None is unbounded.

    Raises:
        FeatureError: When the table has no day there at all.
    """
    import polars as pl

    start, end = _utc(start), _utc(end)
    frame = rows_of_days(table, columns, start, end)
    within = pl.lit(value=True)
    if start:
        within &= pl.col(event_column) >= start
    if end:
        within &= pl.col(event_column) <= end
    return frame.filter(within)


def rows_of_days(
    table: Partitions, columns: Sequence[str], start: datetime | None, end: datetime | None
) -> "pl.DataFrame":
    """Return all rows of the days from that of ``start`` to that of ``end``; raises like ``rows_between``."""
    import polars as pl

    start, end = _utc(start), _utc(end)
    days = table.days()
    first = max(start.date() if start else date.min, days[0] if days else date.max)
    last = min(end.date() if end else date.max, days[-1] if days else date.min)
    frame = table.read(first, last, columns) if first <= last else pl.DataFrame()
    if not frame.width:
        held = f"It holds {days[0]} to {days[-1]}." if days else "It is empty."
        raise FeatureError(
            f"{table.name} has no day between {start or 'the beginning'} and {end or 'today'}. {held} "
            f"Materialize {table.name} for these days first."
        )
    return frame


@dataclass(frozen=True, slots=True)
class DirectoryTable:
    """A table in a directory, laid out as in S3."""

    root: Path
    name: str

    def days(self) -> list[date]:
        """Return the days that have a partition, ascending."""
        folders = (self.root / names.table_prefix(self.name)).glob("date=*")
        return sorted(date.fromisoformat(folder.name.removeprefix("date=")) for folder in folders)

    def read(self, first: date, last: date, columns: Sequence[str] | None = None) -> "pl.DataFrame":
        """Return the rows of these days, both included; without any partition a frame without columns."""
        import polars as pl

        span = [first + timedelta(days=offset) for offset in range((last - first).days + 1)]
        paths = [self.root / names.table_partition(self.name, day) for day in span]
        contents = [io.BytesIO(path.read_bytes()) for path in paths if path.exists()]
        frames = [pl.read_parquet(content, columns=list(columns) if columns else None) for content in contents]
        return pl.concat(frames, how="diagonal") if frames else pl.DataFrame()


def _utc(instant: datetime | None) -> datetime | None:
    if instant is None:
        return None
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
