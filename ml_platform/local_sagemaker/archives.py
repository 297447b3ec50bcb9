"""``.tar.gz`` archives of models and outputs, packed and extracted safely."""

import tarfile
import zlib
from pathlib import Path


class ArchiveError(Exception):
    """The file is no archive, or holds members that would leave their folder."""


def pack(folder: Path, archive: Path) -> None:
    """Write everything in a folder to a ``.tar.gz``, names relative to the folder, without anybody's user names."""
    with tarfile.open(archive, "w:gz", compresslevel=6) as tar:
        for path in sorted(folder.rglob("*")):
            if path.is_file() or path.is_dir():
                tar.add(path, arcname=path.relative_to(folder).as_posix(), recursive=False, filter=_anonymous)


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def extract(archive: Path, folder: Path) -> None:
    """Extract an archive into a folder.

    Raises:
        ArchiveError: When it is no ``.tar.gz``, is cut short, or a member points outside the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise ArchiveError(str(error)) from error
