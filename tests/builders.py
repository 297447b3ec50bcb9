"""Small worlds: a platform of a test's own on the ground services and the stand-in, and a model that fits in it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ml_platform.aws import clients
from ml_platform.aws.objects import ObjectStore
from ml_platform.components.model_pipeline import ModelPipeline
from ml_platform.components.settings import Gate, Monitoring, Training
from ml_platform.core.settings import Settings
from ml_platform.features.tables import MODEL_FEATURES


def small_world(home: Path, ground_services: str, stand_in: str, **overrides: str) -> dict[str, str]:
    """Environment of a platform with few customers; also what a subprocess gets."""
    return {
        "AWS_ENDPOINT_URL": ground_services,
        "AWS_ENDPOINT_URL_SAGEMAKER": stand_in,
        "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": stand_in,
        "AWS_ENDPOINT_URL_CLOUDWATCH": stand_in,
        "ML_PLATFORM_HOME": str(home),
        "ML_PLATFORM_BUCKET": f"test-{os.urandom(6).hex()}",
        "ML_PLATFORM_POLL_SECONDS": "0.05",
        # A world of this size and seed has frauds enough in each split.
        "ML_PLATFORM_SIMULATOR_SEED": "11",
        "ML_PLATFORM_SIMULATOR_CUSTOMERS": "300",
        "ML_PLATFORM_SIMULATOR_TERMINALS": "300",
        **overrides,
    }


@contextmanager
def platform(environment: dict[str, str]) -> Iterator[Settings]:
    """Make this process work on that platform, whose bucket is created."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        clients.forget_clients()
        settings = Settings.load()
        ObjectStore.from_settings(settings).ensure_bucket()
        yield settings
    clients.forget_clients()


def a_model(name: str, **overrides: Any) -> ModelPipeline:
    """A model whose windows and gate suit a world of a few hundred payments a day; 37 days of history are enough."""
    fields = {
        "name": name,
        "owner": "team:tests",
        "purpose": "Say in tests which payments are frauds.",
        "features": list(MODEL_FEATURES),
        "feature_service": "fraud_v1",
        "training": some_training(),
        "gate": Gate(
            min_positives=5,
            limits={"average_precision": 0.1, "roc_auc": 0.7, "card_precision_at_100": 0, "calibration_error": 0.2},
            required_gain=None,
            max_losses={"average_precision": 1, "roc_auc": 1, "card_precision_at_100": 1},
        ),
        # A few frauds must not outvote drift: figures on them are noise, and so would be what they lead to.
        "monitoring": Monitoring(min_rows=200, min_matured_positives=1000),
    }
    return ModelPipeline(**{**fields, **overrides})


def some_training(**overrides: Any) -> Training:
    """Short windows, and few trees."""
    windows = {"train_days": 14, "validation_days": 4, "holdout_days": 4, "label_delay_days": 7}
    return Training(**{**windows, "model_parameters": {"num_iterations": 60}, **overrides})
