"""The files behind a source's address: one file, a directory, a pattern, or the same in S3.

What their columns mean is ``source_columns``; reading rows out of them is ``file_source``.
"""

import fnmatch
import re
import shutil
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from ml_platform.aws import external_objects
from ml_platform.core.errors import SourceDataError
from ml_platform.core.fingerprint import fingerprint_json
from ml_platform.ingestion.schema import SURPLUS_FIELD

if TYPE_CHECKING:
    import polars as pl

_PARQUET = (".parquet", ".pq")
_CSV = (".csv", ".csv.gz")
_PATTERN = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class SourceFiles:
    """The Parquet or CSV files at an address, found when first asked for; those in S3 are fetched once."""

    address: str
    region: str

    @cached_property
    def paths(self) -> list[Path]:
        """Local paths of all files, in the order of their names.

        Raises:
            SourceDataError: When there is no file, or there are files of both formats.
        """
        paths = self._fetched() if self._remote else self._local()
        if not paths:
            raise SourceDataError(
                f"No Parquet or CSV file at {self.address}. ML_PLATFORM_SOURCE must be `simulator` or the path or "
                f"s3:// address of a file, a directory or a pattern; file names end in {', '.join(_PARQUET + _CSV)}."
            )
        if len({_is_parquet(path) for path in paths}) > 1:
            raise SourceDataError(
                f"{self.address} holds both Parquet and CSV files. Point ML_PLATFORM_SOURCE at one kind, "
                f"for example {self.address.rstrip('/')}/*.parquet."
            )
        return paths

    def scans(self) -> "list[tuple[Path, pl.LazyFrame]]":
        """Return one lazy frame per file; CSV columns are all strings, so that one bad value spoils no other."""
        return [(path, _scan_parquet(path) if _is_parquet(path) else _scan_csv(path)) for path in self.paths]

    def version(self) -> str:
        """Return a fingerprint that changes when a file is added, removed or written again."""
        if self._remote:
            return fingerprint_json([(item.key, item.etag) for item in self._listed()])
        stats = [(str(path), path.stat()) for path in self._local()]
        return fingerprint_json([(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats])

    @property
    def _remote(self) -> bool:
        return self.address.startswith("s3://")

    def _local(self) -> list[Path]:
        root = Path(self.address).expanduser()
        if root.is_file():
            if not _is_readable_kind(root.name):
                raise SourceDataError(f"{root} is neither Parquet nor CSV by its name: {', '.join(_PARQUET + _CSV)}.")
            return [root]
        found = root.rglob("*") if root.is_dir() else _matching(root)
        return sorted(path for path in found if path.is_file() and _is_readable_kind(path.name))

    def _listed(self) -> list[external_objects.ExternalObject]:
        bucket, _, key = self.address.removeprefix("s3://").partition("/")
        folder = f"{key.rstrip('/')}/" if key else ""
        fixed = _PATTERN.split(key, maxsplit=1)[0]
        return [
            item
            for item in external_objects.list_objects(self.region, bucket, fixed)
            if _is_readable_kind(item.key)
            and (item.key == key or item.key.startswith(folder) or fnmatch.fnmatchcase(item.key, key))
        ]

    @cached_property
    def _directory(self) -> Path:
        """A directory that goes when this object does."""
        directory = mkdtemp(prefix="ml-platform-source-")
        weakref.finalize(self, shutil.rmtree, directory, ignore_errors=True)
        return Path(directory)

    def _fetched(self) -> list[Path]:
        bucket = self.address.removeprefix("s3://").partition("/")[0]
        paths = []
        for number, item in enumerate(self._listed()):
            # A key may hold anything, also `..`: only its last name, behind a number, becomes a file name.
            path = self._directory / f"{number:06d}-{item.key.rsplit('/', 1)[-1]}"
            external_objects.download(self.region, bucket, item.key, path)
            paths.append(path)
        return paths


def _scan_parquet(path: Path) -> "pl.LazyFrame":
    import polars as pl

    return pl.scan_parquet(path, glob=False, hive_partitioning=False)


def _scan_csv(path: Path) -> "pl.LazyFrame":
    """Return a file's rows as strings, with one more column for a field too many.

    Left to itself polars refuses the whole file for such a row, or, when it reads only some columns, says nothing.
    """
    import polars as pl

    header = pl.scan_csv(path, glob=False, infer_schema=False).collect_schema().names()
    columns = dict.fromkeys([*header, SURPLUS_FIELD], pl.String())
    return pl.scan_csv(path, glob=False, schema=columns, missing_columns="insert", truncate_ragged_lines=True)


def _matching(pattern: Path) -> Iterator[Path]:
    """Yield what matches a pattern; the directories before its first wildcard are the place to look in."""
    wild = next((place for place, part in enumerate(pattern.parts) if _PATTERN.search(part)), None)
    if wild is not None:
        yield from Path(*pattern.parts[:wild]).glob(str(Path(*pattern.parts[wild:])))


def _is_parquet(path: Path) -> bool:
    return path.name.lower().endswith(_PARQUET)


def _is_readable_kind(name: str) -> bool:
    """Whether a file name is one of ours to read: hidden files and those of Hadoop's housekeeping are not."""
    last = name.rsplit("/", 1)[-1]
    return not last.startswith(("_", ".")) and last.lower().endswith(_PARQUET + _CSV)
