"""The base of our resources: settings, bucket and manifests."""

import dagster as dg

from ml_platform.aws.manifests import Manifests
from ml_platform.aws.objects import ObjectStore
from ml_platform.core.settings import Settings


class PlatformResource(dg.ConfigurableResource):
    """Reads ``Settings`` where a run happens, so that a code location and a run worker may differ in environment."""

    @property
    def settings(self) -> Settings:
        """The settings of this process."""
        return Settings.load()

    @property
    def store(self) -> ObjectStore:
        """The platform's bucket."""
        return ObjectStore.from_settings(self.settings)

    def manifests(self, model: str) -> Manifests:
        """The manifests of one model."""
        return Manifests(self.store, model)
