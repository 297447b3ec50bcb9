"""Daily-partitioned Parquet tables in S3: one object per day, replaced as a whole.

Times are written in microseconds: DuckDB and Feast cannot read the nanoseconds that pandas writes.

A run over a range of days reads the same partitions for each of its assets, most of them just written by itself. So
this process keeps their bytes by ETag, and asks S3 only which version is there now: one listing instead of a request a
day.
"""

import io
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from os.path import commonprefix
from threading import Lock
from typing import TYPE_CHECKING

from ml_platform.aws.objects import ObjectNotFoundError, ObjectStore
from ml_platform.core import names

if TYPE_CHECKING:
    import polars as pl

_PARALLEL = 8
_MAX_BYTES = 128 * 2**20


@dataclass(frozen=True, slots=True)
class DailyTable:
    """One table; ``name`` is its asset path, e.g. ``payments/transactions``."""

    store: ObjectStore
    name: str

    def write(self, day: date, frame: "pl.DataFrame") -> str:
        """Replace one day's partition and return its address."""
        buffer = io.BytesIO()
        frame.write_parquet(buffer, compression="zstd", statistics=True)
        key, content = names.table_partition(self.name, day), buffer.getvalue()
        _contents.keep((self.store, key, self.store.put_version(key, content)), content)
        return self.store.uri(key)

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

    def read(self, first: date, last: date, columns: Sequence[str] | None = None) -> "pl.DataFrame":
        """Return the rows of the days from ``first`` to ``last``, both included, in day order.

        Days without a partition are skipped; with none at all the frame has no columns. A column that later days have
        and earlier ones lack is null in these.
        """
        import polars as pl

        span = (first + timedelta(days=offset) for offset in range((last - first).days + 1))
        wanted = [names.table_partition(self.name, day) for day in span]
        if not wanted:
            return pl.DataFrame()
        # Of one day nothing else is listed. S3's prefixes are characters, not folders.
        versions = dict(self.store.versions(commonprefix([wanted[0], wanted[-1]])))  # noqa: RUF071
        keys = [key for key in wanted if key in versions]
        with ThreadPoolExecutor(_PARALLEL) as pool:
            contents = list(pool.map(lambda key: self._content(key, versions[key]), keys))
        frames = [pl.scan_parquet(content) for content in contents if content is not None]
        if columns is not None:
            frames = [frame.select(columns) for frame in frames]
        # One query for all days: half the CPU of reading them one by one.
        return pl.concat(frames, how="diagonal").collect() if frames else pl.DataFrame()

    def _content(self, key: str, etag: str) -> bytes | None:
        """Return a partition's bytes; None when it was deleted since it was listed."""
        kept = _contents.find((self.store, key, etag))
        if kept is not None:
            return kept
        try:
            content, found = self.store.get_version(key)
        except ObjectNotFoundError:
            return None
        # It may have been replaced since it was listed: kept under the ETag that these bytes have.
        _contents.keep((self.store, key, found), content)
        return content


_Version = tuple[ObjectStore, str, str]
"""Bucket, key and ETag: what never changes its bytes."""


class _Contents:
    """Bytes of versions that were read or written lately, up to a limit; thread-safe."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._by_version: OrderedDict[_Version, bytes] = OrderedDict()
        self._lock = Lock()

    def find(self, version: _Version) -> bytes | None:
        """Return what is kept of a version."""
        with self._lock:
            if version in self._by_version:
                self._by_version.move_to_end(version)
            return self._by_version.get(version)

    def keep(self, version: _Version, content: bytes) -> None:
        """Keep a version's bytes, and drop those not asked for the longest."""
        with self._lock:
            self._bytes += len(content) - len(self._by_version.pop(version, b""))
            self._by_version[version] = content
            while self._bytes > self._max_bytes:
                _, dropped = self._by_version.popitem(last=False)
                self._bytes -= len(dropped)


_contents = _Contents(_MAX_BYTES)
