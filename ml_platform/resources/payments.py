"""The source of payments and where it lands."""

from datetime import date
from typing import TYPE_CHECKING

from ml_platform.resources.platform import PlatformResource

if TYPE_CHECKING:
    from ml_platform.ingestion.landing import IngestReport, LabelReport


class PaymentsSource(PlatformResource):
    """The configured source (``ML_PLATFORM_SOURCE``) and the validated tables it is landed in."""

    def land_transactions(self, first: date, last: date) -> "IngestReport":
        """Validate and land the transactions of these days; what was there is replaced."""
        from ml_platform.ingestion.landing import ingest_transactions
        from ml_platform.ingestion.source import open_source

        return ingest_transactions(open_source(self.settings), self.store, (first, last))

    def land_labels(self, first: date, last: date) -> "LabelReport":
        """Land the labels that became known on these days."""
        from ml_platform.ingestion.landing import ingest_labels
        from ml_platform.ingestion.source import open_source

        return ingest_labels(open_source(self.settings), self.store, first, last)

    def days_offered(self) -> tuple[date, date] | None:
        """Return the first and last day the source has, or None when it has nothing."""
        from ml_platform.ingestion.source import open_source

        return open_source(self.settings).days()

    def days_landed(self) -> list[date]:
        """Return the days that have payments, labels and features; a run that died half way leaves some without."""
        from ml_platform.aws.tables import DailyTable
        from ml_platform.features.tables import CARD_ACTIVITY, FRAUD_LABELS, TERMINAL_RISK, TRANSACTIONS

        tables = (TRANSACTIONS, FRAUD_LABELS, CARD_ACTIVITY, TERMINAL_RISK)
        return sorted(set.intersection(*(set(DailyTable(self.store, table).days()) for table in tables)))
