"""Daily-partitioned Parquet tables in S3: one object per day, replaced as a whole.

Times are written in microseconds: DuckDB and Feast cannot read the nanoseconds that pandas writes.
"""

import io
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from ml_platform.aws.objects import ObjectNotFoundError, ObjectStore
from ml_platform.core import names

if TYPE_CHECKING:
    import polars as pl

_PARALLEL = 8


@dataclass(frozen=True, slots=True)
class DailyTable:
    """One table; ``name`` is its asset path, e.g. ``payments/transactions``."""

    store: ObjectStore
    name: str

    def write(self, day: date, frame: "pl.DataFrame") -> str:
        """Replace one day's partition and return its address."""
        buffer = io.BytesIO()
        frame.write_parquet(buffer, compression="zstd", statistics=True)
        return self.store.put(names.table_partition(self.name, day), buffer.getvalue())

    def write_days(self, frames: Iterable[tuple[date, "pl.DataFrame"]]) -> list[str]:
        """Replace several days' partitions, a few at a time."""
        with ThreadPoolExecutor(_PARALLEL) as pool:
            return list(pool.map(lambda item: self.write(*item), frames))

    def days(self) -> list[date]:
        """Return the days that have a partition, ascending."""
        prefix = names.table_prefix(self.name)
        found = {
            key.removeprefix(prefix).split("/")[0].removeprefix("date=")
            for key in self.store.keys(prefix)
            if key.startswith(f"{prefix}date=")
        }
        return sorted(date.fromisoformat(day) for day in found)

    def read_day(self, day: date, columns: Sequence[str] | None = None) -> "pl.DataFrame | None":
        """Return one day's rows, or None when the day has no partition; only some columns, when named."""
        import polars as pl

        try:
            content = self.store.get(names.table_partition(self.name, day))
            return pl.read_parquet(io.BytesIO(content), columns=None if columns is None else list(columns))
        except ObjectNotFoundError:
            return None

    def read(self, first: date, last: date, columns: Sequence[str] | None = None) -> "pl.DataFrame":
        """Return the rows of the days from ``first`` to ``last``, both included, in day order.

        Days without a partition are skipped; with none at all the frame has no columns.
        """
        import polars as pl

        span = [first + timedelta(days=offset) for offset in range((last - first).days + 1)]
        with ThreadPoolExecutor(_PARALLEL) as pool:
            frames = [frame for frame in pool.map(lambda day: self.read_day(day, columns), span) if frame is not None]
        return pl.concat(frames) if frames else pl.DataFrame()
