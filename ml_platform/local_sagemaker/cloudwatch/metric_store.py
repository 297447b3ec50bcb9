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
CREATE TABLE IF NOT EXISTS points (
    metric INTEGER NOT NULL,
    at INTEGER NOT NULL,
    unit TEXT NOT NULL,
    summary TEXT NOT NULL,
    PRIMARY KEY (metric, at, unit)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS alarm_history (
    id INTEGER PRIMARY KEY,
    alarm TEXT NOT NULL,
    at REAL NOT NULL,
    item TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS alarm_history_by_alarm ON alarm_history (alarm, at);
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


@dataclass(frozen=True)
class Point:
    """Values of one metric in one unit at one time, in milliseconds since 1970."""

    metric: Metric
    at: int
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
        self._ids: dict[Metric, int] = {}

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def add(self, points: Iterable[Point]) -> None:
        """Add values to what is known of their metrics, all or none."""
        with self._transaction():
            for point in points:
                self._add(point)

    def read(self, metric: Metric, start: int, end: int, unit: str | None = None) -> list[tuple[int, Summary]]:
        """Return the sums at start <= time < end (milliseconds), oldest first."""
        identity = self._id(metric)
        if identity is None:
            return []
        rows = self._database.execute(
            "SELECT at, summary FROM points WHERE metric = ? AND at >= ? AND at < ? AND (? IS NULL OR unit = ?) "
            "ORDER BY at",
            (identity, start, end, unit, unit),
        )
        return [(at, _read(summary)) for at, summary in rows]

    def metrics(self, after: int, limit: int, since: int) -> list[tuple[int, Metric]]:
        """Return known metrics with values since a time, by id, after an id."""
        rows = self._database.execute(
            "SELECT id, namespace, name, dimensions FROM metrics WHERE id > ? AND EXISTS "
            "(SELECT 1 FROM points WHERE metric = metrics.id AND at >= ?) ORDER BY id LIMIT ?",
            (after, since, limit),
        )
        return [
            (identity, Metric(namespace, name, tuple((key, value) for key, value in json.loads(dimensions))))
            for identity, namespace, name, dimensions in rows
        ]

    def forget(self, before: int) -> None:
        """Drop what is older than a time."""
        self._database.execute("DELETE FROM points WHERE at < ?", (before,))
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
        key = (identity, point.at, point.unit)
        row = self._database.execute(
            "SELECT summary FROM points WHERE metric = ? AND at = ? AND unit = ?", key
        ).fetchone()
        summary = point.summary
        if row:
            summary = _read(row[0])
            summary.merge(point.summary)
        self._database.execute("INSERT OR REPLACE INTO points VALUES (?, ?, ?, ?)", (*key, _written(summary)))

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
