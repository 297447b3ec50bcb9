"""What of a folder goes to S3: changes only, never through a link, and not while it is being written."""

import asyncio
from pathlib import Path
from typing import Any

from ml_platform.local_sagemaker.uploads import PATIENCE_LOOKS, FolderUpload


class Sent:
    """S3 as far as an upload needs it."""

    def __init__(self) -> None:
        self.addresses: list[str] = []

    async def aupload(self, path: Path, uri: str) -> None:
        """Note an upload."""
        assert path.is_file()
        self.addresses.append(uri)


def upload(folder: Path) -> tuple[FolderUpload, Sent]:
    sent: Any = Sent()
    return FolderUpload(sent, folder, "s3://bucket/there/"), sent


def test_only_changes_are_sent_and_links_never(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a").write_text("1")
    (tmp_path / "link").symlink_to("/etc/passwd")
    (tmp_path / "folder").symlink_to("/etc")
    folder, sent = upload(tmp_path)
    asyncio.run(folder.send())
    asyncio.run(folder.send())
    (tmp_path / "deep" / "a").write_text("22")
    asyncio.run(folder.send())
    assert sent.addresses == ["s3://bucket/there/deep/a"] * 2


def test_what_came_from_s3_does_not_go_back(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("1")
    folder, sent = upload(tmp_path)
    asyncio.run(folder.mark_present())
    (tmp_path / "new").write_text("1")
    asyncio.run(folder.send())
    assert sent.addresses == ["s3://bucket/there/new"]


def test_a_file_waits_until_it_settles_but_not_for_ever(tmp_path: Path) -> None:
    folder, sent = upload(tmp_path)
    looks = 0
    while not sent.addresses:
        looks += 1
        (tmp_path / "busy").write_text("x" * looks)
        asyncio.run(folder.send(settled_only=True))
    assert looks == PATIENCE_LOOKS
    (tmp_path / "quiet").write_text("1")
    asyncio.run(folder.send(settled_only=True))
    assert len(sent.addresses) == 1
    asyncio.run(folder.send(settled_only=True))
    assert sent.addresses[1:] == ["s3://bucket/there/quiet"]
