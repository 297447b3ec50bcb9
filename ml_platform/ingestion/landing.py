"""Landing: a source's days become partitions of the validated tables; what breaks a rule goes to quarantine.

All rows of a call are read and judged before the first partition is written. A day that is landed again is
replaced, its quarantine too. The ledger is written last: it says what the days were made of.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from ml_platform.aws.objects import ObjectStore
from ml_platform.aws.tables import DailyTable
from ml_platform.core import names
from ml_platform.core.clock import Clock, utc_now
from ml_platform.core.errors import SourceDataError
from ml_platform.ingestion.declaration import FRAUD_LABELS, TRANSACTIONS, TableDeclaration
from ml_platform.ingestion.expectations import (
    ABSENT,
    Judgement,
    judge_freshness,
    judge_quarantine,
    judge_schema,
    judge_volume,
)
from ml_platform.ingestion.ledger import LandedDayEntry, fingerprint_rows, read_ledger, record_landing
from ml_platform.ingestion.quality import Split, split_rows
from ml_platform.ingestion.schema import PARTITION_DAY, empty_table
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
    judged: Judgement

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
    judged: Judgement

    @property
    def accepted(self) -> int:
        """Labels landed over all days."""
        return sum(day.accepted for day in self.days)

    @property
    def quarantined(self) -> int:
        """Labels quarantined over all days."""
        return sum(day.quarantined for day in self.days)


def ingest_transactions(
    source: Source,
    store: ObjectStore,
    days: tuple[date, date],
    declared: TableDeclaration = TRANSACTIONS,
    now: Clock = utc_now,
) -> IngestReport:
    """Land the transactions of the days from the first to the last of ``days``.

    Days on which nothing happened get empty partitions if the source covers them.

    Raises:
        SourceDataError: When the source cannot be used, does not cover the days, or has no row among theirs that can
            be accepted; nothing is written then.
    """
    # Before the rows: what arrives in between makes the version that was landed an old one, and is landed later.
    versions = source.versions(*days).transactions
    raw = source.transactions(*days)
    if raw.is_empty() and not _covers(source, days):
        raise SourceDataError(_no_rows_message(source, days))
    split = split_rows(declared, raw, now())
    _refuse_if_none_is_good(split, days)
    landed, judged = _Landing(store, declared, now).land(split, days, versions, _raw_types(declared, raw))
    return IngestReport(landed, split.reasons(), float(split.good["amount"].sum()), judged)


def ingest_labels(
    source: Source,
    store: ObjectStore,
    first: date,
    last: date,
    declared: TableDeclaration = FRAUD_LABELS,
    now: Clock = utc_now,
) -> LabelReport:
    """Land the labels that became known on the days from ``first`` to ``last``.

    A day on which none became known gets an empty partition.

    Raises:
        SourceDataError: When the source cannot be used, or all labels of the days are bad; nothing is written then.
    """
    versions = source.versions(first, last).labels
    raw = source.labels_known(first, last)
    split = split_rows(declared, raw, now())
    _refuse_if_none_is_good(split, (first, last))
    landed, judged = _Landing(store, declared, now).land(split, (first, last), versions, _raw_types(declared, raw))
    return LabelReport(landed, split.reasons(), int(split.good["label"].sum()), judged)


@dataclass(frozen=True, slots=True)
class _Landing:
    """Writing one table's days, and judging them against what was landed before."""

    store: ObjectStore
    declared: TableDeclaration
    now: Clock

    def land(
        self, split: Split, days: tuple[date, date], versions: Mapping[date, str], raw_types: Mapping[str, str]
    ) -> tuple[tuple[LandedDay, ...], Judgement]:
        """Write every day's good rows, its quarantined ones where there are any, and the ledger."""
        span = [days[0] + timedelta(days=offset) for offset in range((days[1] - days[0]).days + 1)]
        good, bad = _by_day(split.good), _by_day(split.quarantined)
        landed = self._write(span, good, bad)
        before = read_ledger(self.store, self.declared.name)
        empty = empty_table(self.declared)
        entries = {
            day.day: LandedDayEntry(
                version=versions.get(day.day),
                fingerprint=fingerprint_rows(good.get(day.day, empty)),
                accepted=day.accepted,
                quarantined=day.quarantined,
                revision=0,
                changed_at=self.now(),
            )
            for day in landed
        }
        after = record_landing(self.store, self.declared.name, entries, raw_types)
        judged = Judgement(
            volume=judge_volume(
                self.declared,
                {day.day: day.accepted + day.quarantined for day in landed},
                {day: entry.accepted + entry.quarantined for day, entry in before.days.items()},
            ),
            freshness=judge_freshness(self.declared, max(after.days, default=None), self.now()),
            schema=judge_schema(self.declared, raw_types, before.raw_types),
            quarantine=judge_quarantine(
                self.declared, sum(day.accepted for day in landed), sum(day.quarantined for day in landed)
            ),
        )
        return landed, judged

    def _write(
        self, span: "list[date]", good: "dict[date, pl.DataFrame]", bad: "dict[date, pl.DataFrame]"
    ) -> tuple[LandedDay, ...]:
        table, quarantine = (DailyTable(self.store, name) for name in (self.declared.name, self.declared.quarantine))
        empty = empty_table(self.declared)
        # Quarantine first: a day that can be read never lacks the account of what was left out of it.
        self.store.delete([names.table_partition(quarantine.name, day) for day in span if day not in bad])
        quarantined_at = dict(zip(sorted(bad), quarantine.write_days(sorted(bad.items())), strict=True))
        addresses = table.write_days((day, good.get(day, empty)) for day in span)
        return tuple(
            LandedDay(day, len(good.get(day, empty)), len(bad.get(day, ())), address, quarantined_at.get(day))
            for day, address in zip(span, addresses, strict=True)
        )


def _raw_types(declared: TableDeclaration, raw: "pl.DataFrame") -> dict[str, str]:
    """Return the type that the source gives each column; nothing is known of it without rows."""
    if raw.is_empty():
        return {}
    columns = {column.name: raw[column.name] for column in declared.columns if column.name in raw.columns}
    kinds = {name: ABSENT if values.null_count() == len(raw) else str(values.dtype) for name, values in columns.items()}
    # That nobody fills an optional column is nothing to tell a person.
    return {name: kind for name, kind in kinds.items() if kind != ABSENT or not declared.column(name).optional}


def _covers(source: Source, days: tuple[date, date]) -> bool:
    """Whether the source has rows before and after, so that these days are empty and not still to come."""
    known = source.days()
    return known is not None and known[0] <= days[0] and days[1] <= known[1]


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
