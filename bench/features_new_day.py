"""A new day's CPU with a short and with a long history behind it, each computed in a process of its own.

The short one is as long as the farthest window reaches, 38 days: of less history a day would have less to read.
"""

import subprocess
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

from bench.report import Measure
from ml_platform.aws.objects import ObjectStore

WARM_UP, SHORT, LONG = 1, 38, 152
RUNS = 3
LAST = date(2026, 6, 30)
CARDS, TERMINALS = 5_000, 10_000


def figures(*, quick: bool = False) -> list[Measure]:
    """Return the CPU of a day with four times the history beside that with the shortest full one."""
    from bench.tax import fresh_home
    from ml_platform.cli.service_specs import ground
    from ml_platform.cli.services import LocalServices

    per_day = 2_000 if quick else 10_000
    with (
        tempfile.TemporaryDirectory(prefix="bench-new-day-") as directory,
        fresh_home(directory) as settings,
        LocalServices(settings, services=(ground(settings),)) as services,
    ):
        bucket, region = services.settings.bucket, services.settings.region
        stores = {days: ObjectStore(f"{bucket}-{days}", region) for days in (WARM_UP, SHORT, LONG)}
        for days, store in stores.items():
            _land(store, days, per_day)
        # The least of several runs: what else the machine does can only add.
        least = {days: min(_cpu_of_last_day(stores, days) for _ in range(RUNS)) for days in (SHORT, LONG)}
    name = f"a new day of {per_day:,} payments: CPU with {LONG} days of history beside {SHORT}"
    return [Measure(name, least[LONG], least[SHORT], "CPU s", 1.2)]


def _land(store: ObjectStore, days: int, per_day: int) -> None:
    import numpy as np
    import polars as pl

    from ml_platform.aws.tables import DailyTable
    from ml_platform.features.windows.payments import terminal_risk

    store.ensure_bucket()
    for offset in range(days):
        day = LAST - timedelta(days=offset)
        # The same rows a day, whatever the history: the two computations read the same.
        rng = np.random.default_rng(day.toordinal())
        numbers = np.arange(per_day)
        rows = pl.DataFrame(
            {
                "transaction_id": [f"{day:%Y%m%d}-{number}" for number in numbers],
                "second": np.sort(rng.integers(0, 86_400, per_day)),
                "customer_id": [f"c{card}" for card in rng.integers(0, CARDS, per_day)],
                "terminal_id": [f"m{terminal}" for terminal in rng.integers(0, TERMINALS, per_day)],
                "amount": np.round(rng.lognormal(3.5, 1, per_day), 2),
            }
        ).with_columns(event_time=pl.lit(day).cast(pl.Datetime("us", "UTC")) + pl.duration(seconds="second"))
        known = pl.col("event_time") + timedelta(days=7)
        labels = rows.select("transaction_id", pl.lit(1, pl.Int8).alias("label"), "event_time", known_time=known)
        DailyTable(store, terminal_risk.source).write(day, rows.drop("second"))
        DailyTable(store, str(terminal_risk.labels)).write(day + timedelta(days=7), labels[::100])


def _cpu_of_last_day(stores: dict[int, ObjectStore], days: int) -> float:
    warm_up, store = stores[WARM_UP], stores[days]
    command = [sys.executable, "-m", "bench.features_new_day", warm_up.bucket, store.bucket, store.region]
    root = Path(__file__).parents[1]
    return float(subprocess.run(command, check=True, capture_output=True, text=True, cwd=root).stdout)


def _main(warm_up: str, bucket: str, region: str) -> None:
    from ml_platform.features.windows.compute import compute_features

    # Imports and clients cost the same however long the history is; they would hide what grows. Nothing of the
    # measured bucket is read before.
    compute_features(ObjectStore(warm_up, region), LAST, LAST)
    before = time.process_time()
    compute_features(ObjectStore(bucket, region), LAST, LAST)
    sys.stdout.write(str(time.process_time() - before))


if __name__ == "__main__":
    _main(*sys.argv[1:])
