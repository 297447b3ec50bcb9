"""Captured traffic: parsed by the hour, held against the baseline and against labels as they become known."""

import io
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ml_platform.aws.objects import ObjectNotFoundError
from ml_platform.aws.tables import DailyTable
from ml_platform.core import names
from ml_platform.core.errors import EndpointError
from ml_platform.resources.artifacts import load_model
from ml_platform.resources.platform import PlatformResource

if TYPE_CHECKING:
    import pandas as pd

    from ml_platform.evaluation.evidence import PromotionEvidence
    from ml_platform.modeling.artifact import Artifact
    from ml_platform.monitoring.capture import CaptureBatch
    from ml_platform.monitoring.decision import OperatingDecision
    from ml_platform.monitoring.drift import DriftPolicy, DriftReport
    from ml_platform.monitoring.performance import PerformancePolicy, PerformanceReport
    from ml_platform.registry.lookup import LivePackage


class TrafficMonitor(PlatformResource):
    """Reads what the endpoint recorded. Statistics and decisions are those of ``monitoring``."""

    def live(self, model: str) -> "LivePackage":
        """Return what the model's endpoint serves.

        Raises:
            EndpointError: When it serves nothing.
        """
        from ml_platform.registry import lookup

        live = lookup.live_package(self.settings.region, names.endpoint(model))
        if live is None:
            raise EndpointError(f"{model} has no live endpoint, so there is no traffic. Materialize {model}/live_endpoint.")
        return live
