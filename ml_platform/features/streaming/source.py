"""Where a stream worker gets its events: what any source must offer, and a log in one SQLite file for local use."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from ml_platform.core.clock import Sleep, sleep
from ml_platform.features.sqlite_file import SqliteFile

Sequence = str | int
Message = tuple[Sequence, Mapping[str, Any]]


class EventSource(Protocol):
    """Messages in order, from the first that was not acknowledged.

    A message is given again after a restart unless it was acknowledged: at least once. The worker makes that exactly
    once, because adding the same event twice changes nothing.
    """

    def __iter__(self) -> Iterator[Message | None]:
        """Give sequence and content of each message; None says that there is nothing more for the moment."""
        ...

    def ack(self, sequence: Sequence) -> None:
        """Never give this message, nor those before it, again."""
        ...

    def reject(self, sequence: Sequence, content: Mapping[str, Any], reason: str) -> None:
        """Put a message aside for a person, with the reason; it is acknowledged with the others."""
        ...


class EventLog:
    """Messages in a SQLite file: any process may append, one worker reads."""

    def __init__(
        self,
        path: Path,
        consumer: str = "windows",
        poll_seconds: float = 0.02,
        wait: Sleep = sleep,
        keep: int = 1_000_000,
    ) -> None:
        """Open the log, or create it.

        Args:
            path: The file.
            consumer: Whose place in the log is kept.
            poll_seconds: Pause between two looks at an empty log.
            wait: Waits for so many seconds.
            keep: Messages that stay after every consumer acknowledged them, for a person to look at.
        """
        self._keep = keep
        self._consumer = consumer
        self._poll_seconds = poll_seconds
        self._wait = wait
        self._file = SqliteFile(path)
        with self._file.transaction() as connection:
            for statement in _TABLES:
                connection.execute(statement)

    def append(self, messages: Iterable[Mapping[str, Any]], clock: Callable[[], float] = time.time) -> None:
        """Add messages, all or none."""
        rows = _rows(messages, clock)
        with self._file.transaction() as connection:
            connection.executemany(_INSERT, rows)

    def __iter__(self) -> Iterator[Message | None]:
        """Give the messages after the acknowledged ones, and then those that are appended."""
        last = self.acknowledged
        while True:
            rows = self._file.connection().execute(
                "SELECT sequence, content FROM messages WHERE sequence > ? ORDER BY sequence LIMIT 1000", (last,)
            )
            for sequence, content in rows.fetchall():
                last = sequence
                yield sequence, _parsed(content)
            yield None
            if last == self.newest:
                self._wait(self._poll_seconds)

    def ack(self, sequence: Sequence) -> None:
        """Never give this message, nor those before it, again."""
        with self._file.transaction() as connection:
            connection.execute(
                "INSERT INTO consumers VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET sequence = excluded.sequence",
                (self._consumer, sequence),
            )
            connection.execute(
                "DELETE FROM messages WHERE sequence <= (SELECT min(sequence) FROM consumers) - ?", (self._keep,)
            )

    def reject(self, sequence: Sequence, content: Mapping[str, Any], reason: str) -> None:
        """Put a message aside with the reason."""
        with self._file.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO rejected VALUES (?, ?, ?)", (sequence, json.dumps(dict(content)), reason)
            )

    @property
    def acknowledged(self) -> int:
        """Sequence of the newest message that is done."""
        row = (
            self._file.connection()
            .execute("SELECT sequence FROM consumers WHERE name = ?", (self._consumer,))
            .fetchone()
        )
        return int(row[0]) if row else 0

    @property
    def newest(self) -> int:
        """Sequence of the newest message."""
        return int(self._file.connection().execute("SELECT coalesce(max(sequence), 0) FROM messages").fetchone()[0])

    def rejected(self) -> list[tuple[int, str]]:
        """Return sequence and reason of what was put aside."""
        return self._file.connection().execute("SELECT sequence, reason FROM rejected ORDER BY sequence").fetchall()


_INSERT = "INSERT INTO messages (content, appended_at) VALUES (?, ?)"


def _rows(messages: Iterable[Mapping[str, Any]], clock: Callable[[], float]) -> list[tuple[str, float]]:
    return [(json.dumps(dict(message), default=str), clock()) for message in messages]


Feed = Callable[[dict[str, Any]], Iterable[tuple[list[Mapping[str, Any]], dict[str, Any]]]]
"""Given where a stream was read up to, gives what came since: messages, and where it was read up to after them."""


class FedLog(EventLog):
    """A log that is filled from a stream elsewhere, whenever there is nothing more in it.

    Messages and the stream's place are kept in one transaction, so that none is lost or kept twice.
    """

    def __init__(self, path: Path, feed: Feed, poll_seconds: float = 0.2, wait: Sleep = sleep) -> None:
        """Open the log.

        Args:
            path: The file.
            feed: Gives what came since.
            poll_seconds: Pause between two looks at a stream that has nothing; Kinesis allows five reads a second.
            wait: Waits for so many seconds.
        """
        super().__init__(path, poll_seconds=poll_seconds, wait=wait)
        self._feed = feed

    def __iter__(self) -> Iterator[Message | None]:
        """Give the messages of the log, and then what the stream has."""
        for message in super().__iter__():
            if message is None:
                self._fill()
            yield message

    def _fill(self) -> None:
        row = self._file.connection().execute("SELECT place FROM feed").fetchone()
        for messages, place in self._feed(json.loads(row[0]) if row else {}):
            with self._file.transaction() as connection:
                connection.executemany(_INSERT, _rows(messages, time.time))
                connection.execute("INSERT OR REPLACE INTO feed VALUES (1, ?)", (json.dumps(place),))


def _parsed(content: str) -> Mapping[str, Any]:
    try:
        parsed = json.loads(content)
    except ValueError:
        return {"unreadable": content}
    return parsed if isinstance(parsed, dict) else {"unreadable": content}


_TABLES = (
    "CREATE TABLE IF NOT EXISTS messages (sequence INTEGER PRIMARY KEY, content TEXT NOT NULL, appended_at REAL)",
    "CREATE TABLE IF NOT EXISTS consumers (name TEXT PRIMARY KEY, sequence INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS feed (one INTEGER PRIMARY KEY, place TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS rejected (sequence INTEGER PRIMARY KEY, content TEXT NOT NULL, reason TEXT NOT NULL)",
)
