"""Compute a declared table with Spark: frame in, frame out.

The same declarations, another way: a window is a range of microseconds over an entity's rows, as SQL has them. What
was known of labels is a running sum over the instants at which it changed. Values equal ``on_polars`` to 1e-9: totals
are sums of whole units here too.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ml_platform.core.errors import FeatureError
from ml_platform.features.windows.declaration import (
    Compare,
    Condition,
    FeatureTable,
    KnownFraud,
    WindowFeature,
)
from ml_platform.features.windows.on_spark.known_frauds import MICROSECOND, TIME, Total, with_known_totals
from ml_platform.features.windows.on_spark.rows import Measure, measured, sees

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


def window_features(table: FeatureTable, rows: "DataFrame", labels: "DataFrame | None" = None) -> "DataFrame":
    """Return the declared features of each row; the arguments are those of ``on_polars.engine``. Rows have no order.

    Raises:
        FeatureError: When labels are needed and missing.
    """
    from pyspark.sql import functions as F  # noqa: N812  # everybody's name for it

    if table.labels is not None and labels is None:
        raise FeatureError(
            f"{table.name} looks at {table.labels}, and no labels were given. Pass them; they may be few."
        )
    timed = rows.select(*table.columns_read, F.unix_micros(table.event_time).alias(TIME))
    compiler = _Compiler(table)
    values = [compiler.compile(feature).alias(feature.name) for feature in table.features]
    if labels is not None:
        timed = with_known_totals(table, timed, labels, compiler.known_totals)
    created = F.date_trunc("day", table.event_time) + F.expr("interval 1 day")
    computed = timed.select("*", *values)
    return computed.select(
        table.row_id,
        table.key,
        F.col(table.event_time).alias("event_time"),
        created.alias("created_time"),
        *(F.col(feature.name).cast("long" if feature.is_integer else "double") for feature in table.features),
    )


class _Compiler:
    """Compiles one feature after the other, and notes the totals over known frauds that they need."""

    def __init__(self, table: FeatureTable) -> None:
        self._table = table
        self.known_totals: list[Total] = []

    def compile(self, feature: WindowFeature) -> "Column":
        """Return the feature's expression."""
        from pyspark.sql import functions as F  # noqa: N812

        match feature.aggregate:
            case "count":
                return self._total(feature, feature.where, "rows")
            case "min" | "max":
                extreme = F.min if feature.aggregate == "min" else F.max
                seen = sees(feature, feature.where)
                return self._over(feature, extreme(F.when(seen, F.col(str(feature.column)).cast("double"))))
            case "distinct":
                values = F.collect_set(F.when(sees(feature, feature.where), F.col(str(feature.column))))
                return F.size(self._over(feature, values))
            case "last" | "since_previous":
                return self._newest(feature)
            case "rate":
                return self._rate(feature)
            case _:
                return self._moment(feature)

    def _newest(self, feature: WindowFeature) -> "Column":
        from pyspark.sql import functions as F  # noqa: N812

        seen = sees(feature, feature.where)
        if feature.column is None:
            return (F.col(TIME) - self._over(feature, F.max(F.when(seen, F.col(TIME))))) / 1_000_000
        value = F.col(feature.column).cast("double").alias("value")
        newest = F.max(F.when(seen, F.struct(TIME, F.col(self._table.row_id).alias("id"), value)))
        return self._over(feature, newest)["value"]

    def _rate(self, feature: WindowFeature) -> "Column":
        from pyspark.sql import functions as F  # noqa: N812

        conditions = (*feature.where, feature.share_of) if feature.share_of else feature.where
        count, share = (self._total(feature, these, "rows") for these in (feature.where, conditions))
        return F.when(count > 0, share / count).otherwise(0.0)

    def _moment(self, feature: WindowFeature) -> "Column":
        from pyspark.sql import functions as F  # noqa: N812

        unit = float(10**feature.decimals)
        count, total = (self._total(feature, feature.where, measure) for measure in ("rows", "units"))
        if feature.aggregate == "sum":
            return total / unit
        if feature.aggregate == "mean":
            return F.when(count > 0, total / (count * unit))
        wide = total.cast("decimal(19,0)")
        spread = count.cast("decimal(10,0)") * self._total(feature, feature.where, "squares") - wide * wide
        variance = F.when(count > 1, spread.cast("double") / (count * (count - 1)).cast("double"))
        return F.sqrt(variance) / unit

    def _total(self, feature: WindowFeature, conditions: Sequence[Condition], measure: Measure) -> "Column":
        from pyspark.sql import functions as F  # noqa: N812

        if any(isinstance(condition, KnownFraud) for condition in conditions):
            compared = tuple(condition for condition in conditions if isinstance(condition, Compare))
            total = Total(feature, compared, measure, f"_known_{len(self.known_totals)}")
            self.known_totals.append(total)
            return F.coalesce(F.col(total.column), F.lit(0))
        adds = F.when(sees(feature, conditions), measured(feature, measure)).otherwise(0)
        return F.coalesce(self._over(feature, F.sum(adds)), F.lit(0))

    def _over(self, feature: WindowFeature, aggregate: "Column") -> "Column":
        from pyspark.sql import Window

        # Ranges are closed at both ends, and a microsecond is the smallest step of time there is.
        shift = 1 if feature.bounds == "up_to_now" else 0
        first, last = -(feature.reach // MICROSECOND) + shift, -(feature.delay // MICROSECOND) - 1 + shift
        return aggregate.over(Window.partitionBy(self._table.key).orderBy(TIME).rangeBetween(first, last))
