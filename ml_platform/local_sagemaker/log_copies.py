"""The stand-in's own copy of every log stream, on disk.

CloudWatch Logs come from the ground services, which forget them when they are killed; ``logs`` writes them again from
here. A file that is still being written to ends in ``.open``: what its last lines became is not known.
"""

import json
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

ENDING, OPEN = ".jsonl", ".jsonl.open"
MARK = "mark"

Event = dict[str, Any]


class LogCopies:
    """The copies in one folder: a folder for each log group, a file for each stream."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def mark(self) -> str:
        """Return what tells this folder's logs from all others: made with the folder, gone with it."""
        path = self._folder / MARK
        if not path.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            path.write_text(uuid.uuid4().hex)
        return path.read_text()

    def append(self, group: str, stream: str, events: Sequence[Event]) -> None:
        """Add events to a stream's copy."""
        path = self._path(group, stream, OPEN)
        path.parent.mkdir(parents=True, exist_ok=True)
        closed = self._path(group, stream, ENDING)
        if closed.exists():
            closed.rename(path)
        with path.open("a") as file:
            file.writelines(f"{json.dumps(event)}\n" for event in events)

    def close(self, group: str, stream: str) -> None:
        """Note that CloudWatch Logs have all of a stream."""
        path = self._path(group, stream, OPEN)
        if path.exists():
            path.rename(self._path(group, stream, ENDING))

    def streams(self, *, only_open: bool = False) -> list[tuple[str, str]]:
        """Return the group and the name of every stream, or of those that were never closed."""
        endings = (OPEN,) if only_open else (OPEN, ENDING)
        return [
            (unquote(path.parent.name), unquote(path.name.removesuffix(ending)))
            for ending in endings
            for path in sorted(self._folder.glob(f"*/*{ending}"))
        ]

    def events(self, group: str, stream: str) -> Iterator[Event]:
        """Return a stream's events. A line that a crash cut off is left out."""
        for ending in (OPEN, ENDING):
            path = self._path(group, stream, ending)
            if path.exists():
                for line in path.read_bytes().splitlines():
                    try:
                        yield json.loads(line)
                    except ValueError:
                        return

    def _path(self, group: str, stream: str, ending: str) -> Path:
        return self._folder / quote(group, safe="") / f"{quote(stream, safe='')}{ending}"
