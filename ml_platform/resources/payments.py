"""The source of payments and where it lands."""

from datetime import date
from typing import TYPE_CHECKING

from ml_platform.resources.platform import PlatformResource

if TYPE_CHECKING:
    from ml_platform.ingestion.landing import IngestReport, LabelReport
    from ml_platform.ingestion.ledger import LandedDayEntry, LedgerDocument
    from ml_platform.ingestion.source import Source


class PaymentsSource(PlatformResource):
    """The configured source (``ML_PLATFORM_SOURCE``) and the validated tables it is landed in."""

    def land_transactions(self, first: date, last: date) -> "IngestReport":
        """Fetch what is new, and validate and land the transactions of these days; what was there is replaced."""
        from ml_platform.ingestion.declared import declared_transactions
        from ml_platform.ingestion.landing import ingest_transactions

        source = self._source()
        source.refresh()
        return ingest_transactions(source, self.store, (first, last), declared_transactions(self.settings))

    def land_labels(self, first: date, last: date) -> "LabelReport":
        """Fetch what is new, and land the labels that became known on these days."""
        from ml_platform.ingestion.declared import declared_labels
        from ml_platform.ingestion.landing import ingest_labels

        source = self._source()
        source.refresh()
        return ingest_labels(source, self.store, first, last, declared_labels(self.settings))

    def refresh(self) -> int:
        """Fetch what is new at the source, if that is needed to see it; return how many changes that were."""
        return self._source().refresh()

    def days_offered(self) -> tuple[date, date] | None:
        """Return the first and last day the source has, or None when it has no end."""
        return self._source().days()

    def days_changed(self) -> list[date]:
        """Return the landed days of which the source has other rows now: late, corrected or deleted ones."""
        from ml_platform.ingestion.declaration import FRAUD_LABELS, TRANSACTIONS
        from ml_platform.ingestion.ledger import read_ledger

        landed = [read_ledger(self.store, table.name).days for table in (TRANSACTIONS, FRAUD_LABELS)]
        source = self._source()
        # A file may be a rolling export: days before its first one are not gone, they are only not in it any more.
        span = source.days() or self._all_of(landed)
        offered = source.versions(*span)
        changed = {
            day
            for entries, versions in zip(landed, (offered.transactions, offered.labels), strict=True)
            for day, entry in entries.items()
            if span[0] <= day <= span[1] and entry.version != versions.get(day)
        }
        return sorted(changed)

    @staticmethod
    def _all_of(landed: "list[dict[date, LandedDayEntry]]") -> tuple[date, date]:
        days = [day for entries in landed for day in entries] or [date.max]
        return min(days), max(days)

    def revisions(self) -> "dict[str, LedgerDocument]":
        """Return the ledger of each landed table: when the rows of which day changed."""
        from ml_platform.ingestion.declaration import TABLES
        from ml_platform.ingestion.ledger import read_ledger

        return {table.name: read_ledger(self.store, table.name) for table in TABLES}

    def days_landed(self) -> list[date]:
        """Return the days that have payments, labels and features; a run that died half way leaves some without."""
        from ml_platform.aws.tables import DailyTable
        from ml_platform.features.tables import CARD_ACTIVITY, FRAUD_LABELS, TERMINAL_RISK, TRANSACTIONS

        tables = (TRANSACTIONS, FRAUD_LABELS, CARD_ACTIVITY, TERMINAL_RISK)
        return sorted(set.intersection(*(set(DailyTable(self.store, table).days()) for table in tables)))

    def _source(self) -> "Source":
        from ml_platform.ingestion.source import open_source

        return open_source(self.settings)
