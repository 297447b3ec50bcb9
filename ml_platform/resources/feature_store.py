"""Features: computed per day, read through Feast, offline and online."""

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from ml_platform.aws.tables import DailyTable
from ml_platform.core.clock import utc_now
from ml_platform.core.errors import FeatureError
from ml_platform.resources.platform import PlatformResource

if TYPE_CHECKING:
    import polars as pl

    from ml_platform.core.verdict import Verdict
    from ml_platform.features.catalogue.catalogue import CataloguedFeature
    from ml_platform.features.labels.arrival import LabelArrival
    from ml_platform.features.offline.lookup import Lookup
    from ml_platform.features.offline.training_set_spec import TrainingSetManifest, TrainingSetSpec
    from ml_platform.features.online.materialization import MaterializationReport
    from ml_platform.features.online.parity import ParityReport
    from ml_platform.features.windows.compute import TableReport

ARRIVAL_DAYS = 90
"""Chargebacks take up to two months; older payments tell how labels used to arrive."""


class FeatureStore(PlatformResource):
    """Computes feature tables and reads them through Feast. Feast is imported where it is used: it takes seconds."""

    def compute_card_activity(self, first: date, last: date) -> "TableReport":
        """Compute and land the card features of these days."""
        from ml_platform.features.windows.compute import compute_card_activity

        return compute_card_activity(self.store, first, last)

    def compute_terminal_risk(self, first: date, last: date) -> "TableReport":
        """Compute and land the terminal features of these days."""
        from ml_platform.features.windows.compute import compute_terminal_risk

        return compute_terminal_risk(self.store, first, last)

    def materialize_online(self, day_end: datetime, days: int) -> "MaterializationReport":
        """Bring the newest feature rows before ``day_end`` into the online store; record what filled it."""
        from ml_platform.features.online.materialization import materialize_online
        from ml_platform.features.skew.serving_record import write_record

        report = materialize_online(self.settings, day_end, days)
        write_record(self.store, report.end, utc_now())
        return report

    def compare_stores(self, as_of: datetime, sample: int) -> "ParityReport":
        """Compare what the online store serves with what the offline store says, for a sample of keys."""
        from ml_platform.features.online.parity import compare_online_with_offline

        return compare_online_with_offline(self.settings, self.store, as_of, sample=sample, seed=as_of.toordinal())

    def measure_label_arrival(self) -> "tuple[LabelArrival, Verdict]":
        """Measure how labels arrive, and whether those that are due have arrived."""
        from ml_platform.features.labels.arrival import measure_arrival

        arrival = measure_arrival(self.store, self.newest_midnight(), ARRIVAL_DAYS)
        return arrival, arrival.verdict(after_days=self.settings.source_label_delay_days)

    def catalogue(self) -> "tuple[CataloguedFeature, ...]":
        """Describe every feature as it looks today."""
        from ml_platform.features.catalogue.catalogue import build_catalogue

        return build_catalogue(self.store)

    def build_training_set(self, model: str, spec: "TrainingSetSpec") -> "TrainingSetManifest":
        """Build the training set, or find the one that these inputs already gave."""
        from ml_platform.features.offline.training_set import build_training_set
        from ml_platform.resources.training_sources import sources_of

        # Read first: a correction that lands while the set is built makes it stale.
        sources = sources_of(self.store, spec)
        manifest = build_training_set(self.settings, self.store, spec)
        self.manifests(model).write("training_set_sources", sources.of_set(manifest.fingerprint))
        self.manifests(model).write("training_set", manifest)
        return manifest

    def training_set(self, model: str) -> "TrainingSetManifest":
        """Return the model's training set, as its asset left it."""
        from ml_platform.features.offline.training_set_spec import TrainingSetManifest

        return self.manifests(model).read("training_set", TrainingSetManifest)

    def newest_midnight(self) -> datetime:
        """Return the end of the newest landed day.

        Raises:
            FeatureError: When nothing was landed.
        """
        days = DailyTable(self.store, "payments/transactions").days()
        if not days:
            raise FeatureError("No payments are landed yet. Materialize payments/transactions, then its features.")
        return datetime.combine(days[-1] + timedelta(days=1), time(), UTC)

    def newest_days(self, days: int) -> tuple[date, date]:
        """Return the first and last of the newest landed days."""
        last = self.newest_midnight().date() - timedelta(days=1)
        return last - timedelta(days=days - 1), last

    def newest_landed(self, days: int) -> "pl.DataFrame":
        """Return the payments of the newest landed days as they were landed."""
        return DailyTable(self.store, "payments/transactions").read(*self.newest_days(days))

    def newest_payments(self, service: str, features: tuple[str, ...], lookup: "Lookup", days: int) -> "pl.DataFrame":
        """Return the payments of the newest landed days, with the features a model wants."""
        from ml_platform.features.offline.lookup import point_in_time_features
        from ml_platform.features.store import feature_store

        return point_in_time_features(
            feature_store(self.settings), self.newest_landed(days), service=service, features=features, lookup=lookup
        )
