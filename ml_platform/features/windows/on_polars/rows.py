"""Which rows a feature looks at, and what each adds, as expressions over the source's columns."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from ml_platform.features.windows.declaration import Compare, Condition, WindowFeature

if TYPE_CHECKING:
    import polars as pl

Measure = Literal["rows", "units", "squares"]
"""What adds up: 1 for each row, its column in whole units, or the square of that."""


def sees(feature: WindowFeature, conditions: Iterable[Condition]) -> "pl.Expr":
    """Return whether the feature looks at a row, by everything that the row itself says."""
    import polars as pl

    seen = pl.lit(value=True) if feature.column is None else pl.col(feature.column).is_not_null()
    for condition in conditions:
        if isinstance(condition, Compare):
            seen &= _compares(condition)
    return seen


def _compares(condition: Compare) -> "pl.Expr":
    import polars as pl

    column, literal = pl.col(condition.column), pl.lit(condition.value)
    holds: dict[str, pl.Expr] = {
        "==": column == literal,
        "!=": column != literal,
        "<": column < literal,
        "<=": column <= literal,
        ">": column > literal,
        ">=": column >= literal,
    }
    return holds[condition.operator].fill_null(value=False)


def measured(feature: WindowFeature, measure: Measure) -> "pl.Expr":
    """Return what a row adds, always an integer."""
    import polars as pl

    if measure == "rows":
        return pl.lit(1, pl.Int64)
    units = (pl.col(str(feature.column)) * float(10**feature.decimals)).round().cast(pl.Int64)
    # A square of millionths overflows 64 bits from an amount of 3,000 on.
    return units if measure == "units" else units.cast(pl.Int128) * units.cast(pl.Int128)


def running_sum(terms: "pl.Expr", measure: Measure) -> "pl.Expr":
    """Return the sums of the first 0, 1, 2, ... terms: one more than there are terms."""
    import polars as pl

    return pl.lit(0, pl.Int128 if measure == "squares" else pl.Int64).append(terms.cum_sum())
