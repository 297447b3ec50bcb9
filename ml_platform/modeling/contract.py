"""The container contract: where SageMaker puts files, what it sets, which bodies travel over HTTP.

The layout is SageMaker's own. ``SAGEMAKER_BASE_DIR`` moves it away from ``/opt/ml`` where a private root is not
to be had; AWS's own toolkits honour the same variable.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

CSV: Final = "text/csv"
JSON: Final = "application/json"
JSON_LINES: Final = "application/jsonlines"
CONTENT_TYPES: Final = (JSON, JSON_LINES, CSV)

TRAIN_CHANNEL: Final = "train"
VALIDATION_CHANNEL: Final = "validation"
CODE_CHANNEL: Final = "code"
"""Holds the model's own training code; a job without it uses the platform's fit."""
TRIAL_OBJECTIVE: Final = "trial:objective"
"""The metric that a search follows: a trial prints it as a line ``name=value;``."""

BASE_DIRECTORY_VARIABLE: Final = "SAGEMAKER_BASE_DIR"
BIND_HOST_VARIABLE: Final = "SAGEMAKER_BIND_HOST"
BIND_PORT_VARIABLE: Final = "SAGEMAKER_BIND_TO_PORT"
MAX_PAYLOAD_VARIABLE: Final = "SAGEMAKER_MAX_PAYLOAD_IN_MB"
DEFAULT_ACCEPT_VARIABLE: Final = "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT"

DEFAULT_BASE_DIRECTORY: Final = "/opt/ml"
DEFAULT_PORT: Final = 8080
DEFAULT_MAX_PAYLOAD_MB: Final = 25

MAX_FAILURE_CHARACTERS: Final = 1024
"""SageMaker shows so much of the failure file as the job's FailureReason."""


@dataclass(frozen=True, slots=True)
class ContainerPaths:
    """The directories of one container."""

    base: Path

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Return the paths below ``SAGEMAKER_BASE_DIR``, or below ``/opt/ml``."""
        return cls(Path(environment.get(BASE_DIRECTORY_VARIABLE) or DEFAULT_BASE_DIRECTORY))

    @property
    def hyperparameters(self) -> Path:
        """File with the training job's hyper-parameters: a JSON object of strings."""
        return self.base / "input" / "config" / "hyperparameters.json"

    def channel(self, name: str) -> Path:
        """Directory that holds one input channel's files."""
        return self.base / "input" / "data" / name

    @property
    def model(self) -> Path:
        """Directory that a training job packs into ``model.tar.gz`` and a server reads its model from."""
        return self.base / "model"

    @property
    def output_data(self) -> Path:
        """Directory that a training job packs into ``output.tar.gz``."""
        return self.base / "output" / "data"

    @property
    def failure(self) -> Path:
        """File whose beginning becomes the job's FailureReason."""
        return self.base / "output" / "failure"
