"""Which landed days a training set was made of, and what they held then."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from ml_platform.aws.objects import ObjectStore

if TYPE_CHECKING:
    from ml_platform.features.offline.training_set_spec import TrainingSetSpec


class TrainingSources(BaseModel):
    """Landed days of a training set's tables, each with the fingerprint of its rows."""

    model_config = ConfigDict(frozen=True)

    first: date
    last: date
    days: dict[str, dict[date, str]]
    training_set: str = ""

    def of_set(self, fingerprint: str) -> "TrainingSources":
        """Return these sources as those of a training set that was built from them."""
        return self.model_copy(update={"training_set": fingerprint})


def sources_of(store: ObjectStore, spec: "TrainingSetSpec") -> TrainingSources:
    """Return what the days that a training set reads hold now."""
    from ml_platform.features.offline.payment_context import first_day_behind

    first = first_day_behind(spec)
    # Labels of the holdout arrive until the cut-off; what becomes known after it is no part of the set.
    last = spec.as_of.date() - timedelta(days=1)
    return TrainingSources(first=first, last=last, days=landed_days(store, first, last))


def landed_days(store: ObjectStore, first: date, last: date) -> Mapping[str, dict[date, str]]:
    """Return the fingerprints of landed payments and labels of some days, as the ledger has them now."""
    from ml_platform.ingestion.ledger import read_ledger

    return {
        table: {day: entry.fingerprint for day, entry in read_ledger(store, table).days.items() if first <= day <= last}
        for table in ("payments/transactions", "payments/fraud_labels")
    }
