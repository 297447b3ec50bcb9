"""A declared table compiled to expressions over rows that are sorted along one line.

How many rows lie before a window begins, or ends, is a binary search; the windows of all features share these, and
the running sums. Nothing here looks at a row twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from ml_platform.features.windows.declaration import Condition, FeatureTable, KnownFraud, WindowFeature
from ml_platform.features.windows.on_polars.known_frauds import KnownFrauds
from ml_platform.features.windows.on_polars.line import ENTITY, MICROSECOND, PLACE
from ml_platform.features.windows.on_polars.rows import Measure, measured, running_sum, sees

if TYPE_CHECKING:
    import polars as pl
    from polars._typing import SearchSortedSide


@dataclass(frozen=True, slots=True)
class Plan:
    """Columns to add: first the bounds, then running sums there, then the features."""

    bounds: "dict[str, pl.Expr]" = field(default_factory=dict)
    running: "dict[str, pl.Expr]" = field(default_factory=dict)
    features: "dict[str, pl.Expr]" = field(default_factory=dict)


def compile_table(table: FeatureTable, frauds: KnownFrauds | None) -> Plan:
    """Return the plan for rows among which these were known frauds."""
    compiler = _Compiler(frauds)
    for feature in table.features:
        compiler.plan.features[feature.name] = compiler.compile(feature)
    return compiler.plan


class _Compiler:
    """Compiles one feature after the other, and shares what they share."""

    def __init__(self, frauds: KnownFrauds | None) -> None:
        self.plan = Plan()
        self._frauds = frauds

    def compile(self, feature: WindowFeature) -> "pl.Expr":
        """Return the feature's expression; the columns it needs are in the plan."""
        match feature.aggregate:
            case "min" | "max":
                return _extreme(feature)
            case "distinct":
                return self._distinct(feature)
            case "last" | "since_previous":
                return self._newest(feature)
            case "rate":
                return self._rate(feature)
            case "count":
                return self._total(feature, feature.where, "rows")
            case _:
                return self._moment(feature)

    def _rate(self, feature: WindowFeature) -> "pl.Expr":
        import polars as pl

        seen = self._total(feature, feature.where, "rows")
        conditions = (*feature.where, feature.share_of) if feature.share_of else feature.where
        return pl.when(seen > 0).then(self._total(feature, conditions, "rows") / seen).otherwise(0.0)

    def _moment(self, feature: WindowFeature) -> "pl.Expr":
        import polars as pl

        unit = _column_of(10**feature.decimals)
        total = self._total(feature, feature.where, "units")
        if feature.aggregate == "sum":
            return total / unit
        seen = self._total(feature, feature.where, "rows")
        if feature.aggregate == "mean":
            return pl.when(seen > 0).then(total / (seen * unit))
        # Integers until the last step, so nothing cancels.
        count, total = seen.cast(pl.Int128), total.cast(pl.Int128)
        spread = count * self._total(feature, feature.where, "squares") - total * total
        variance = spread.cast(pl.Float64) / (count * (count - 1)).cast(pl.Float64)
        return pl.when(seen > 1).then(variance.sqrt() / unit)

    def _total(self, feature: WindowFeature, conditions: Sequence[Condition], measure: Measure) -> "pl.Expr":
        """Return a measure's total over the window."""
        import polars as pl

        seen = sees(feature, conditions)
        if self._frauds and any(isinstance(condition, KnownFraud) for condition in conditions):
            return self._frauds.total(feature, seen, measure)
        first, end = self._bounds(feature)
        if measure == "rows" and not conditions and feature.column is None:
            return pl.col(end).cast(pl.Int64) - pl.col(first).cast(pl.Int64)
        adds = pl.when(seen).then(measured(feature, measure)).otherwise(0)
        return self._running(adds, measure, end) - self._running(adds, measure, first)

    def _bounds(self, feature: WindowFeature) -> tuple[str, str]:
        """Return the columns that say how many rows lie before the window begins, and before it ends."""
        return self._rows_before(feature, feature.reach), self._rows_before(feature, feature.delay)

    def _rows_before(self, feature: WindowFeature, offset: timedelta) -> str:
        import polars as pl

        microseconds, side = offset // MICROSECOND, _side(feature)
        name = f"_rows_before_{microseconds}_{side}"
        self.plan.bounds[name] = pl.col(PLACE).search_sorted(pl.col(PLACE) - microseconds, side=side)
        return name

    def _running(self, adds: "pl.Expr", measure: Measure, bound: str) -> "pl.Expr":
        import polars as pl

        name = f"{adds}{bound}"
        self.plan.running[name] = running_sum(adds, measure).gather(pl.col(bound))
        return pl.col(name)

    def _newest(self, feature: WindowFeature) -> "pl.Expr":
        import polars as pl

        first, end = self._bounds(feature)
        number = pl.when(sees(feature, feature.where)).then(pl.int_range(1, pl.len() + 1)).otherwise(0)
        newest = pl.lit(0, pl.Int64).append(number.cum_max()).gather(pl.col(end))
        position = (newest - 1).clip(0)
        if feature.column is None:
            value = (pl.col(PLACE) - pl.col(PLACE).gather(position)) / _column_of(1_000_000)
        else:
            value = pl.col(feature.column).cast(pl.Float64).gather(position)
        return pl.when(newest > pl.col(first)).then(value)

    def _distinct(self, feature: WindowFeature) -> "pl.Expr":
        """Count values: one is there from a row of its on, until that is too old or the value's next row takes over."""
        import polars as pl

        seen, place = sees(feature, feature.where), pl.col(PLACE)
        mine = pl.when(seen).then(pl.col(str(feature.column)))
        taken_over = place.shift(-1).over(ENTITY, mine)
        leaves = pl.min_horizontal(place + feature.window // MICROSECOND, taken_over).filter(seen).sort()
        left = leaves.search_sorted(place - feature.delay // MICROSECOND, side=_side(feature))
        adds = pl.when(seen).then(pl.lit(1, pl.Int64)).otherwise(0)
        return self._running(adds, "rows", self._bounds(feature)[1]) - left.cast(pl.Int64)


def _column_of(constant: int) -> "pl.Expr":
    """Return a column to divide by.

    A division by a constant Polars turns, or does not, into a multiplication by its inverse: last bits then depend on
    how the rows were grouped.
    """
    import polars as pl

    return pl.col(PLACE) * 0 + constant


def _side(feature: WindowFeature) -> "SearchSortedSide":
    """Whether rows exactly at a bound lie before it."""
    return "right" if feature.bounds == "up_to_now" else "left"


def _extreme(feature: WindowFeature) -> "pl.Expr":
    import polars as pl

    masked = pl.when(sees(feature, feature.where)).then(pl.col(str(feature.column)).cast(pl.Float64))
    extreme = masked.min() if feature.aggregate == "min" else masked.max()
    return extreme.rolling(
        index_column=PLACE,
        period=f"{feature.window // MICROSECOND}i",
        offset=f"-{feature.reach // MICROSECOND}i",
        closed="right" if feature.bounds == "up_to_now" else "left",
    )
