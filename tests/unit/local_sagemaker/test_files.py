"""Names of channel files and archives: nothing leaves its folder."""

import io
import tarfile
from pathlib import Path

import pytest

from ml_platform.local_sagemaker.archives import ArchiveError, extract, pack
from ml_platform.local_sagemaker.objects import Location, ObjectsError, path_below
from ml_platform.local_sagemaker.s3_inputs import relative_name


@pytest.mark.parametrize(
    ("prefix", "key", "expected"),
    [
        ("a/b", "a/b/c.csv", "c.csv"),
        ("a/b/", "a/b/c/d.csv", "c/d.csv"),
        ("a/b.csv", "a/b.csv", "b.csv"),
        ("a/part-", "a/part-1.csv", "part-1.csv"),
        ("", "a/b.csv", "a/b.csv"),
        ("part", "part-1.csv", "part-1.csv"),
    ],
)
def test_a_job_sees_names_relative_to_the_prefixs_folder(prefix: str, key: str, expected: str) -> None:
    assert relative_name(prefix, key) == expected


@pytest.mark.parametrize("key", ["../x", "a/../../x", "/etc/passwd", "", "a/\0", "."])
def test_a_key_that_would_leave_its_folder_is_refused(tmp_path: Path, key: str) -> None:
    with pytest.raises(ObjectsError, match="refused S3 key"):
        path_below(tmp_path, key)


def test_an_address_keeps_every_character_of_its_key() -> None:
    assert Location.parse("s3://bucket/a?b#c d/é") == Location("bucket", "a?b#c d/é")
    assert Location.parse("s3://bucket") == Location("bucket", "")
    for wrong in ("https://bucket/key", "s3:///key", "bucket/key", ""):
        with pytest.raises(ObjectsError, match="is not an S3 address"):
            Location.parse(wrong)


def test_a_packed_folder_comes_back_without_our_names(tmp_path: Path) -> None:
    folder, archive, copy = tmp_path / "model", tmp_path / "model.tar.gz", tmp_path / "copy"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "file").write_text("x")
    pack(folder, archive)
    with tarfile.open(archive) as tar:
        assert {(member.uname, member.uid) for member in tar} == {("", 0)}
    extract(archive, copy)
    assert (copy / "deep" / "file").read_text() == "x"


@pytest.mark.parametrize("name", ["../escaped", "/escaped", "link"])
def test_an_archive_member_cannot_leave_its_folder(tmp_path: Path, name: str) -> None:
    archive, folder = tmp_path / "evil.tar.gz", tmp_path / "inside" / "model"
    with tarfile.open(archive, "w:gz") as tar:
        member = tarfile.TarInfo(name)
        if name == "link":
            member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        member.size = 0 if name == "link" else 1
        tar.addfile(member, io.BytesIO(b"x"))
    if name == "/escaped":  # the leading slash is dropped, as tar itself does
        extract(archive, folder)
        assert (folder / "escaped").exists()
    else:
        with pytest.raises(ArchiveError):
            extract(archive, folder)
    assert not (tmp_path / "inside" / "escaped").exists()


def test_a_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("not an archive")
    with pytest.raises(ArchiveError):
        extract(tmp_path / "text", tmp_path / "model")
