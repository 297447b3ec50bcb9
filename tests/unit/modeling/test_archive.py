"""``model.tar.gz`` is unpacked with suspicion: its parts and nothing else, up to a bound."""

import gzip
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ml_platform.core.errors import ArtifactError
from ml_platform.modeling.archive import unpack_files
from ml_platform.modeling.artifact import MEMBERS, load_archive, pack_archive

Tamper = Callable[[tarfile.TarFile], None]


def member(name: str, content: bytes = b"x", **attributes: object) -> Tamper:
    """Return a step that adds one entry with any attributes."""

    def add(tar: tarfile.TarFile) -> None:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        for attribute, value in attributes.items():
            setattr(entry, attribute, value)
        tar.addfile(entry, io.BytesIO(content))

    return add


def archive_of(path: Path, directory: Path, *extra: Tamper) -> Path:
    """Pack ``directory`` the way SageMaker does, then add more."""
    with tarfile.open(path, "w:gz") as tar:
        tar.add(directory, arcname=".")
        for add in extra:
            add(tar)
    return path


def test_the_platforms_archive_loads(saved: Path, tmp_path: Path) -> None:
    pack_archive(saved, tmp_path / "model.tar.gz")
    assert load_archive(tmp_path / "model.tar.gz").fingerprint == "f" * 64


def test_an_archive_of_the_directory_itself_loads(saved: Path, tmp_path: Path) -> None:
    assert load_archive(archive_of(tmp_path / "model.tar.gz", saved)).fingerprint == "f" * 64


@pytest.mark.parametrize(
    "extra",
    [
        member("../escape.txt"),
        member("/escape.txt"),
        member("code/inference.py"),
        member("sub/../model.txt"),
        member("model.txt", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        member("model.txt", b"", type=tarfile.LNKTYPE, linkname="../../etc/passwd"),
        member("model.txt", b"", type=tarfile.FIFOTYPE),
        member("model.txt", b"", type=tarfile.CHRTYPE),
        member("more", b"", type=tarfile.DIRTYPE),
    ],
    ids=["parent", "absolute", "code", "detour", "symbolic link", "hard link", "fifo", "device", "directory"],
)
def test_anything_but_the_artifacts_files_is_refused(saved: Path, tmp_path: Path, extra: Tamper) -> None:
    archive = archive_of(tmp_path / "model.tar.gz", saved, extra)
    with pytest.raises(ArtifactError, match="no part of a model artifact"):
        load_archive(archive)


def test_a_member_that_replaces_another_is_found_by_its_digest(saved: Path, tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "model.tar.gz", saved, member("threshold.json", b'{"threshold": 0.0}'))
    with pytest.raises(ArtifactError, match="digest differs"):
        load_archive(archive)


@pytest.mark.parametrize("name", ["model.txt", "pax"])
def test_a_bomb_stops_at_the_bound(tmp_path: Path, name: str) -> None:
    zeros = bytes(2**20)
    # A pax header is one that tarfile itself would read into memory whole.
    kind = tarfile.XHDTYPE if name == "pax" else tarfile.REGTYPE
    with tarfile.open(tmp_path / "bomb.tar.gz", "w:gz") as tar:
        member(name, zeros * 8, type=kind)(tar)
    with pytest.raises(ArtifactError, match="unpacks to more than 4 MB"):
        unpack_files(tmp_path / "bomb.tar.gz", MEMBERS, tmp_path, max_bytes=4 * 2**20)


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", gzip.compress(b"not a tar"), gzip.compress(bytes(10240))[:-12]],
    ids=["empty", "not gzip", "not tar", "cut off"],
)
def test_what_is_no_archive_is_an_error_in_words(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.tar.gz").write_bytes(content)
    with pytest.raises(ArtifactError, match=r"not a readable model archive|is missing"):
        load_archive(tmp_path / "model.tar.gz")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_archive_never_loads(saved: Path, tmp_path: Path, share: float) -> None:
    pack_archive(saved, tmp_path / "model.tar.gz")
    whole = (tmp_path / "model.tar.gz").read_bytes()
    (tmp_path / "model.tar.gz").write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ArtifactError):
        load_archive(tmp_path / "model.tar.gz")


def test_an_absent_archive_is_an_error_in_words(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="not a readable model archive"):
        load_archive(tmp_path / "model.tar.gz")
