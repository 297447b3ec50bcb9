"""From a model's declaration to the specification of its training set."""

from datetime import datetime
from typing import TYPE_CHECKING

from ml_platform.components.settings import ModelSettings

if TYPE_CHECKING:
    from ml_platform.features.offline.training_set_spec import TrainingSetSpec


def training_set_spec(model: ModelSettings, as_of: datetime) -> "TrainingSetSpec":
    """Return the specification of a model's training set as of a midnight."""
    from ml_platform.features.offline.training_set_spec import TrainingSetSpec

    windows = model.training
    return TrainingSetSpec(
        model=model.name,
        feature_service=model.feature_service,
        features=tuple(model.features),
        target=model.target,
        as_of=as_of,
        train_days=windows.train_days,
        validation_days=windows.validation_days,
        holdout_days=windows.holdout_days,
        label_delay_days=windows.label_delay_days,
        feature_lookup=windows.feature_lookup,
    )
