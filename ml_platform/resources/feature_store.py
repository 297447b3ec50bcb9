"""Features: computed per day, read through Feast, offline and online."""

from datetime import date, datetime
from typing import TYPE_CHECKING

from ml_platform.resources.platform import PlatformResource

if TYPE_CHECKING:
    from ml_platform.features.compute import TableReport
    from ml_platform.features.materialization import MaterializationReport
    from ml_platform.features.parity import ParityReport
    from ml_platform.features.training_set import TrainingSetManifest, TrainingSetSpec


class FeatureStore(PlatformResource):
    """Computes feature tables and reads them through Feast. Feast is imported where it is used: it takes seconds."""

    def compute_card_activity(self, first: date, last: date) -> "TableReport":
        """Compute and land the card features of these days."""
        from ml_platform.features.compute import compute_card_activity

        return compute_card_activity(self.store, first, last)

    def compute_terminal_risk(self, first: date, last: date) -> "TableReport":
        """Compute and land the terminal features of these days."""
        from ml_platform.features.compute import compute_terminal_risk

        return compute_terminal_risk(self.store, first, last)

    def materialize_online(self, day_end: datetime, days: int) -> "MaterializationReport":
        """Bring the newest feature rows before ``day_end`` into the online store."""
        from ml_platform.features.materialization import materialize_online

        return materialize_online(self.settings, day_end, days)

    def compare_stores(self, as_of: datetime, sample: int) -> "ParityReport":
        """Compare what the online store serves with what the offline store says, for a sample of keys."""
        from ml_platform.features.parity import compare_online_with_offline

        return compare_online_with_offline(self.settings, self.store, as_of, sample=sample, seed=as_of.toordinal())

    def build_training_set(self, spec: "TrainingSetSpec") -> "TrainingSetManifest":
        """Build the training set, or find the one that these inputs already gave."""
        from ml_platform.features.training_set import build_training_set

        return build_training_set(self.settings, self.store, spec)
