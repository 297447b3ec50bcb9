"""Both engines on the Handbook's payments: every value of Spark's beside Polars'.

``python -m bench.features_engines --data path/to/handbook_transactions.parquet``. Of each table's entities every second
one with all its rows over 45 days, so that every window is full.
"""

import argparse
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from bench.report import Measure, conclude
from ml_platform.cli.handbook_reference import read_book
from ml_platform.features.windows.declaration import FeatureTable
from ml_platform.features.windows.payments import FEATURE_TABLES

if TYPE_CHECKING:
    import polars as pl
    from pyspark.sql import SparkSession

DAYS = 45
TOLERANCE = 1e-9


def main() -> int:
    """Print the greatest difference of each table; 1 when one is above 1e-9."""
    import polars as pl

    from ml_platform.features.windows.on_spark.session import local_session

    arguments = argparse.ArgumentParser(prog="python -m bench.features_engines", description=__doc__)
    arguments.add_argument("--data", type=Path, required=True, help="handbook_transactions.parquet")
    payments, frauds = read_book(arguments.parse_args().data)
    payments = payments.with_columns(label=frauds.cast(pl.Int8))
    payments = payments.filter(pl.col("event_time") < payments["event_time"][0] + timedelta(days=DAYS))
    session = local_session(memory="2g")
    try:
        measures = [_compared(session, table, payments) for table in FEATURE_TABLES]
    finally:
        session.stop()
    notes = ["Differences relative to the value where that is above 1; a missing value or row would be infinite."]
    return conclude("features_engines", measures, notes, {"days": DAYS})


def _compared(session: "SparkSession", table: FeatureTable, payments: "pl.DataFrame") -> Measure:
    import polars as pl

    from ml_platform.features.windows.on_polars.engine import window_features

    rows = payments.filter(pl.col(table.key).cast(pl.Int32) % 2 == 0)
    labels = rows.select("transaction_id", "label", "event_time", known_time=pl.col("event_time") + timedelta(days=7))
    rows = rows.drop("label")
    ours = window_features(table, rows, labels if table.labels else None).sort(table.row_id)
    theirs = _on_spark(session, table, rows, labels).sort(table.row_id)
    assert ours.select(ours.columns[:4]).equals(theirs.select(ours.columns[:4]))  # noqa: S101
    name = f"{table.name}: greatest difference, {rows.height:,} rows x {len(table.features)} features"
    return Measure(name, max(_difference(ours[it], theirs[it]) for it in table.feature_names), None, "1", TOLERANCE)


def _on_spark(
    session: "SparkSession", table: FeatureTable, rows: "pl.DataFrame", labels: "pl.DataFrame"
) -> "pl.DataFrame":
    import polars as pl

    from ml_platform.features.windows.on_spark.engine import window_features

    with tempfile.TemporaryDirectory(prefix="bench-engines-") as folder:
        for name, frame in (("rows", rows), ("labels", labels)):
            frame.write_parquet(f"{folder}/{name}.parquet")
        read, known = (session.read.parquet(f"{folder}/{name}.parquet") for name in ("rows", "labels"))
        window_features(table, read, known if table.labels else None).write.parquet(f"{folder}/features")
        return pl.read_parquet(f"{folder}/features/*.parquet")


def _difference(ours: "pl.Series", theirs: "pl.Series") -> float:
    import polars as pl

    difference = pl.select((ours - theirs).abs() / pl.max_horizontal(theirs.abs(), 1.0)).to_series()
    both_missing = ours.is_null() & theirs.is_null()
    return float(difference.set(both_missing, 0.0).fill_null(float("inf")).max())  # type: ignore[arg-type]


if __name__ == "__main__":
    sys.exit(main())
