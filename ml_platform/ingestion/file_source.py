"""Transactions and labels from Parquet or CSV files, with the columns that a mapping names.

Read lazily: of Parquet only the needed columns and the row groups of the days asked for.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, NoReturn

from ml_platform.core.clock import Clock, utc_now
from ml_platform.core.errors import SourceDataError
from ml_platform.ingestion.day_versions import DayVersions, versions_of_rows
from ml_platform.ingestion.declaration import TRANSACTIONS
from ml_platform.ingestion.schema import PARTITION_DAY, SURPLUS_FIELD, parse_times
from ml_platform.ingestion.source_columns import check_mapping, resolve_columns
from ml_platform.ingestion.source_files import SourceFiles

if TYPE_CHECKING:
    import polars as pl

_OPTIONAL = TRANSACTIONS.optional_names
_REQUIRED = tuple(name for name in TRANSACTIONS.names if name not in _OPTIONAL)


@dataclass(frozen=True)
class FileSource:
    """A ``Source`` over files: ``address`` is a path, directory, pattern, or ``s3://`` address.

    A source that does not say when a label became known gets ``label_delay_days`` after the event, to the second.
    """

    address: str
    columns: Mapping[str, str] = field(default_factory=dict)
    label_delay_days: int = 7
    region: str = "us-east-1"
    now: Clock = utc_now

    def __post_init__(self) -> None:
        check_mapping(self.columns)

    @cached_property
    def files(self) -> SourceFiles:
        """The files behind the address."""
        return SourceFiles(self.address, self.region)

    def version(self) -> str:
        """Return a fingerprint that changes when the files do."""
        return self.files.version()

    def days(self) -> tuple[date, date]:
        """Return the first and the last day with a transaction; days that have not come yet are not among them.

        Raises:
            SourceDataError: When there is no row, or none with a readable time.
        """
        every = self._every_day()
        come = [day for day in every if not self._is_ahead(day)] or every
        return come[0], come[-1]

    def refresh(self, *, briefly: bool = False) -> int:  # noqa: ARG002 - see ``Source``
        """Return 0: files are looked at anew by whoever asks."""
        return 0

    def versions(self, first: date, last: date) -> DayVersions:
        """Return a fingerprint of each day's rows; see ``Source``."""
        return _versions_at(self._at, self.label_delay_days, self.days()[1], self.version()).between(first, last)

    def every_day(self) -> list[date]:
        """Read the days that have rows anew, ascending; raises like ``days``."""
        with self._readable():
            moments = self._scan(("event_time",), ()).collect()["event_time"]
        found: list[date] = parse_times(moments).dt.date().drop_nulls().unique().sort().to_list()
        if not found:
            self._refuse_times(moments)
        return found

    def transactions(self, first: date, last: date) -> "pl.DataFrame":
        """Return the raw rows of the days from ``first`` to ``last``; see ``Source``.

        Rows of days that have not come yet are filed under the last day that has, where they are quarantined: their
        sender's clock is wrong, and nobody would ask for their own day in time.
        """
        import polars as pl

        with self._readable():
            rows = self._days(self._scan(_REQUIRED, _OPTIONAL), "event_time", first, last)
            newest = self.days()[1]
            ahead = [day for day in self._every_day() if self._is_ahead(day) and day > last]
            if not ahead or not first <= newest <= last:
                return rows
            early = self._days(self._scan(_REQUIRED, _OPTIONAL), "event_time", ahead[0], ahead[-1])
        return pl.concat([rows, early.with_columns(pl.lit(newest).alias(PARTITION_DAY))])

    def labels_known(self, first: date, last: date) -> "pl.DataFrame":
        """Return the raw labels that became known on the days from ``first`` to ``last``; see ``Source``."""
        import polars as pl

        with self._readable():
            labels = self._scan(("transaction_id", "label", "event_time"), ("known_time", "source"))
            labels = labels.filter(pl.col("label").is_not_null())
            if "known_time" in labels.collect_schema():
                return self._days(labels, "known_time", first, last)
            delay = timedelta(days=self.label_delay_days)
            rows = self._days(labels, "event_time", first - delay, last - delay)
        known = (parse_times(rows["event_time"]) + delay).alias("known_time")
        return rows.with_columns(known, pl.col(PARTITION_DAY) + delay)

    @property
    def _at(self) -> "_Address":
        return self.address, tuple(sorted(self.columns.items())), self.region

    def _every_day(self) -> list[date]:
        # A sensor asks every minute; the files are read again only when they have changed.
        return _days_at(self._at, self.version())

    def _is_ahead(self, day: date) -> bool:
        return day > (self.now() + TRANSACTIONS.clock_tolerance).date()

    def _scan(self, required: Sequence[str], optional: Sequence[str]) -> "pl.LazyFrame":
        """Return all files' rows with our column names and their own types."""
        import polars as pl
        import polars.selectors as cs

        frames = []
        for path, scan in self.files.scans():
            found = [name for name in scan.collect_schema().names() if name != SURPLUS_FIELD]
            resolved = resolve_columns(found, self.columns, required, optional, f"{self.address} ({path.name})")
            ours = [pl.col(theirs).alias(ours) for ours, theirs in resolved.items()]
            frames.append(scan.select(*ours, cs.by_name(SURPLUS_FIELD, require_all=False)))
        # A file may lack an optional column that another has.
        rows = pl.concat(frames, how="diagonal_relaxed") if len(frames) > 1 else frames[0]
        if rows.limit(1).collect().is_empty():
            raise SourceDataError(f"{self.address} has no rows. Is the export that writes it finished?")
        return rows

    def _days(self, rows: "pl.LazyFrame", column: str, first: date, last: date) -> "pl.DataFrame":
        """Return the rows whose time in ``column`` falls on the days, each with its ``partition_day``."""
        import polars as pl

        dtype = rows.collect_schema()[column]
        if isinstance(dtype, pl.Datetime) and not rows.select(pl.col(column).null_count()).collect().item():
            # A plain comparison of a stored time lets Parquet skip the row groups of other days.
            inside = (pl.col(column) >= _midnight(first, dtype)) & (
                pl.col(column) < _midnight(last + timedelta(days=1), dtype)
            )
            return rows.filter(inside).collect().with_columns(_day_of(column))
        # A row without a readable time belongs to the day of the row before it, so that it is quarantined once.
        everything = rows.collect().with_columns(_day_of(column).forward_fill().backward_fill())
        if everything[PARTITION_DAY].is_null().all():
            self._refuse_times(everything[column])
        return everything.filter(pl.col(PARTITION_DAY).is_between(first, last))

    def _refuse_times(self, values: "pl.Series") -> NoReturn:
        raise SourceDataError(
            f"No value of the column for {values.name} in {self.address} can be read as a time; the first are "
            f"{', '.join(repr(value) for value in values.head(3))}. Times are timestamps, ISO 8601 or epoch numbers. "
            f"Is it the right column? Say which one it is in ML_PLATFORM_SOURCE_COLUMNS, under {values.name}."
        )

    @contextmanager
    def _readable(self) -> Iterator[None]:
        """Turn what polars says about a damaged file into what a person can do about it."""
        import polars as pl

        try:
            yield
        except (pl.exceptions.PolarsError, OSError) as error:
            raise SourceDataError(
                f"{self.address} cannot be read: {error}. Is the file complete, and is its format the one that its "
                "name says?"
            ) from error


_LAST_DAY = date(2262, 1, 1)
"""The last year that a time in nanoseconds can be in."""

_Address = tuple[str, tuple[tuple[str, str], ...], str]
"""Address, mapping of columns and region of a source: what it is cached by, together with its version."""


@lru_cache(maxsize=8)
def _days_at(at: _Address, version: str) -> list[date]:  # noqa: ARG001 - a part of the cache's key
    address, columns, region = at
    return FileSource(address, dict(columns), region=region).every_day()


@lru_cache(maxsize=8)
def _versions_at(at: _Address, label_delay_days: int, newest: date, version: str) -> DayVersions:
    address, columns, region = at
    source = FileSource(address, dict(columns), label_delay_days, region=region)
    first = _days_at(at, version)[0]
    rows = source.transactions(first, newest)
    return DayVersions(versions_of_rows(rows), versions_of_rows(source.labels_known(first, _LAST_DAY)))


def _day_of(column: str) -> "pl.Expr":
    import polars as pl

    return pl.col(column).map_batches(parse_times, return_dtype=pl.Datetime("us", "UTC")).dt.date().alias(PARTITION_DAY)


def _midnight(day: date, dtype: "pl.Datetime") -> "pl.Expr":
    """Return the start of a UTC day as a literal that compares with a column of this type."""
    import polars as pl

    start = pl.lit(datetime.combine(day, time(), UTC), pl.Datetime("us", "UTC"))
    local = start.dt.convert_time_zone(dtype.time_zone) if dtype.time_zone else start.dt.replace_time_zone(None)
    return local.cast(dtype)
