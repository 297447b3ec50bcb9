"""Archives of a known set of files: packed to the same bytes every time, unpacked with suspicion.

Which files make a model, and what must be in them, is ``artifact``.
"""

import gzip
import tarfile
import zlib
from collections.abc import Collection
from pathlib import Path, PurePosixPath
from typing import IO, Final, cast

from ml_platform.core.errors import ArtifactError

MAX_UNPACKED_BYTES: Final = 256 * 2**20
"""A model of 500 trees with 63 leaves takes 4 MB; what unpacks to more than this is an attack or a mistake."""


def pack_files(directory: Path, names: Collection[str], archive: Path) -> None:
    """Write the named files of ``directory`` to a ``tar.gz``: the same files give the same bytes."""
    with (
        archive.open("wb") as file,
        gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for name in names:
            entry = tarfile.TarInfo(name)
            entry.size = (directory / name).stat().st_size
            entry.mode = 0o644
            with (directory / name).open("rb") as content:
                tar.addfile(entry, content)


def unpack_files(archive: Path, names: Collection[str], directory: Path, max_bytes: int = MAX_UNPACKED_BYTES) -> None:
    """Unpack a ``tar.gz`` that may hold the named files, and nothing else, into ``directory``.

    Raises:
        ArtifactError: When it is not a readable archive, unpacks to too much, or holds anything else.
    """
    try:
        with gzip.open(archive) as content:
            bounded = cast("IO[bytes]", _Bounded(cast("IO[bytes]", content), max_bytes))
            with tarfile.open(fileobj=bounded, mode="r|") as tar:
                for member in tar:
                    if _is_wanted(member, names):
                        tar.extract(member, directory, filter="data")
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise ArtifactError(f"{archive.name} is not a readable model archive: {error}.") from error


def _is_wanted(member: tarfile.TarInfo, names: Collection[str]) -> bool:
    """Whether to unpack a member; the entry of the packed directory itself is no harm, all else is refused."""
    name = str(PurePosixPath(member.name))
    if member.isdir() and name == ".":
        return False
    if not member.isreg() or name not in names:
        raise ArtifactError(f"The model archive holds {member.name!r}, which is no part of a model artifact.")
    return True


class _Bounded:
    """A stream that refuses to go on once too much came out of it, wherever the bytes would have gone."""

    def __init__(self, stream: IO[bytes], max_bytes: int) -> None:
        self._stream = stream
        self._max_bytes = max_bytes
        self._count = 0

    def read(self, size: int) -> bytes:
        content = self._stream.read(size)
        self._count += len(content)
        if self._count > self._max_bytes:
            raise ArtifactError(f"The model archive unpacks to more than {self._max_bytes / 2**20:g} MB.")
        return content
