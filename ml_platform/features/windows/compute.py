"""Compute the feature tables of some days from the ingested payments, and replace those days.

Only the days that windows reach back to are read, and of those only the entities that the computed days have: a new
day costs a day, however long the history is. A range computed at once equals the same days computed one by one: a
backfill is one call.
"""

from datetime import date, timedelta
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from ml_platform.aws.objects import ObjectStore
from ml_platform.aws.tables import DailyTable
from ml_platform.core.errors import FeatureError
from ml_platform.features.labels.known import read_labels
from ml_platform.features.windows.declaration import FeatureTable
from ml_platform.features.windows.payments import card_activity, terminal_risk
from ml_platform.features.windows.reach import first_day_read

if TYPE_CHECKING:
    import polars as pl

_DAYS_AT_ONCE = 200
"""A longer backfill is computed in stretches of this many days, so that memory is bounded."""


class TableReport(BaseModel):
    """What was written to one feature table, and what was read for it."""

    model_config = ConfigDict(frozen=True)

    table: str
    rows_by_day: dict[date, int]
    missing_days: tuple[date, ...] = ()
    """Days of the range whose payments were never ingested; their features were left alone."""

    days_read: int = Field(
        default=0, description="Days of the source that were read: the range and its windows' reach."
    )
    rows_read: int = Field(default=0, description="Rows of those days.")
    rows_computed: int = Field(default=0, description="Rows of those whose entity is in the range.")

    @property
    def rows(self) -> int:
        """Rows over all days."""
        return sum(self.rows_by_day.values())


class FeatureReport(BaseModel):
    """What was written to both feature tables."""

    model_config = ConfigDict(frozen=True)

    card_activity: TableReport
    terminal_risk: TableReport


def compute_features(store: ObjectStore, first: date, last: date) -> FeatureReport:
    """Replace both feature tables for the days from ``first`` to ``last``, both included.

    Raises:
        FeatureError: When no day of the range was ingested.
    """
    return FeatureReport(
        card_activity=compute_card_activity(store, first, last), terminal_risk=compute_terminal_risk(store, first, last)
    )


def compute_card_activity(store: ObjectStore, first: date, last: date) -> TableReport:
    """Replace ``payments/card_activity`` for the days from ``first`` to ``last``; raises like ``compute_features``."""
    return compute_table(store, card_activity, first, last)


def compute_terminal_risk(store: ObjectStore, first: date, last: date) -> TableReport:
    """Replace ``payments/terminal_risk`` for the days from ``first`` to ``last``; raises like ``compute_features``."""
    return compute_table(store, terminal_risk, first, last)


def compute_table(store: ObjectStore, table: FeatureTable, first: date, last: date) -> TableReport:
    """Replace a declared table for the days from ``first`` to ``last``; raises like ``compute_features``."""
    ingested = DailyTable(store, table.source).days()
    if not any(first <= day <= last for day in ingested):
        raise FeatureError(
            f"{table.source} has no day between {first} and {last}, so there is nothing to compute features from. "
            "Ingest these days first."
        )
    stretches = [
        _compute_stretch(store, table, start, min(start + timedelta(days=_DAYS_AT_ONCE - 1), last), ingested)
        for start in _days(first, last)[::_DAYS_AT_ONCE]
    ]
    return TableReport(
        table=table.name,
        rows_by_day={day: rows for stretch in stretches for day, rows in stretch.rows_by_day.items()},
        missing_days=tuple(day for day in _days(first, last) if day not in set(ingested)),
        days_read=sum(stretch.days_read for stretch in stretches),
        rows_read=sum(stretch.rows_read for stretch in stretches),
        rows_computed=sum(stretch.rows_computed for stretch in stretches),
    )


def _compute_stretch(
    store: ObjectStore, table: FeatureTable, first: date, last: date, ingested: list[date]
) -> TableReport:
    import polars as pl

    from ml_platform.features.windows.on_polars.engine import window_features

    wanted = [day for day in ingested if first <= day <= last]
    if not wanted:
        return TableReport(table=table.name, rows_by_day={})
    earliest = first_day_read(table, first)
    read = DailyTable(store, table.source).read(earliest, last, table.columns_read)
    within = pl.col(table.event_time).dt.date().is_between(first, last)
    entities = read.filter(within).select(table.key).unique()
    rows = read.join(entities, on=table.key, how="semi", nulls_equal=True)
    labels = None if table.labels is None else read_labels(store, earliest, last)
    features = window_features(table, rows, labels).filter(pl.col("event_time").dt.date().is_between(first, last))
    return TableReport(
        table=table.name,
        rows_by_day=_replace_days(store, table, features, wanted),
        days_read=sum(earliest <= day <= last for day in ingested),
        rows_read=read.height,
        rows_computed=rows.height,
    )


def _replace_days(
    store: ObjectStore, table: FeatureTable, features: "pl.DataFrame", days: list[date]
) -> dict[date, int]:
    """Write one partition per ingested day, also where a day has no rows, so that a replaced day cannot linger."""
    import polars as pl

    # A fixed order, so that the same inputs give the same bytes.
    ordered = features.sort("event_time", table.row_id).with_columns(_day=pl.col("event_time").dt.date())
    found = {key[0]: rows for key, rows in ordered.partition_by("_day", as_dict=True, include_key=False).items()}
    nothing = features.clear()
    DailyTable(store, table.name).write_days((day, found.get(day, nothing)) for day in days)
    return {day: found[day].height if day in found else 0 for day in days}


def _days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=offset) for offset in range((last - first).days + 1)]
