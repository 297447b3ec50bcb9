"""Totals over rows that were known to be frauds, with Spark; the twin of ``on_polars.known_frauds``.

Such a row counts from ``max(event + delay, known)`` until ``min(event + delay + window, corrected)``: two changes of a
running sum, put among the rows by their instants.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from ml_platform.features.windows.declaration import Compare, FeatureTable, WindowFeature
from ml_platform.features.windows.on_spark.rows import Measure, measured, sees

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

TIME = "_time"
"""Microsecond since 1970."""

MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Total:
    """A measure over the known frauds in a feature's window, and the column it goes to."""

    feature: WindowFeature
    conditions: tuple[Compare, ...]
    measure: Measure
    column: str


def with_known_totals(
    table: FeatureTable, rows: "DataFrame", labels: "DataFrame", totals: Sequence[Total]
) -> "DataFrame":
    """Return the rows with each total as known at their instants."""
    from functools import reduce

    from pyspark.sql import DataFrame, Window
    from pyspark.sql import functions as F  # noqa: N812

    if not totals:
        return rows
    frauds = rows.join(_known_intervals(labels).withColumnRenamed("transaction_id", table.row_id), table.row_id)
    changes = [_changes(table, frauds, total) for total in totals]
    among = reduce(
        lambda left, right: DataFrame.unionByName(left, right, allowMissingColumns=True),
        [rows.withColumn("_is_row", F.lit(True)), *changes],  # noqa: FBT003
    )
    until_now = Window.partitionBy(table.key).orderBy(TIME).rangeBetween(Window.unboundedPreceding, 0)
    summed = among.withColumns({total.column: F.sum(total.column).over(until_now) for total in totals})
    return summed.where("_is_row").drop("_is_row")


def _changes(table: FeatureTable, frauds: "DataFrame", total: Total) -> "DataFrame":
    from pyspark.sql import functions as F  # noqa: N812

    feature = total.feature
    delay, window = feature.delay // MICROSECOND, feature.window // MICROSECOND
    late = 0 if feature.bounds == "up_to_now" else 1
    begins = F.greatest(F.col(TIME) + delay + late, F.col("_from"))
    ends = F.least(F.col(TIME) + delay + window + late, F.col("_until"))  # of those that are not null
    counted = frauds.where(sees(feature, total.conditions)).select(
        table.key, begins.alias("_begins"), ends.alias("_ends"), measured(feature, total.measure).alias("_adds")
    )
    counted = counted.where("_begins < _ends")
    adds = F.col("_adds")

    def edge(at: str, change: "Column") -> "DataFrame":
        return counted.select(table.key, F.col(at).alias(TIME), change.alias(total.column))

    return edge("_begins", adds).unionByName(edge("_ends", -adds))


def _known_intervals(labels: "DataFrame") -> "DataFrame":
    """Return when each transaction was known to be a fraud, as ``labels.known.known_fraud_intervals`` does."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F  # noqa: N812

    until = F.lead("known_time").over(Window.partitionBy("transaction_id").orderBy("known_time", "label"))
    return (
        labels.select("transaction_id", "label", "known_time", until.alias("_next"))
        .where("label = 1")
        .select(
            "transaction_id",
            F.unix_micros("known_time").alias("_from"),
            F.unix_micros("_next").alias("_until"),
        )
    )
