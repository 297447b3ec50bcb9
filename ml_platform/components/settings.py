"""What a model's owner declares: features, training windows, gate thresholds, monitoring limits.

The gate's and the monitors' own policies are the pure classes of ``evaluation`` and ``monitoring``; here they only
become loadable from YAML.
"""

from typing import Any, Literal, Self

import dagster as dg
from pydantic import Field, model_validator

from ml_platform.components.search_settings import Search
from ml_platform.deployment.rollout_plan import RolloutPolicy
from ml_platform.evaluation.gate import GatePolicy
from ml_platform.evaluation.leakage import LeakagePolicy
from ml_platform.evaluation.slices import PAYMENT_SLICES, SliceBy
from ml_platform.modeling.declared_metrics import FRAUD_METRICS, Task, require_known
from ml_platform.modeling.money import MoneyParameters
from ml_platform.monitoring.drift import DriftPolicy
from ml_platform.monitoring.performance import PerformancePolicy
from ml_platform.monitoring.skew import SkewPolicy


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
    model_parameters: dict[str, Any] = Field(
        default_factory=dict, description="LightGBM parameters over the preset; or what the model's own code reads."
    )
    seed: int = Field(default=7, description="Seed of the fit.")
    positive_weight: float | Literal["balanced"] = Field(
        default=1.0, description="How much a positive row counts; `balanced`: all of them as much as all negatives."
    )
    half_life_days: float | None = Field(
        default=None, gt=0, description="A row counts half after so many days. Unset: all rows count the same."
    )
    monotone: dict[str, Literal[-1, 1]] = Field(
        default_factory=dict, description="Features that may only raise (1) or only lower (-1) the score."
    )
    categorical: list[str] = Field(default_factory=list, description="Features whose values are codes without order.")
    missing: Literal["learned", "zero"] = Field(
        default="learned", description="Where a missing value goes: where the fit finds best, or where 0 goes."
    )
    use_search: bool = Field(
        default=False, description="Fit with the best parameters of the newest search, over `model_parameters`."
    )
    check_refit: bool | Literal["job"] = Field(
        default=False,
        description="Fit each candidate again and compare the bytes: a check that costs a second fit, in a process of "
        "the run, or as a SageMaker `job`.",
    )


class Leakage(LeakagePolicy, dg.Resolvable):
    """Limits of the leakage probes; see ``evaluation.leakage.LeakagePolicy``."""


class Gate(GatePolicy, dg.Resolvable):
    """Thresholds of the promotion gate; see ``evaluation.gate.GatePolicy``."""

    # Dagster reads limits from YAML only into a class of its own.
    leakage: Leakage = Field(default=Leakage(), description="Limits of the leakage probes.")


class Money(MoneyParameters, dg.Resolvable):
    """What fraud, false declines and reviews cost; see ``modeling.money.MoneyParameters``."""


class Slice(SliceBy, dg.Resolvable):
    """One way to cut the holdout into slices; see ``evaluation.slices.SliceBy``."""


class Rollout(RolloutPolicy, dg.Resolvable):
    """How carefully a new model takes over; see ``deployment.rollout_plan.RolloutPolicy``."""


class Monitoring(dg.Model, dg.Resolvable):
    """Limits of drift and performance monitoring; see ``monitoring.drift`` and ``monitoring.performance``."""

    window_hours: int = Field(default=168, gt=0, description="Captured traffic that one report looks at.")
    alert_psi: float = Field(default=0.25, gt=0, description="Corrected PSI above which a signal has drifted.")
    min_rows: int = Field(default=1000, gt=0, description="Fewer captured or matured rows cannot be judged.")
    min_matured_positives: int = Field(default=20, gt=0, description="Fewer known frauds are too early to judge.")
    max_average_precision_loss: float = Field(
        default=0.05,
        gt=0,
        le=1,
        description="Loss on matured labels, against the gate's figure, that calls for action.",
    )
    max_skew_rate: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="Share of the served requests with a feature that the offline store does not confirm.",
    )

    def drift_policy(self) -> DriftPolicy:
        """The drift monitor's thresholds."""
        return DriftPolicy(alert_psi=self.alert_psi, min_rows=self.min_rows)

    def skew_policy(self) -> SkewPolicy:
        """The skew proof's thresholds."""
        return SkewPolicy(max_skew_rate=self.max_skew_rate)

    def performance_policy(self) -> PerformancePolicy:
        """The performance monitor's thresholds."""
        return PerformancePolicy(
            min_matured_rows=self.min_rows,
            min_matured_positives=self.min_matured_positives,
            max_average_precision_loss=self.max_average_precision_loss,
        )


class ModelSettings(dg.Model, dg.Resolvable):
    """Everything a model's owner decides. The stages are built from it alone."""

    name: str = Field(
        description="Snake-case name; the first part of every asset key.", pattern=r"^[a-z][a-z0-9_]{2,40}$"
    )
    owner: str = Field(description="Owner of all assets, e.g. `team:fraud`.")
    purpose: str = Field(description="One sentence for people: what the score is used for.")
    features: list[str] = Field(description="Input columns of the model, in the order of its signature.", min_length=1)
    feature_service: str = Field(description="Feast feature service that serves the looked-up features.")
    target: str = Field(default="transaction_fraud", description="What is predicted; `features.targets` lists them.")
    batch_days: int = Field(default=1, gt=0, description="Newest landed days that a batch scores.")
    task: Task = Field(default="binary_classification", description="What kind of answer the model gives.")
    metrics: list[str] = Field(
        default=list(FRAUD_METRICS),
        min_length=1,
        description="What it is judged by, of the metrics of its task; the gate's thresholds are of these.",
    )
    training: Training = Training()
    search: Search | None = Field(default=None, description="How to look for better parameters. Unset: not at all.")
    gate: Gate = Gate()
    money: Money = Money()
    slices: list[Slice] = Field(
        default=[Slice(**cut.model_dump()) for cut in PAYMENT_SLICES],
        description="Subsets of the holdout on which a candidate must hold too; those of payments unless declared.",
    )
    policy_days: int = Field(default=7, gt=0, description="Newest landed days that a decision policy is fitted on.")
    policy_min_positives: int = Field(
        default=20, gt=0, description="Known frauds among served payments from which the policy is calibrated anew."
    )
    min_reason_agreement: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Share of reasons a candidate has in common with the champion, below which people are told.",
    )
    rollout: Rollout = Rollout()
    monitoring: Monitoring = Monitoring()

    @model_validator(mode="after")
    def _metrics_are_known_and_judged(self) -> Self:
        require_known(self.task, self.metrics)
        if undeclared := [name for name in self.gate.metrics if name not in self.metrics]:
            raise ValueError(
                f"the gate judges by {', '.join(undeclared)}, which `metrics` does not declare: declare it there, or "
                "leave it out of the gate's limits, headline and max_losses"
            )
        return self

    @model_validator(mode="after")
    def _a_search_that_is_used_is_declared(self) -> Self:
        if self.training.use_search and self.search is None:
            raise ValueError("training.use_search needs a search; declare its parameters under `search`")
        return self
