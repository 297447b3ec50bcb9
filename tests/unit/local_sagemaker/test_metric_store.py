"""The store of metrics: what was kept before clocks could be stepped is still there, also for alarms."""

import sqlite3
from pathlib import Path

from ml_platform.local_sagemaker.cloudwatch.metric_store import Metric, MetricStore, Moment, Point
from ml_platform.local_sagemaker.cloudwatch.statistics import Summary

OLD = """
CREATE TABLE metrics (
    id INTEGER PRIMARY KEY, namespace TEXT NOT NULL, name TEXT NOT NULL, dimensions TEXT NOT NULL,
    UNIQUE (namespace, name, dimensions)
);
CREATE TABLE points (
    metric INTEGER NOT NULL, at INTEGER NOT NULL, unit TEXT NOT NULL, summary TEXT NOT NULL,
    PRIMARY KEY (metric, at, unit)
) WITHOUT ROWID;
INSERT INTO metrics VALUES (1, 'Shop', 'Sales', '[]');
INSERT INTO points VALUES (1, 60000, 'None', '[2.0, 9.0, 4.0, 5.0, true, []]');
"""
SALES = Metric.of("Shop", "Sales")


def test_what_an_older_version_kept_is_found_by_either_time(tmp_path: Path) -> None:
    path = tmp_path / "metrics.sqlite"
    old = sqlite3.connect(path)
    old.executescript(OLD)
    old.close()
    for _ in range(2):
        store = MetricStore(path)
        for time in ("at", "position"):
            ((at, summary),) = store.read(SALES, 0, 120_000, by=time)
            assert (at, summary.total) == (60_000, 9.0)
        store.close()


def test_a_value_is_found_where_the_clock_stood_and_when_it_really_was(tmp_path: Path) -> None:
    store = MetricStore(tmp_path / "metrics.sqlite")
    for position in (60.0, 3660.0):
        summary = Summary()
        summary.add(1.0)
        store.add([Point(SALES, Moment.of(60.5, position + 0.5, 60_000), "None", summary)])
    assert [at for at, _ in store.read(SALES, 0, 10**9)] == [60_000, 60_000]
    assert [at for at, _ in store.read(SALES, 0, 10**9, by="position")] == [60_000, 3_660_000]
    store.close()
