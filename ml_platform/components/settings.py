"""Fields of a ``ModelPipeline`` that belong together: training windows, gate thresholds, monitoring limits.

The gate's and the monitors' own policies are the pure classes of ``evaluation`` and ``monitoring``; here they only
become loadable from YAML.
"""

from typing import Any, Literal

import dagster as dg
from pydantic import Field

from ml_platform.evaluation.gate import GatePolicy


class Training(dg.Model, dg.Resolvable):
    """Windows are whole days, counted back from the newest day whose labels are known."""

    train_days: int = Field(default=35, gt=0, description="Days of transactions the model is fitted on.")
    validation_days: int = Field(default=7, ge=0, description="Days after those, for calibration and threshold.")
    holdout_days: int = Field(
        default=7, gt=0, description="Newest labelled days: judged by the gate, never trained on."
    )
    label_delay_days: int = Field(default=7, ge=0, description="Gap before the holdout, and time for labels to mature.")
    feature_lookup: Literal["daily", "event"] = Field(
        default="daily",
        description="`daily`: features as the daily online store serves them. `event`: as of the event.",
    )
    model_parameters: dict[str, Any] = Field(default_factory=dict, description="LightGBM parameters over the preset.")
    seed: int = Field(default=7, description="Seed of the fit.")


class Gate(GatePolicy, dg.Resolvable):
    """Thresholds of the promotion gate; see ``evaluation.gate.GatePolicy``."""


class Monitoring(dg.Model, dg.Resolvable):
    """Limits of drift and performance monitoring."""

    window_hours: int = Field(default=168, gt=0, description="Captured traffic that one drift report looks at.")
    psi_alert: float = Field(
        default=0.25, gt=0, description="Corrected PSI above which a feature or the score has drifted."
    )
    min_rows: int = Field(default=1000, gt=0, description="Fewer captured rows than this cannot be judged.")
    max_average_precision_loss: float = Field(
        default=0.05, gt=0, description="Loss of matured average precision, against the gate's, that calls for action."
    )
    min_matured_positives: int = Field(
        default=20, gt=0, description="Fewer known frauds than this are too early to judge."
    )
