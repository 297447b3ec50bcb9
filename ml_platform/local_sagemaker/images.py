"""Which commands stand for which container images, from a JSON file the user may edit while the service runs."""

import json
from pathlib import Path
from typing import Literal

Role = Literal["train", "serve", "process"]


class Images:
    """Image URI -> what its ``train``, ``serve`` and, as ``process``, its own entry point start here."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_at = 0
        self._commands: dict[str, dict[str, list[str]]] = {}

    def command(self, uri: str, role: Role) -> list[str] | None:
        """Return the argument list for a role of an image, or None when the file does not name it."""
        stamp = self._path.stat().st_mtime_ns
        if stamp != self._read_at:
            self._commands = json.loads(self._path.read_text())
            self._read_at = stamp
        return self._commands.get(uri, {}).get(role)
