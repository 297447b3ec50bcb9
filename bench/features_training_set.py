"""A training set through Feast and our ASOF store, beside the same join written by hand in polars.

Both read the same daily Parquet and run in processes of their own; CPU is counted after the imports. Both results are
compared value for value, so a lost or moved row fails the benchmark.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from bench.report import Measure, conclude

if TYPE_CHECKING:
    import polars as pl

FEATURES = 6
DAYS = 180
KEYS = {"card": 50_000, "terminal": 10_000, "profile": 50_000}
"""The views and how many keys each has."""
LIFE = timedelta(days=30)
START = date(2026, 1, 1)
GIGABYTE = 1e9


def figures(*, quick: bool = False) -> list[Measure]:
    """Return CPU and memory of both; ``quick`` takes a twentieth of the rows.

    Raises:
        AssertionError: When the results differ, or a row is missing.
    """
    entities, rows = (50_000, 500_000) if quick else (1_000_000, 10_000_000)
    with tempfile.TemporaryDirectory(prefix="bench-training-set-") as folder:
        root = Path(folder)
        _write_world(root, entities, rows)
        ours, hand = (_measured(root, way) for way in ("ours", "hand"))
        _require_equal(root, entities)
    # Of so few rows Feast's fixed cost, half a second, is a good part; the goal is about the real size.
    goal = None if quick else 1.3
    size = f"{entities:,} x {rows:,} rows x {len(KEYS)} views"
    return [
        Measure(f"training set, {size}: CPU", ours["cpu"], hand["cpu"], "CPU s", goal),
        Measure("training set: peak memory", ours["peak"] / GIGABYTE, None, "GB", 4.0),
        Measure("training set: peak memory by hand", hand["peak"] / GIGABYTE, None, "GB"),
    ]


def _write_world(root: Path, entities: int, rows: int) -> None:
    """Write entities, and one table per view, day by day, so that this process stays small."""
    import numpy as np
    import polars as pl

    rng = np.random.default_rng(7)
    per_day = rows // DAYS
    asked = []
    for number in range(DAYS):
        day = START + timedelta(days=number)
        midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
        for view, keys in KEYS.items():
            seconds = np.sort(rng.integers(0, 86_400, per_day))
            frame = pl.DataFrame(
                {
                    # A few keys are busy and most are not, as with real cards.
                    f"{view}_id": [f"{view}-{key}" for key in (rng.random(per_day) ** 3 * keys).astype(int)],
                    "event_time": pl.Series(seconds * 1_000_000).cast(pl.Duration("us")) + midnight,
                    "created_time": [midnight + timedelta(days=1)] * per_day,
                    **{f"{view}_{place}": rng.integers(0, 1000, per_day) / 8 for place in range(FEATURES)},
                },
            ).with_columns(pl.col("event_time", "created_time").cast(pl.Datetime("us", "UTC")))
            path = root / f"tables/bench/{view}/date={day}/part-0.parquet"
            path.parent.mkdir(parents=True)
            frame.write_parquet(path)
        seconds = rng.integers(0, 86_400, entities // DAYS + 1)
        asked.append(
            pl.DataFrame(
                {
                    f"{view}_id": [f"{view}-{key}" for key in rng.integers(0, keys, len(seconds))]
                    for view, keys in KEYS.items()
                }
                | {"event_timestamp": pl.Series(seconds * 1_000_000).cast(pl.Duration("us")) + midnight}
            )
        )
    pl.concat(asked).head(entities).sample(fraction=1, shuffle=True, seed=7).write_parquet(root / "entities.parquet")


def _measured(root: Path, way: str) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.features_training_set", way, str(root)]
    environment = os.environ | {"ML_PLATFORM_HOME": str(root / "home")}
    done = subprocess.run(command, stdout=subprocess.PIPE, env=environment, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _require_equal(root: Path, entities: int) -> None:
    import polars as pl
    from polars.testing import assert_frame_equal

    ours, hand = (pl.read_parquet(root / f"{way}.parquet") for way in ("ours", "hand"))
    asked = pl.read_parquet(root / "entities.parquet")
    if ours.height != entities or not ours.select(asked.columns).equals(asked):
        raise AssertionError(f"{entities} rows were asked for; {ours.height} came back, or in another order")
    assert_frame_equal(ours.select(hand.columns), hand, check_exact=True)


def _through_feast(root: Path) -> "Callable[[], pl.DataFrame]":
    """Return the join as a user writes it: one call of Feast's API."""
    from ml_platform.features.lean_feast import import_lean_feast

    import_lean_feast()
    import polars as pl
    from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
    from feast.types import Float64, String

    store = FeatureStore(
        config=RepoConfig(
            project="bench",
            provider="local",
            registry={"registry_type": "sql", "path": f"sqlite:///{root}/registry.db"},
            online_store={"type": "sqlite", "path": f"{root}/online.db"},
            offline_store={
                "type": "ml_platform.features.offline.asof_store.AsofOfflineStore",
                "location": str(root),
            },
            entity_key_serialization_version=3,
        )
    )
    for view in KEYS:
        entity = Entity(name=view, join_keys=[f"{view}_id"], value_type=ValueType.STRING)
        fields = [Field(name=f"{view}_{place}", dtype=Float64) for place in range(FEATURES)]
        source = FileSource(
            name=f"{view}_table",
            path=f"bench/{view}",
            timestamp_field="event_time",
            created_timestamp_column="created_time",
        )
        schema = [Field(name=f"{view}_id", dtype=String), *fields]
        store.apply(
            [entity, FeatureView(name=view, entities=[entity], ttl=LIFE, schema=schema, source=source, online=False)]
        )
    wanted = [f"{view}:{view}_{place}" for view in KEYS for place in range(FEATURES)]
    entities = pl.read_parquet(root / "entities.parquet").to_pandas()

    def join() -> pl.DataFrame:
        return pl.DataFrame(store.get_historical_features(entities, wanted).to_arrow())

    return join


def _by_hand(root: Path) -> "Callable[[], pl.DataFrame]":
    """Return the join as somebody who knows these tables would write it: sorted by day, and without nulls."""
    import polars as pl

    entities = pl.read_parquet(root / "entities.parquet")

    def join() -> pl.DataFrame:
        found = entities.with_row_index("row").sort("event_timestamp")
        for view in KEYS:
            names = [f"{view}_{place}" for place in range(FEATURES)]
            rows = pl.read_parquet(
                root / f"tables/bench/{view}/*/*.parquet",
                columns=[f"{view}_id", "event_time", *names],
                hive_partitioning=False,
            )
            found = found.join_asof(
                rows,
                left_on="event_timestamp",
                right_on="event_time",
                by=f"{view}_id",
                allow_exact_matches=False,
                coalesce=False,
                check_sortedness=False,
            )
            alive = pl.col("event_timestamp") - pl.col("event_time") <= LIFE
            found = found.with_columns(pl.when(alive).then(pl.col(name)).alias(name) for name in names).drop(
                "event_time"
            )
        return found.sort("row").drop("row")

    return join


def _run(way: str, root: Path) -> None:
    join = {"ours": _through_feast, "hand": _by_hand}[way](root)
    before = _cpu()
    frame = join()
    spent = _cpu() - before
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    frame.write_parquet(root / f"{way}.parquet")
    sys.stdout.write(json.dumps({"cpu": spent, "peak": peak}))


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    if len(sys.argv) == 3:  # noqa: PLR2004  # way and folder: a child of ``_measured``
        _run(sys.argv[1], Path(sys.argv[2]))
    else:
        sys.exit(conclude("training set", figures(quick="--quick" in sys.argv), [], {}))
