"""Which rows a feature looks at, and what each adds, as Spark columns; the twin of ``on_polars.rows``."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from ml_platform.features.windows.declaration import Compare, Condition, WindowFeature

if TYPE_CHECKING:
    from pyspark.sql import Column

Measure = Literal["rows", "units", "squares"]
"""What adds up: 1 for each row, its column in whole units, or the square of that."""


def sees(feature: WindowFeature, conditions: Iterable[Condition]) -> "Column":
    """Return whether the feature looks at a row, by everything that the row itself says."""
    from pyspark.sql import functions as F  # noqa: N812

    seen = F.lit(True) if feature.column is None else F.col(feature.column).isNotNull()  # noqa: FBT003
    for condition in conditions:
        if isinstance(condition, Compare):
            seen &= _compares(condition)
    return seen


def _compares(condition: Compare) -> "Column":
    from pyspark.sql import functions as F  # noqa: N812

    column, literal = F.col(condition.column), F.lit(condition.value)
    holds = {
        "==": column == literal,
        "!=": column != literal,
        "<": column < literal,
        "<=": column <= literal,
        ">": column > literal,
        ">=": column >= literal,
    }[condition.operator]
    return F.coalesce(holds, F.lit(False))  # noqa: FBT003


def measured(feature: WindowFeature, measure: Measure) -> "Column":
    """Return what a row adds, always an integer."""
    from pyspark.sql import functions as F  # noqa: N812

    if measure == "rows":
        return F.lit(1).cast("long")
    # rint, not round: halves go to the even number, as in Polars.
    units = F.rint(F.col(str(feature.column)) * float(10**feature.decimals)).cast("long")
    return units if measure == "units" else (units.cast("decimal(19,0)") * units).cast("decimal(28,0)")
