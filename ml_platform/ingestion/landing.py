"""Landing: a source's days become partitions of the validated tables; what breaks a rule goes to quarantine.

All rows of a call are read and judged before the first partition is written. A day that is landed again is
replaced, its quarantine too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from ml_platform.aws.objects import ObjectStore
from ml_platform.aws.tables import DailyTable
from ml_platform.core import names
from ml_platform.core.errors import SourceDataError
from ml_platform.ingestion.quality import Split, split_labels, split_transactions
from ml_platform.ingestion.schema import (
    FRAUD_LABELS,
    LABEL_QUARANTINE,
    PARTITION_DAY,
    QUARANTINE,
    TRANSACTIONS,
    empty_labels,
    empty_transactions,
)
from ml_platform.ingestion.source import Source

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True)
class LandedDay:
    """One partition: rows accepted and quarantined, and where they are; no quarantine address without such rows."""

    day: date
    accepted: int
    quarantined: int
    address: str
    quarantine_address: str | None


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What landing transactions did. ``reasons``: rows that broke each rule, the most broken first."""

    days: tuple[LandedDay, ...]
    reasons: Mapping[str, int]
    total_amount: float

    @property
    def accepted(self) -> int:
        """Rows landed over all days."""
        return sum(day.accepted for day in self.days)

    @property
    def quarantined(self) -> int:
        """Rows quarantined over all days."""
        return sum(day.quarantined for day in self.days)

    @property
    def empty_days(self) -> tuple[date, ...]:
        """Days on which the source had no row at all; their partitions are there, and empty."""
        return tuple(day.day for day in self.days if not day.accepted + day.quarantined)


@dataclass(frozen=True, slots=True)
class LabelReport:
    """What landing labels did; days are those on which labels became known, and may well be empty."""

    days: tuple[LandedDay, ...]
    reasons: Mapping[str, int]
    frauds: int

    @property
    def accepted(self) -> int:
        """Labels landed over all days."""
        return sum(day.accepted for day in self.days)

    @property
    def quarantined(self) -> int:
        """Labels quarantined over all days."""
        return sum(day.quarantined for day in self.days)


def ingest_transactions(source: Source, store: ObjectStore, days: tuple[date, date]) -> IngestReport:
    """Land the transactions of the days from the first to the last of ``days``.

    Raises:
        SourceDataError: When the source cannot be used, has no row on any of the days, or none that can be accepted;
            nothing is written then.
    """
    raw = source.transactions(*days)
    if raw.is_empty():
        raise SourceDataError(_no_rows_message(source, days))
    split = split_transactions(raw)
    _refuse_if_none_is_good(split, days)
    landed = _land(split, store, days, (TRANSACTIONS, QUARANTINE), empty_transactions())
    return IngestReport(landed, split.reasons(), float(split.good["amount"].sum()))


def ingest_labels(source: Source, store: ObjectStore, first: date, last: date) -> LabelReport:
    """Land the labels that became known on the days from ``first`` to ``last``.

    A day on which none became known gets an empty partition.

    Raises:
        SourceDataError: When the source cannot be used, or all labels of the days are bad; nothing is written then.
    """
    split = split_labels(source.labels_known(first, last))
    _refuse_if_none_is_good(split, (first, last))
    landed = _land(split, store, (first, last), (FRAUD_LABELS, LABEL_QUARANTINE), empty_labels())
    return LabelReport(landed, split.reasons(), int(split.good["label"].sum()))


def _land(
    split: Split, store: ObjectStore, days: tuple[date, date], tables: tuple[str, str], empty: "pl.DataFrame"
) -> tuple[LandedDay, ...]:
    """Write every day's good rows, and its quarantined ones where there are any."""
    span = [days[0] + timedelta(days=offset) for offset in range((days[1] - days[0]).days + 1)]
    good, bad = _by_day(split.good), _by_day(split.quarantined)
    table, quarantine = (DailyTable(store, name) for name in tables)
    # Quarantine first: a day that can be read never lacks the account of what was left out of it.
    store.delete([names.table_partition(quarantine.name, day) for day in span if day not in bad])
    quarantined_at = dict(zip(sorted(bad), quarantine.write_days(sorted(bad.items())), strict=True))
    addresses = table.write_days((day, good.get(day, empty)) for day in span)
    return tuple(
        LandedDay(day, len(good.get(day, empty)), len(bad.get(day, ())), address, quarantined_at.get(day))
        for day, address in zip(span, addresses, strict=True)
    )


def _by_day(rows: "pl.DataFrame") -> "dict[date, pl.DataFrame]":
    parts = rows.partition_by(PARTITION_DAY, as_dict=True, include_key=False)
    return {day: part for (day,), part in parts.items()}


def _refuse_if_none_is_good(split: Split, days: tuple[date, date]) -> None:
    """A day of nothing but bad rows is a wrong mapping or a broken export, and must not empty a table."""
    if split.good.is_empty() and not split.quarantined.is_empty():
        reasons = ", ".join(f"{reason} ({count})" for reason, count in split.reasons().items())
        raise SourceDataError(
            f"None of the {len(split.quarantined)} rows {_in_words(days)} can be accepted: {reasons}. Nothing was "
            "written. If a column is mistaken for another, set ML_PLATFORM_SOURCE_COLUMNS."
        )


def _no_rows_message(source: Source, days: tuple[date, date]) -> str:
    known = source.days()
    covered = f" It has transactions from {known[0]} to {known[1]}." if known else ""
    return f"The source has no transactions {_in_words(days)}.{covered} Choose other days or complete the source."


def _in_words(days: tuple[date, date]) -> str:
    return f"on {days[0]}" if days[0] == days[1] else f"from {days[0]} to {days[1]}"
