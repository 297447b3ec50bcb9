"""What an online store must be able to do; ``value_stores`` has those that can.

Rows are bytes (``features.online.codec``) under a table and a key. Two kinds of writes exist, both safe against
writers at the same time: one that never replaces a newer row, and one that only replaces the row it has seen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from ml_platform.core.errors import ServiceUnavailableError

Table = str
Keys = Sequence[bytes]


class OnlineStoreUnavailableError(ServiceUnavailableError):
    """The online store does not answer. A later try can succeed; nothing was lost."""


@dataclass(frozen=True, slots=True)
class Swap:
    """Replace the row that was seen, or nothing when none was."""

    key: bytes
    seen: bytes | None
    row: bytes


class OnlineValues(Protocol):
    """Rows by table and key. Every method raises ``OnlineStoreUnavailableError`` when the store does not answer."""

    def create(self, tables: Sequence[Table]) -> None:
        """Make sure the tables exist."""
        ...

    def drop(self, tables: Sequence[Table]) -> None:
        """Remove tables and their rows."""
        ...

    def read(self, wanted: Sequence[tuple[Table, Keys]]) -> list[list[bytes | None]]:
        """Return the rows of each table's keys, None where there is none: one round trip where the store can."""
        ...

    def write_newest(self, table: Table, rows: Mapping[bytes, bytes], keep: timedelta | None) -> int:
        """Write rows unless the store's are newer; one about the same instant is a correction and is written.

        Args:
            table: Where.
            rows: By key.
            keep: The store may forget a row that was not written for this long.

        Returns:
            How many were written.
        """
        ...

    def swap(self, table: Table, swaps: Sequence[Swap], keep: timedelta | None) -> list[bool]:
        """Replace each row that is still the one that was seen, and say of each whether it was."""
        ...
