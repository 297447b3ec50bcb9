"""A SQLite file that many threads and processes use at once: connections and transactions, no tables."""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_BUSY_SECONDS = 30


class SqliteFile:
    """A file. Each thread of each process has a connection of its own: a connection must not cross a fork."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()

    def connection(self) -> sqlite3.Connection:
        """Return this thread's connection; every statement is a transaction unless one was begun."""
        if getattr(self._local, "owner", None) != os.getpid():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self.path, timeout=_BUSY_SECONDS, isolation_level=None)
            connection.execute("PRAGMA journal_mode = WAL")
            # A commit survives a killed process. Only a power cut can undo the last.
            connection.execute("PRAGMA synchronous = NORMAL")
            self._local.connection, self._local.owner = connection, os.getpid()
        connection_of_thread: sqlite3.Connection = self._local.connection
        return connection_of_thread

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Keep all that is written within, or nothing when it raises."""
        connection = self.connection()
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
