"""The source of payments and where it lands."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING

from ml_platform.resources.platform import PlatformResource

if TYPE_CHECKING:
    from ml_platform.core.verdict import Verdict
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
        """Fetch a bounded part of what is new at the source; return how many changes that were."""
        return self._source().refresh(briefly=True)

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

    def version_of(self, days: list[date]) -> str:
        """Return a fingerprint of what the source has of these days: other rows give another."""
        from ml_platform.core.fingerprint import fingerprint_json

        versions = self._source().versions(min(days), max(days))
        known = [(str(day), versions.transactions.get(day), versions.labels.get(day)) for day in days]
        return fingerprint_json(known)[:12]

    def stale_feature_days(
        self, computed: "Mapping[str, Mapping[date, datetime]]", since: Mapping[str, int]
    ) -> list[date]:
        """Return the days whose features are older than the rows that they are made of.

        Args:
            computed: For each feature table, and for the online store, when its days were computed last.
            since: For each landed table the revision up to which this is known to be settled.
        """
        from ml_platform.ingestion.declaration import FRAUD_LABELS
        from ml_platform.resources.payments_reach import touched_by_label_day, touched_by_payment_day

        stale: set[date] = set()
        for table, document in self.revisions().items():
            touched_by = touched_by_label_day if table == FRAUD_LABELS.name else touched_by_payment_day
            for day, entry in document.changed_since(since.get(table, 0)).items():
                for feature_table, days in touched_by(day).items():
                    at = computed[feature_table]
                    stale |= {touched for touched in days if touched in at and at[touched] < entry.changed_at}
        return sorted(stale)

    def revisions(self) -> "dict[str, LedgerDocument]":
        """Return the ledger of each landed table: when the rows of which day changed."""
        from ml_platform.ingestion.declaration import TABLES
        from ml_platform.ingestion.ledger import read_ledger

        return {table.name: read_ledger(self.store, table.name) for table in TABLES}

    def freshness(self, now: datetime) -> "Verdict":
        """Hold the newest landed day against what the source promises, whether or not anything comes."""
        from ml_platform.ingestion.declared import declared_transactions
        from ml_platform.ingestion.expectations import judge_freshness
        from ml_platform.ingestion.ledger import read_ledger

        declared = declared_transactions(self.settings)
        return judge_freshness(declared, max(read_ledger(self.store, declared.name).days, default=None), now)

    def days_landed(self, online: "Mapping[date, datetime]") -> list[date]:
        """Return the days that have payments, labels, features and, being among ``online``, were served online.

        A run that died half way leaves some without.
        """
        from ml_platform.aws.tables import DailyTable
        from ml_platform.features.tables import CARD_ACTIVITY, FRAUD_LABELS, TERMINAL_RISK, TRANSACTIONS

        tables = (TRANSACTIONS, FRAUD_LABELS, CARD_ACTIVITY, TERMINAL_RISK)
        return sorted(set.intersection(set(online), *(set(DailyTable(self.store, table).days()) for table in tables)))

    def _source(self) -> "Source":
        from ml_platform.ingestion.source import open_source

        return open_source(self.settings)
