"""Folders to S3: once at the end of a job, or again and again while it runs.

Only files that changed are sent. Links are never followed: a job could point them at anything on this machine.
"""

import asyncio
import logging
import os
from contextlib import suppress
from pathlib import Path

from ml_platform.local_sagemaker.objects import Objects, ObjectsError

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 0.25
# A file that changes at every look is sent all the same after so many.
PATIENCE_LOOKS = 4
Stamp = tuple[int, int, int]


class FolderUpload:
    """A folder of a job and its address in S3."""

    def __init__(self, objects: Objects, folder: Path, uri: str) -> None:
        self.folder = folder
        self._objects = objects
        self._uri = uri.rstrip("/")
        self._seen: dict[Path, Stamp] = {}
        self._looks: dict[Path, int] = {}
        self._sent: dict[Path, Stamp] = {}
        self._sending = asyncio.Lock()

    async def mark_present(self) -> None:
        """Take what is in the folder now for sent: it came from there."""
        self._sent = await asyncio.to_thread(stamps, self.folder)

    async def send(self, *, settled_only: bool = False) -> None:
        """Send what is new or has changed.

        Args:
            settled_only: Wait a while for what changed since the last look: it may be half written.

        Raises:
            ObjectsError: When S3 refuses.
        """
        async with self._sending:
            found = await asyncio.to_thread(stamps, self.folder)
            seen, self._seen = self._seen, found
            for path, stamp in found.items():
                if self._sent.get(path) == stamp:
                    continue
                self._looks[path] = self._looks.get(path, 0) + 1
                if settled_only and seen.get(path) != stamp and self._looks[path] < PATIENCE_LOOKS:
                    continue
                with suppress(FileNotFoundError):  # the job removed it meanwhile
                    await self._objects.aupload(path, f"{self._uri}/{path.relative_to(self.folder).as_posix()}")
                    self._sent[path] = stamp
                    self._looks.pop(path)

    async def send_forever(self) -> None:
        """Send changes until cancelled. What S3 refuses is tried again at the next look."""
        while True:
            await asyncio.sleep(PAUSE_SECONDS)
            try:
                await self.send(settled_only=True)
            except ObjectsError as error:
                logger.warning("not uploaded yet: %s", error)


def stamps(folder: Path) -> dict[Path, Stamp]:
    """Return what tells versions of each regular file apart: its inode, size and time of change."""
    found = {}
    for root, _, names in os.walk(folder):
        for path in (Path(root, name) for name in sorted(names)):
            with suppress(FileNotFoundError):
                status = path.lstat()
                if path.is_file() and not path.is_symlink():
                    found[path] = (status.st_ino, status.st_size, status.st_mtime_ns)
    return found
