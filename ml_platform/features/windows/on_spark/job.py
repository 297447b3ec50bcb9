"""Compute one declared table for some days with Spark: the script of an EMR Serverless or Glue job.

    spark-submit job.py --table payments/card_activity --location s3://bucket --first 2026-01-01 --last 2026-03-31

It reads and replaces the same daily partitions as ``windows.compute``. Labels of several sources are settled by the
same settings: name ``ML_PLATFORM_LABEL_RULE`` and ``ML_PLATFORM_LABEL_PRIORITY`` in the job's environment where they
are not the defaults. Run on this machine by the tests, against a directory; on EMR Serverless and Glue it was planned,
never run.
"""

import argparse
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from ml_platform.core import names
from ml_platform.core.settings import Settings
from ml_platform.features.labels.conflicts import LabelPolicy
from ml_platform.features.windows.declaration import FeatureTable
from ml_platform.features.windows.on_spark.conflicts import settle
from ml_platform.features.windows.on_spark.engine import window_features
from ml_platform.features.windows.payments import FEATURE_TABLES
from ml_platform.features.windows.reach import first_day_read

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def main(arguments: Sequence[str] | None = None) -> None:
    """Compute what the arguments name, in the session that the service brings."""
    from pyspark.sql import SparkSession

    tables = {table.name: table for table in FEATURE_TABLES}
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--table", choices=tables, required=True)
    parser.add_argument("--location", required=True, help="s3://bucket or a directory that holds tables/")
    parser.add_argument("--first", type=date.fromisoformat, required=True)
    parser.add_argument("--last", type=date.fromisoformat, required=True)
    asked = parser.parse_args(arguments)
    session = SparkSession.builder.getOrCreate()
    policy = LabelPolicy.from_settings(Settings.load())
    compute_partitions(session, tables[asked.table], asked.location, asked.first, asked.last, policy)


def compute_partitions(
    session: "SparkSession", table: FeatureTable, location: str, first: date, last: date, policy: LabelPolicy
) -> None:
    """Replace a table's partitions from ``first`` to ``last``; a day without rows loses its partition."""
    from pyspark.sql import functions as F  # noqa: N812

    session.conf.set("spark.sql.session.timeZone", "UTC")
    session.conf.set("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS")
    root, earliest = location.rstrip("/"), first_day_read(table, first)
    rows = _read(session, root, table.source, earliest, last)
    labels = None if table.labels is None else settle(_read(session, root, table.labels, earliest, last), policy)
    day = F.to_date("event_time")
    computed = window_features(table, rows, labels).where(day.between(F.lit(first), F.lit(last)))
    # One file a day, in a fixed order of rows.
    by_day = (
        computed.withColumn("date", day).repartition("date").sortWithinPartitions("date", "event_time", table.row_id)
    )
    staging = f"{root}/tables/_staging/{table.name}"
    by_day.write.partitionBy("date").parquet(staging, mode="overwrite")
    _publish(session, staging, f"{root}/{names.table_prefix(table.name)}", first, last)


def _read(session: "SparkSession", root: str, table: str, first: date, last: date) -> "DataFrame":
    from pyspark.sql import functions as F  # noqa: N812

    # Of days that differ in their columns Spark would take one's: labels could lose who said them.
    frame = session.read.option("mergeSchema", value=True).parquet(f"{root}/{names.table_prefix(table)}")
    return frame.where(F.col("date").between(F.lit(first), F.lit(last))).drop("date")


def _publish(session: "SparkSession", staging: str, target: str, first: date, last: date) -> None:
    """Move each staged day to the one object that a partition is; Spark itself names files by task."""
    java: Any = session._jvm  # noqa: SLF001  # PySpark has no public way to Hadoop's file systems
    path = java.org.apache.hadoop.fs.Path
    files = path(staging).getFileSystem(session._jsc.hadoopConfiguration())  # noqa: SLF001
    target_path = path(target)
    for status in files.listStatus(target_path) if files.exists(target_path) else ():
        if first.isoformat() <= status.getPath().getName().removeprefix("date=") <= last.isoformat():
            files.delete(status.getPath(), True)  # noqa: FBT003
    for day in files.globStatus(path(f"{staging}/date=*")):
        folder = path(f"{target}/{day.getPath().getName()}")
        files.mkdirs(folder)
        for part in files.globStatus(path(f"{day.getPath()}/part-*.parquet")):
            files.rename(part.getPath(), path(folder, "part-0.parquet"))
    files.delete(path(staging), True)  # noqa: FBT003


if __name__ == "__main__":
    main()
