"""What a training set is made of, and the manifest of one that was built."""

from datetime import date, datetime, timedelta
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ml_platform.core.clock import midnight
from ml_platform.features.offline.lookup import Lookup
from ml_platform.features.offline.targets import Target
from ml_platform.features.tables import MODEL_FEATURES

Split = Literal["train", "validation", "holdout"]
LABEL = "label"


class TrainingSetSpec(BaseModel):
    """Everything that decides a training set, but for the data.

    Days are counted back from ``as_of``: the holdout ends ``label_delay_days`` before it, so that its labels are
    known; before the holdout lies a gap of the same length, then validation, then train. The gap keeps out labels
    that were not yet known when the holdout's first payment was scored.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(description="Model the set is for.")
    feature_service: str = Field(default="fraud_v1", description="Feast feature service that serves the features.")
    features: tuple[str, ...] = Field(default=MODEL_FEATURES, min_length=1, description="The model's inputs, in order.")
    target: Target = Field(default="transaction_fraud", description="What the label says.")
    as_of: datetime = Field(description="Midnight (UTC). Only labels known by then exist.")
    train_days: int = Field(default=35, gt=0, description="Days to fit on.")
    validation_days: int = Field(default=7, ge=0, description="Days after those, for calibration and threshold.")
    holdout_days: int = Field(default=7, gt=0, description="Newest labelled days, for the gate.")
    label_delay_days: int = Field(default=7, ge=0, description="Gap before the holdout, and time for labels to mature.")
    feature_lookup: Lookup = Field(default="daily", description="As of which instant features are looked up.")
    drop_known_compromised_cards: bool = Field(
        default=False,
        description="On each holdout day leave out cards with a fraud since train began that was known that morning.",
    )
    negative_sampling: Literal["none"] = Field(default="none", description="All genuine payments are kept.")

    @model_validator(mode="after")
    def _as_of_is_a_midnight(self) -> Self:
        if self.as_of.tzinfo is None or self.as_of != midnight(self.as_of):
            raise ValueError(f"as_of must be a midnight in UTC, with its time zone; got {self.as_of.isoformat()}")
        if len(set(self.features)) != len(self.features):
            raise ValueError("features must differ from each other")
        return self

    def days(self) -> dict[Split, tuple[date, date]]:
        """Return the first and last day of each split, both included."""
        holdout_end = self.as_of.date() - timedelta(days=self.label_delay_days)
        holdout_start = holdout_end - timedelta(days=self.holdout_days)
        validation_end = holdout_start - timedelta(days=self.label_delay_days)
        train_end = validation_end - timedelta(days=self.validation_days)
        train_start = train_end - timedelta(days=self.train_days)
        one = timedelta(days=1)
        spans: dict[Split, tuple[date, date]] = {"train": (train_start, train_end - one)}
        if self.validation_days:
            spans["validation"] = (train_end, validation_end - one)
        return spans | {"holdout": (holdout_start, holdout_end - one)}


class SplitManifest(BaseModel):
    """One split as it was written."""

    model_config = ConfigDict(frozen=True)

    uri: str = Field(description="S3 prefix of the split's Parquet: a training job's channel.")
    first_day: date
    last_day: date
    rows: int
    positives: int
    unlabelled: int = Field(description="Payments left out because their label was not known at as_of.")
    labelled_by_day: dict[date, float] = Field(
        default={}, description="Share of each day's payments whose own label was known at as_of."
    )
    dropped: int = Field(default=0, description="Payments left out by drop_known_compromised_cards.")


class TrainingSetManifest(BaseModel):
    """One training set: where it is, what is in it, and what it was made from."""

    model_config = ConfigDict(frozen=True)

    model: str
    fingerprint: str
    uri: str = Field(description="S3 prefix of the whole set.")
    features: tuple[str, ...]
    label: str = LABEL
    as_of: datetime
    splits: dict[Split, SplitManifest]
    spec: TrainingSetSpec
    fingerprints: dict[str, str] = Field(
        description="Of data, spec, feature service and code; together the fingerprint."
    )
