"""Twelve window features computed by ours, by Polars' own rolling windows and by DuckDB's, each in its own process.

All read the same Parquet file first; CPU is counted from there to the values in memory, and peak memory is the whole
process's. The sums of every feature must agree. A
new day's CPU as the history grows is ``features_new_day``.
"""

import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from bench import features_new_day
from bench.report import Measure

if TYPE_CHECKING:
    import polars as pl

CARDS, TERMINALS, DAYS = 50_000, 10_000, 180
WINDOWS = (1, 7, 30)
MICROSECONDS_A_DAY = 86_400_000_000


def figures(*, quick: bool = False, full: bool = False) -> list[Measure]:
    """Return CPU and memory of each engine; ``quick`` takes a tenth of 10 M rows, ``full`` adds 50 M rows of ours.

    Raises:
        AssertionError: When the engines' values differ.
    """
    rows = 1_000_000 if quick else 10_000_000
    with tempfile.TemporaryDirectory(prefix="bench-windows-") as folder:
        path = Path(folder, "payments.parquet")
        _child("write", path, rows)
        ours, bare, duckdb = (_child(way, path, rows) for way in ("ours", "bare", "duckdb"))
        _require_equal(ours, bare)
        _require_equal(ours, duckdb)
        size = f"{rows / 1e6:g} M rows x 12 windows"
        measures = [
            Measure(f"windows, {size}: CPU beside Polars' rolling", ours["cpu"], bare["cpu"], "CPU s", 1.3),
            Measure("windows: CPU beside DuckDB's", ours["cpu"], duckdb["cpu"], "CPU s", 1.0),
            Measure("windows: peak memory", ours["peak"], None, "GB", 3.0),
        ]
        if full:
            _child("write", path, 50_000_000)
            many = _child("ours", path, 50_000_000)
            measures += [
                Measure("windows, 50 M rows x 12: CPU", many["cpu"], None, "CPU s"),
                Measure("windows, 50 M rows: peak memory", many["peak"], None, "GB", 24.0),
            ]
    return measures + features_new_day.figures(quick=quick)


def _child(way: str, path: Path, rows: int) -> dict:
    """Run one way in a process of its own: peak memory is a process's."""
    command = [sys.executable, "-m", "bench.features_compute", way, str(path), str(rows)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return dict(json.loads(answer))


def _require_equal(ours: dict, theirs: dict) -> None:
    assert len(ours["sums"]) == len(theirs["sums"]) == 12  # noqa: S101, PLR2004
    for one, other in zip(ours["sums"], theirs["sums"], strict=True):
        assert math.isclose(one, other, rel_tol=1e-9), (ours, theirs)  # noqa: S101


def write(path: Path, rows: int) -> None:
    """Write payments of half a year in the order of time; every hundredth is a fraud, known five days later."""
    import numpy as np
    import polars as pl

    rng = np.random.default_rng(7)
    start = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1e6)
    # Seconds, as payment systems give: many payments share an instant.
    times = np.sort(rng.integers(0, DAYS * 86_400, rows)) * 1_000_000 + start
    frame = pl.DataFrame(
        {
            "number": np.arange(rows),
            "event_time": times,
            "card": rng.integers(0, CARDS, rows),
            "terminal": rng.integers(0, TERMINALS, rows),
            "amount": np.round(rng.lognormal(3.5, 1, rows), 2),
        }
    )
    frame.select(
        pl.format("t{}", "number").alias("transaction_id"),
        pl.col("event_time").cast(pl.Datetime("us", "UTC")),
        pl.format("c{}", "card").alias("customer_id"),
        pl.format("m{}", "terminal").alias("terminal_id"),
        "amount",
        is_fraud=(pl.col("number") % 100 == 0).cast(pl.Int8),
    ).write_parquet(path)


def ours(frame: "pl.DataFrame") -> list[float]:
    """Compute the product's declared tables."""
    import polars as pl

    from ml_platform.features.windows.on_polars.engine import window_features
    from ml_platform.features.windows.payments import card_activity, terminal_risk

    labels = frame.filter(pl.col("is_fraud") == 1).select(
        "transaction_id",
        "event_time",
        label=pl.lit(1, pl.Int8),
        known_time=pl.col("event_time") + timedelta(days=5),
    )
    sums: list[float] = []
    for table, known in ((card_activity, None), (terminal_risk, labels)):
        sums += window_features(table, frame, known).select(pl.col(table.feature_names).sum()).row(0)
    return sums


def bare(frame: "pl.DataFrame") -> list[float]:
    """Compute the same with ``DataFrame.rolling``: what one would write by hand, labels known in time assumed."""
    import polars as pl

    sums: list[float] = []
    for key, value, delay in (("customer_id", "amount", 0), ("terminal_id", "is_fraud", 7)):
        ordered = frame.select(key, "event_time", value).sort(key, "event_time")
        for days in WINDOWS:
            found = ordered.rolling(
                "event_time", period=f"{days}d", offset=f"-{days + delay}d", closed="right", group_by=key
            ).agg(count=pl.len(), mean=pl.col(value).mean())
            sums += found.select(pl.col("count", "mean").sum()).row(0)
    return sums


def duckdb(frame: "pl.DataFrame") -> list[float]:
    """Compute the same with DuckDB's windows."""
    import duckdb as engine

    connection = engine.connect()
    connection.register("frame", frame.to_arrow())
    connection.execute("create table payments as select *, epoch_us(event_time) as micros from frame")
    sums: list[float] = []
    for key, value, delay in (("customer_id", "amount", 0), ("terminal_id", "is_fraud", 7)):
        columns, windows = [], []
        for days in WINDOWS:
            first, last = (days + delay) * MICROSECONDS_A_DAY - 1, delay * MICROSECONDS_A_DAY
            end = f"{last} preceding" if last else "current row"
            windows.append(f"w{days} as (partition by {key} order by micros range between {first} preceding and {end})")
            columns += [f"count(*) over w{days} as n{days}", f"avg({value}) over w{days} as m{days}"]
        names = [f"sum({kind}{days})" for days in WINDOWS for kind in "nm"]
        query = f"select {', '.join(columns)} from payments window {', '.join(windows)}"  # noqa: S608
        connection.execute(f"create table found as {query}")
        sums += connection.execute(f"select {', '.join(names)} from found").fetchall()[0]  # noqa: S608
        connection.execute("drop table found")
    return [float(value) for value in sums]


def _peak_gigabytes() -> float:
    """Return this process's greatest memory; ``ru_maxrss`` would include the parent's, from before it started."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1e6


def _main(way: str, path: Path, rows: int) -> None:
    if way == "write":
        write(path, rows)
        sys.stdout.write("{}")
        return
    import polars as pl

    ways: dict[str, Callable[[pl.DataFrame], list[float]]] = {"ours": ours, "bare": bare, "duckdb": duckdb}
    frame = pl.read_parquet(path)
    before = time.process_time()
    sums = ways[way](frame)
    answer = {"cpu": time.process_time() - before, "peak": _peak_gigabytes(), "sums": [float(it) for it in sums]}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    _main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
