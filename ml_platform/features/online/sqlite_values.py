"""Online rows in one SQLite file: the default, which needs no server and survives restarts."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from ml_platform.features.online.codec import event_us_of
from ml_platform.features.online.values import Keys, OnlineStoreUnavailableError, Swap, Table
from ml_platform.features.sqlite_file import SqliteFile

_PARAMETERS = 500
"""Keys per query; SQLite's limit is higher, but long statements are parsed anew each time."""


class SqliteValues:
    """Rows in a file. What a power cut undoes, the next materialization repeats."""

    def __init__(self, path: Path) -> None:
        self._file = SqliteFile(path)

    def create(self, tables: Sequence[Table]) -> None:
        """Make sure the tables exist."""
        with self._transaction() as connection:
            for table in tables:
                connection.execute(
                    f'CREATE TABLE IF NOT EXISTS "{table}" '
                    "(key BLOB PRIMARY KEY, event_us INTEGER NOT NULL, row BLOB NOT NULL) WITHOUT ROWID"
                )

    def drop(self, tables: Sequence[Table]) -> None:
        """Remove tables and their rows."""
        with self._transaction() as connection:
            for table in tables:
                connection.execute(f'DROP TABLE IF EXISTS "{table}"')

    def read(self, wanted: Sequence[tuple[Table, Keys]]) -> list[list[bytes | None]]:
        """Return the rows of each table's keys, None where there is none."""
        with self._errors():
            return [self._read(self._file.connection(), table, keys) for table, keys in wanted]

    def write_newest(self, table: Table, rows: Mapping[bytes, bytes], keep: timedelta | None) -> int:  # noqa: ARG002
        """Write rows unless the store's are newer. Rows are never forgotten: a file has room."""
        with self._transaction() as connection:
            before = connection.total_changes
            connection.executemany(
                f'INSERT INTO "{table}" VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE '  # noqa: S608
                "SET event_us = excluded.event_us, row = excluded.row WHERE excluded.event_us >= event_us",
                ((key, event_us_of(row), row) for key, row in rows.items()),
            )
            return connection.total_changes - before

    def swap(self, table: Table, swaps: Sequence[Swap], keep: timedelta | None) -> list[bool]:  # noqa: ARG002
        """Replace each row that is still the one that was seen."""
        with self._transaction() as connection:
            return [self._swap(connection, table, swap) for swap in swaps]

    @staticmethod
    def _swap(connection: sqlite3.Connection, table: Table, swap: Swap) -> bool:
        values = {"key": swap.key, "event": event_us_of(swap.row), "row": swap.row, "seen": swap.seen}
        if swap.seen is None:
            statement = f'INSERT OR IGNORE INTO "{table}" VALUES (:key, :event, :row)'  # noqa: S608
        else:
            statement = f'UPDATE "{table}" SET event_us = :event, row = :row WHERE key = :key AND row = :seen'  # noqa: S608
        return connection.execute(statement, values).rowcount == 1

    @staticmethod
    def _read(connection: sqlite3.Connection, table: Table, keys: Keys) -> list[bytes | None]:
        found: dict[bytes, bytes] = {}
        for start in range(0, len(keys), _PARAMETERS):
            some = keys[start : start + _PARAMETERS]
            marks = ",".join("?" * len(some))
            found.update(connection.execute(f'SELECT key, row FROM "{table}" WHERE key IN ({marks})', some).fetchall())  # noqa: S608
        return [found.get(key) for key in keys]

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._errors(), self._file.transaction() as connection:
            yield connection

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise OnlineStoreUnavailableError(
                f"The online store in {self._file.path} cannot be used: {error}. Free the disk or the lock, or run "
                "`ml-platform dev` to apply the feature definitions; then try again."
            ) from error
