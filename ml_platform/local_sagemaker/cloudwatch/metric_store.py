"""Metric values in SQLite, summed up per period: a row per metric and period, not per request."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ml_platform.local_sagemaker.cloudwatch.statistics import Summary

SCHEMA = """
CREATE TABLE IF NOT EXISTS metrics (
    id INTEGER PRIMARY KEY,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    dimensions TEXT NOT NULL,
    UNIQUE (namespace, name, dimensions)
);
CREATE TABLE IF NOT EXISTS values_at (
    metric INTEGER NOT NULL,
    at INTEGER NOT NULL,
    position INTEGER NOT NULL,
    unit TEXT NOT NULL,
    summary TEXT NOT NULL,
    PRIMARY KEY (metric, at, position, unit)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS values_by_position ON values_at (metric, position);
CREATE TABLE IF NOT EXISTS clock (id INTEGER PRIMARY KEY CHECK (id = 0), ahead REAL NOT NULL);
CREATE TABLE IF NOT EXISTS alarm_history (
    id INTEGER PRIMARY KEY,
    alarm TEXT NOT NULL,
    at REAL NOT NULL,
    item TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS alarm_history_by_alarm ON alarm_history (alarm, at);
"""
# Before clocks could be stepped there was one time only.
TAKE_OVER = """
BEGIN;
INSERT OR IGNORE INTO values_at SELECT metric, at, at, unit, summary FROM points;
DROP TABLE points;
COMMIT;
"""
RETENTION_SECONDS = 15 * 86_400


class Metric(NamedTuple):
    """A metric's identity: dimensions match exactly or not at all."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, namespace: str, name: str, dimensions: Iterable[Mapping[str, str]] = ()) -> "Metric":
        """Return the metric that a request's dimensions name, in whatever order."""
        return cls(namespace, name, tuple(sorted((each["Name"], each["Value"]) for each in dimensions)))

    def as_json(self) -> dict[str, Any]:
        """Return the metric in CloudWatch's shape."""
        dimensions = [{"Name": name, "Value": value} for name, value in self.dimensions]
        return {"Namespace": self.namespace, "MetricName": self.name, "Dimensions": dimensions}


class Moment(NamedTuple):
    """A time in milliseconds since 1970: as requests and answers tell it, and as alarms and scaling count it."""

    at: int
    position: int

    @classmethod
    def of(cls, real: float, position: float, resolution: int) -> "Moment":
        """Return the whole period of so many milliseconds that two times, in seconds, lie in."""
        return cls(int(real * 1000) // resolution * resolution, int(position * 1000) // resolution * resolution)


@dataclass(frozen=True)
class Point:
    """Values of one metric in one unit at one moment."""

    metric: Metric
    at: Moment
    unit: str
    summary: Summary


class MetricStore:
    """Metrics and the history of alarms. Used from the event loop's thread only."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=NORMAL")
        self._database.executescript(SCHEMA)
        if self._database.execute("SELECT 1 FROM sqlite_master WHERE name = 'points'").fetchone():
            self._database.executescript(TAKE_OVER)
        self._ids: dict[Metric, int] = {}

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def add(self, points: Iterable[Point]) -> None:
        """Add values to what is known of their metrics, all or none."""
        with self._transaction():
            for point in points:
                self._add(point)

    @property
    def ahead(self) -> float:
        """By how many seconds the clock had been stepped ahead when that was last kept."""
        row = self._database.execute("SELECT ahead FROM clock").fetchone()
        return float(row[0]) if row else 0.0

    @ahead.setter
    def ahead(self, seconds: float) -> None:
        self._database.execute("INSERT OR REPLACE INTO clock VALUES (0, ?)", (seconds,))

    def read(
        self, metric: Metric, start: int, end: int, unit: str | None = None, *, by: str = "at"
    ) -> list[tuple[int, Summary]]:
        """Return the sums at start <= time < end (milliseconds), oldest first.

        Args:
            metric: Which metric.
            start: First time.
            end: Time after the last.
            unit: The only unit to look for, if not all.
            by: Which time of a ``Moment``.
        """
        column = {"at": "at", "position": "position"}[by]
        identity = self._id(metric)
        if identity is None:
            return []
        rows = self._database.execute(
            f"SELECT {column}, summary FROM values_at WHERE metric = ? AND {column} >= ? AND {column} < ? "  # noqa: S608
            f"AND (? IS NULL OR unit = ?) ORDER BY {column}",
            (identity, start, end, unit, unit),
        )
        return [(at, _read(summary)) for at, summary in rows]

    def metrics(self, after: int, limit: int, since: int) -> list[tuple[int, Metric]]:
        """Return known metrics with values since a time, by id, after an id."""
        rows = self._database.execute(
            "SELECT id, namespace, name, dimensions FROM metrics WHERE id > ? AND EXISTS "
            "(SELECT 1 FROM values_at WHERE metric = metrics.id AND at >= ?) ORDER BY id LIMIT ?",
            (after, since, limit),
        )
        return [
            (identity, Metric(namespace, name, tuple((key, value) for key, value in json.loads(dimensions))))
            for identity, namespace, name, dimensions in rows
        ]

    def forget(self, before: int) -> None:
        """Drop what is older than a time."""
        self._database.execute("DELETE FROM values_at WHERE at < ?", (before,))
        self._database.execute("DELETE FROM alarm_history WHERE at < ?", (before / 1000,))

    def remember(self, alarm: str, at: float, item: Mapping[str, Any]) -> None:
        """Add an item to an alarm's history."""
        self._database.execute(
            "INSERT INTO alarm_history (alarm, at, item) VALUES (?, ?, ?)", (alarm, at, json.dumps(item))
        )

    def history(self, alarm: str | None, start: float, end: float) -> list[dict[str, Any]]:
        """Return history items, newest first."""
        rows = self._database.execute(
            "SELECT item FROM alarm_history WHERE (? IS NULL OR alarm = ?) AND at >= ? AND at <= ? ORDER BY id DESC",
            (alarm, alarm, start, end),
        )
        return [json.loads(item) for (item,) in rows]

    def _add(self, point: Point) -> None:
        identity = self._id(point.metric) or self._insert(point.metric)
        key = (identity, *point.at, point.unit)
        row = self._database.execute(
            "SELECT summary FROM values_at WHERE metric = ? AND at = ? AND position = ? AND unit = ?", key
        ).fetchone()
        summary = point.summary
        if row:
            summary = _read(row[0])
            summary.merge(point.summary)
        self._database.execute("INSERT OR REPLACE INTO values_at VALUES (?, ?, ?, ?, ?)", (*key, _written(summary)))

    def _id(self, metric: Metric) -> int | None:
        if metric in self._ids:
            return self._ids[metric]
        row = self._database.execute(
            "SELECT id FROM metrics WHERE namespace = ? AND name = ? AND dimensions = ?",
            (metric.namespace, metric.name, json.dumps(metric.dimensions)),
        ).fetchone()
        if row:
            self._ids[metric] = row[0]
        return row[0] if row else None

    def _insert(self, metric: Metric) -> int:
        cursor = self._database.execute(
            "INSERT INTO metrics (namespace, name, dimensions) VALUES (?, ?, ?)",
            (metric.namespace, metric.name, json.dumps(metric.dimensions)),
        )
        assert cursor.lastrowid is not None  # noqa: S101 - an insert has one
        return cursor.lastrowid

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")


def _written(summary: Summary) -> str:
    histogram = [part for pair in summary.histogram.items() for part in pair]
    return json.dumps(
        [summary.count, summary.total, summary.smallest, summary.largest, summary.whole, histogram],
        separators=(",", ":"),
    )


def _read(text: str) -> Summary:
    count, total, smallest, largest, whole, histogram = json.loads(text)
    pairs = dict(zip(histogram[::2], histogram[1::2], strict=True))
    return Summary(count, total, smallest, largest, pairs, whole)
