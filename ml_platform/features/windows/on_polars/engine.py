"""Compute a declared table with Polars: frame in, frame out, nothing else.

All rows are put on one line (``on_polars.line``): sorted along it, every window of every entity is a slice, found by
two binary searches, and whatever adds up is the difference of two running sums. These are sums of integers, so a value
does not depend on where the computation began, and a window of 30 days costs no more than one of a day.
"""

from datetime import timedelta
from typing import TYPE_CHECKING

from ml_platform.core.errors import FeatureError
from ml_platform.features.windows.declaration import FeatureTable
from ml_platform.features.windows.on_polars.known_frauds import KnownFrauds, known_frauds
from ml_platform.features.windows.on_polars.line import ROW, Line, rows_on_lines
from ml_platform.features.windows.on_polars.plan import compile_table

if TYPE_CHECKING:
    import polars as pl

_MAX_ROWS_AT_ONCE = 5_000_000


def window_features(
    table: FeatureTable,
    rows: "pl.DataFrame",
    labels: "pl.DataFrame | None" = None,
    *,
    max_rows_at_once: int = _MAX_ROWS_AT_ONCE,
) -> "pl.DataFrame":
    """Return the declared features of each row, in the rows' order.

    Args:
        table: What to compute.
        rows: The source's rows; those that windows reach back to must be among them. Any order, any time zone.
        labels: What was learnt about them, corrections included, in any order; when the table names labels.
        max_rows_at_once: Entities are computed in groups of about this many rows, so that memory is bounded.

    Raises:
        FeatureError: When a row has no instant, or labels are needed and missing.
    """
    import polars as pl

    _require_instants(table, rows)
    if table.labels is not None and labels is None:
        raise FeatureError(
            f"{table.name} looks at {table.labels}, and no labels were given. Pass them; they may be few."
        )
    if rows.is_empty():
        return _feature_rows(table, rows, pl.DataFrame(schema=dict.fromkeys(table.feature_names, pl.Null)))
    frauds = None if labels is None else known_frauds(table, rows, labels)
    parts = [_compute(table, group, line, frauds) for group, line in rows_on_lines(table, rows, max_rows_at_once)]
    return _feature_rows(table, rows, pl.concat(parts).sort(ROW).drop(ROW))


def _require_instants(table: FeatureTable, rows: "pl.DataFrame") -> None:
    import polars as pl

    kind = rows.schema[table.event_time]
    if not isinstance(kind, pl.Datetime) or kind.time_zone is None:
        raise FeatureError(
            f"{table.event_time} of {table.source} is {kind}, which names no instants. Give it a time zone, e.g. UTC."
        )
    missing = rows[table.event_time].null_count()
    if missing:
        raise FeatureError(f"{missing} rows of {table.source} have no {table.event_time}. Quarantine them first.")


def _compute(table: FeatureTable, group: "pl.DataFrame", line: Line, frauds: "pl.DataFrame | None") -> "pl.DataFrame":
    plan = compile_table(table, None if frauds is None else KnownFrauds.placed(frauds, group, line))
    computed = group.lazy().with_columns(**plan.bounds).with_columns(**plan.running).select(ROW, **plan.features)
    return computed.collect()


def _feature_rows(table: FeatureTable, rows: "pl.DataFrame", values: "pl.DataFrame") -> "pl.DataFrame":
    import polars as pl

    event = pl.col(table.event_time).dt.convert_time_zone("UTC").dt.cast_time_unit("us")
    # The midnight after the event is the earliest a daily computation can have known the row. Not the wall clock:
    # computing a day again must reproduce it.
    created = event.dt.truncate("1d") + timedelta(days=1)
    types = [pl.Int64 if feature.is_integer else pl.Float64 for feature in table.features]
    keys = rows.select(table.row_id, table.key, event_time=event, created_time=created)
    columns = zip(values.get_columns(), types, strict=True)
    return keys.with_columns(column.cast(kind) for column, kind in columns)
