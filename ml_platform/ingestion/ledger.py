"""The ledger of a landed table: for each day what it was made of, how many rows it has, and when it last changed.

It is how a late or corrected row is noticed: the source's version of a day is no longer the one that was landed. And
it is how what was computed from a day knows that it is stale.
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

from ml_platform.aws.heads import Head, HeadMovedError
from ml_platform.aws.objects import ObjectStore
from ml_platform.core import names

if TYPE_CHECKING:
    import polars as pl

_ATTEMPTS = 20


class LandedDayEntry(BaseModel, frozen=True):
    """One landed day."""

    version: str | None
    """The source's version of the day that was read; None when the source has no versions."""
    fingerprint: str
    """Of the accepted rows: landing the same again is no change."""
    accepted: int
    quarantined: int
    revision: int
    """The revision of the ledger with which the accepted rows last changed."""
    changed_at: datetime


class LedgerDocument(BaseModel, frozen=True):
    """All landed days of a table; ``revision`` counts the landings that changed something."""

    revision: int = 0
    days: dict[date, LandedDayEntry] = Field(default_factory=dict)
    raw_types: dict[str, str] = Field(default_factory=dict)
    """The types that the source's columns had when days were last landed."""

    def changed_since(self, revision: int) -> dict[date, LandedDayEntry]:
        """Return the days whose rows changed after a revision."""
        return {day: entry for day, entry in self.days.items() if entry.revision > revision}


def ledger(store: ObjectStore, table: str) -> Head[LedgerDocument]:
    """Return a table's ledger."""
    return Head(store, names.landing_ledger(table), LedgerDocument)


def read_ledger(store: ObjectStore, table: str) -> LedgerDocument:
    """Return what a table's ledger says now."""
    return ledger(store, table).read()[0]


def record_landing(
    store: ObjectStore, table: str, landed: Mapping[date, LandedDayEntry], raw_types: Mapping[str, str]
) -> LedgerDocument:
    """Enter landed days; the revision and time of a day whose rows are the same as before stay what they were."""
    head = ledger(store, table)
    for _ in range(_ATTEMPTS):
        before, etag = head.read()
        after = _with_days(before, landed, raw_types)
        try:
            head.replace(after, etag)
        except HeadMovedError:
            # Another run landed other days meanwhile.
            continue
        return after
    raise HeadMovedError(f"{head.key} was replaced {_ATTEMPTS} times while it was being written")


def _with_days(
    before: LedgerDocument, landed: Mapping[date, LandedDayEntry], raw_types: Mapping[str, str]
) -> LedgerDocument:
    revision = before.revision + 1
    entries = {}
    for day, entry in landed.items():
        known = before.days.get(day)
        same = known is not None and known.fingerprint == entry.fingerprint
        kept = (
            {"revision": known.revision, "changed_at": known.changed_at} if known and same else {"revision": revision}
        )
        entries[day] = entry.model_copy(update=kept)
    changed = any(entry.revision == revision for entry in entries.values())
    return LedgerDocument(
        revision=revision if changed else before.revision,
        days=before.days | entries,
        raw_types=dict(raw_types) or before.raw_types,
    )


def fingerprint_rows(rows: "pl.DataFrame") -> str:
    """Return a fingerprint of rows in whatever order; another release of polars may give another."""
    return f"{len(rows)}:{0 if rows.is_empty() else int(rows.hash_rows(seed=1).sum()):x}"
