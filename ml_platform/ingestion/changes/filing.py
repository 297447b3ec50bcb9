"""Under which day a change is filed, and which of several changes to a row is the newest. Pure.

A payment is filed under the day on which it happened, a label under the day on which it became known. A change whose
time cannot be read, or lies in the future by more than clocks are allowed to differ, is filed under the day on which
it arrived: quality rules find it there.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

from ml_platform.ingestion.changes.change import Change, change_frame
from ml_platform.ingestion.changes.rows import with_columns_of_row
from ml_platform.ingestion.declaration import TRANSACTIONS
from ml_platform.ingestion.schema import parse_times

if TYPE_CHECKING:
    import polars as pl

_SAID_BY = "_said_by"
_FILED = ("operation", "position", "key", "arrived_at", "row", "payload")
_LABEL = (*_FILED, "label", "event_time", "known_time")


def file_transactions(changes: Sequence[Change]) -> "dict[date, pl.DataFrame]":
    """Return the changes to payments by day; a row that moved to another day is deleted where it was."""
    import polars as pl

    rows = change_frame([change for change in changes if change.operation != "label"])
    rows = rows.with_columns(
        _day(rows, "event_time").alias("day"), _day(rows, "old_event_time", or_arrival=False).alias("old_day")
    )
    deleted = pl.col("operation") == "delete"
    moved = rows.filter(~deleted & pl.col("old_day").is_not_null() & (pl.col("old_day") != pl.col("day")))
    filed = pl.concat(
        [
            rows.with_columns(pl.when(deleted).then(pl.coalesce("old_day", "day")).otherwise("day").alias("day")),
            moved.with_columns(pl.lit("delete").alias("operation"), pl.col("old_day").alias("day")),
        ]
    )
    return _by_day(filed, _FILED)


def file_labels(changes: Sequence[Change]) -> "dict[date, pl.DataFrame]":
    """Return what changes say about payments, by the day on which it became known."""
    labelled = ("upsert", "label")
    rows = change_frame([change for change in changes if change.operation in labelled and change.label is not None])
    return _by_day(rows.with_columns(_day(rows, "known_time").alias("day")), _LABEL)


def newest(rows: "pl.DataFrame", mapping: Mapping[str, str]) -> "pl.DataFrame":
    """Return the newest change to each row of one day; a label's row is a payment at the instant it became known.

    What several sources say of a payment in messages of their own are rows of their own. A table has one row for a
    payment: there a label is replaced by who speaks next in that instant. Deletions stay: an older change to the same
    row may still come.
    """
    import polars as pl

    identity = ["key", "known_time", _SAID_BY] if "known_time" in rows.columns else ["key"]
    ordered = rows.sort("position", maintain_order=True)
    if "known_time" in rows.columns:
        said_by = pl.when(pl.col("operation") == "label").then("source").alias(_SAID_BY)
        ordered = with_columns_of_row(ordered, ("source",), mapping).with_columns(said_by).drop("source")
    # What has no key, or could not be read, is nobody's successor; it may only have come twice.
    loose = (pl.col("operation") == "unreadable") | pl.col("key").is_null()
    keyed = ordered.filter(~loose).unique(identity, keep="last", maintain_order=True)
    parts = [keyed, ordered.filter(loose).unique("position", keep="last", maintain_order=True)]
    return pl.concat(parts).drop(_SAID_BY, strict=False)


def _day(rows: "pl.DataFrame", column: str, *, or_arrival: bool = True) -> "pl.Series":
    import polars as pl

    moments = pl.DataFrame({"at": parse_times(rows[column]), "arrived_at": rows["arrived_at"]})
    if not or_arrival:
        return moments["at"].dt.date()
    credible = pl.col("at") <= pl.col("arrived_at") + TRANSACTIONS.clock_tolerance
    at = pl.when(credible.fill_null(value=False)).then("at").otherwise("arrived_at")
    return moments.select(at.dt.date()).to_series()


def _by_day(rows: "pl.DataFrame", columns: Sequence[str]) -> "dict[date, pl.DataFrame]":
    parts = rows.partition_by("day", as_dict=True)
    return {day: part.select(columns) for (day,), part in parts.items()}
