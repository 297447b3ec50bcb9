"""Compute the feature tables of some days from the ingested payments, and replace those days.

A range computed at once equals the same days computed one by one: a backfill is one call. The windows themselves are
``features.windows.handbook``.
"""

from datetime import date, timedelta
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from ml_platform.aws.objects import ObjectStore
from ml_platform.aws.tables import DailyTable
from ml_platform.core.errors import FeatureError
from ml_platform.features.labels.known import read_labels
from ml_platform.features.tables import CARD_ACTIVITY, RISK_DELAY_DAYS, TERMINAL_RISK, TRANSACTIONS, WINDOW_DAYS
from ml_platform.features.windows import handbook as windows

if TYPE_CHECKING:
    import polars as pl

_LONGEST_WINDOW = timedelta(days=max(WINDOW_DAYS))
_RISK_DELAY = timedelta(days=RISK_DELAY_DAYS)


class TableReport(BaseModel):
    """What was written to one feature table."""

    model_config = ConfigDict(frozen=True)

    table: str
    rows_by_day: dict[date, int]
    missing_days: tuple[date, ...] = ()
    """Days of the range whose payments were never ingested; their features were left alone."""

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
    days = _ingested_days(store, first, last)
    transactions = DailyTable(store, TRANSACTIONS).read(first - _LONGEST_WINDOW, last)
    return _replace_days(store, CARD_ACTIVITY, windows.card_activity(transactions), days, (first, last))


def compute_terminal_risk(store: ObjectStore, first: date, last: date) -> TableReport:
    """Replace ``payments/terminal_risk`` for the days from ``first`` to ``last``; raises like ``compute_features``."""
    days = _ingested_days(store, first, last)
    earliest = first - _RISK_DELAY - _LONGEST_WINDOW
    transactions = DailyTable(store, TRANSACTIONS).read(earliest, last)
    risk = windows.terminal_risk(transactions, read_labels(store, earliest, last))
    return _replace_days(store, TERMINAL_RISK, risk, days, (first, last))


def _ingested_days(store: ObjectStore, first: date, last: date) -> list[date]:
    days = [day for day in DailyTable(store, TRANSACTIONS).days() if first <= day <= last]
    if not days:
        raise FeatureError(
            f"{TRANSACTIONS} has no day between {first} and {last}, so there is nothing to compute features from. "
            "Ingest these days first."
        )
    return days


def _replace_days(
    store: ObjectStore, table: str, frame: "pl.DataFrame", days: list[date], span: tuple[date, date]
) -> TableReport:
    """Write one partition per ingested day, also where a day has no rows, so that a replaced day cannot linger."""
    import polars as pl

    first, last = span
    wanted = frame.with_columns(_day=pl.col("event_time").dt.date()).filter(pl.col("_day").is_between(first, last))
    found = {key[0]: rows for key, rows in wanted.partition_by("_day", as_dict=True, include_key=False).items()}
    nothing = frame.clear()
    DailyTable(store, table).write_days((day, found.get(day, nothing)) for day in days)
    span_days = (first + timedelta(days=offset) for offset in range((last - first).days + 1))
    return TableReport(
        table=table,
        rows_by_day={day: found[day].height if day in found else 0 for day in days},
        missing_days=tuple(day for day in span_days if day not in set(days)),
    )
