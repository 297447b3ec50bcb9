"""The declarations with what this platform's settings say about its source."""

from datetime import timedelta

from ml_platform.core.settings import Settings
from ml_platform.ingestion.declaration import FRAUD_LABELS, TRANSACTIONS, TableDeclaration


def declared_transactions(settings: Settings) -> TableDeclaration:
    """Return what the source promises of its transactions."""
    hours = settings.source_freshness_hours
    return TRANSACTIONS.model_copy(
        update={
            "arrival_delay": timedelta(hours=settings.source_arrival_delay_hours),
            "freshness": None if hours is None else timedelta(hours=hours),
        }
    )


def declared_labels(settings: Settings) -> TableDeclaration:
    """Return what the source promises of its labels; nobody knows how fresh they ought to be."""
    return FRAUD_LABELS.model_copy(update={"arrival_delay": timedelta(hours=settings.source_arrival_delay_hours)})
