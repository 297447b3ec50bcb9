"""Rows of all entities on one line of integers, so that windows need no grouping.

A row's place is its entity's stretch plus its microsecond there. Stretches are longer than the whole time by the
farthest window, so a window that begins before its entity's first row still ends before the previous entity's last.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from ml_platform.features.windows.declaration import FeatureTable

if TYPE_CHECKING:
    import polars as pl

ENTITY, PLACE, ROW = "_entity", "_place", "_row"
MICROSECOND = timedelta(microseconds=1)

_LONGEST_LINE = 2**62


@dataclass(frozen=True, slots=True)
class Line:
    """How places follow from entity and time."""

    start: int
    """Microsecond since 1970 at which each stretch begins: that of the earliest row."""

    last: int
    """How many microseconds later the latest row is."""

    stretch: int
    """Length of a stretch."""


def rows_on_lines(table: FeatureTable, rows: "pl.DataFrame", max_rows: int) -> "Iterator[tuple[pl.DataFrame, Line]]":
    """Yield all rows in groups of whole entities, each group sorted along a line of its own.

    The columns are those that features look at, and ``ENTITY``, ``PLACE`` and ``ROW``, the row's position.
    """
    import polars as pl

    moments = rows.select(instants(table.event_time)).to_series()
    entities = _numbers(rows[table.key])
    start, end, highest = (int(value) for value in (moments.min(), moments.max(), entities.max()))  # type: ignore[arg-type]
    line = Line(start=start, last=end - start, stretch=end - start + table.reach // MICROSECOND + 2)
    groups = max(-(-rows.height // max_rows), -(-(highest + 1) * line.stretch // _LONGEST_LINE))
    # The id decides only between rows of one instant, and only for what is newest among them.
    ties = [table.row_id] if any(feature.aggregate == "last" for feature in table.features) else []
    looked_at = rows.select(list(dict.fromkeys((*table.columns_looked_at, *ties)))).get_columns()
    numbered = pl.DataFrame([entities.alias(ENTITY), moments.alias(PLACE), *looked_at]).with_row_index(ROW)
    place = pl.col(ENTITY) // groups * line.stretch + pl.col(PLACE) - start
    for group in range(groups):
        chosen = numbered if groups == 1 else numbered.filter(pl.col(ENTITY) % groups == group)
        if not chosen.is_empty():
            yield chosen.with_columns(place.alias(PLACE)).sort(PLACE, *ties), line


def instants(column: str) -> "pl.Expr":
    """Return a column of times as microseconds since 1970."""
    import polars as pl

    return pl.col(column).dt.convert_time_zone("UTC").dt.cast_time_unit("us").to_physical()


def _numbers(keys: "pl.Series") -> "pl.Series":
    """Return each row's entity as a number from 0 on; rows without a key are one entity, as in SQL's partitions."""
    import polars as pl

    # Categories of our own: numbers in Polars' shared ones grow with everything that this process ever saw.
    numbers = keys.cast(pl.String).cast(pl.Categorical(pl.Categories.random())).to_physical().cast(pl.Int64)
    highest = numbers.max()
    return numbers.fill_null(highest + 1 if isinstance(highest, int) else 0)
