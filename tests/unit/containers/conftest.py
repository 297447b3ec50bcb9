"""One trained model and one running server for all tests that only ask."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ml_platform.modeling.artifact import save_artifact
from ml_platform.modeling.baseline import Baseline
from ml_platform.modeling.pipeline import FittedPipeline
from tests.unit.containers.jobs import Server, serving
from tests.unit.modeling.payments import fitted, payments


@pytest.fixture(scope="session")
def pipeline() -> FittedPipeline:
    return fitted()


@pytest.fixture(scope="session")
def model_base(pipeline: FittedPipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A container's base directory with that model in it."""
    base = tmp_path_factory.mktemp("serving")
    frame = payments(500, 2)
    baseline = Baseline.measure(pipeline.signature, frame, pipeline.score(frame))
    save_artifact(pipeline, baseline, "f" * 64, base / "model")
    return base


@pytest.fixture(scope="session")
def server(model_base: Path) -> Iterator[Server]:
    """A server that takes at most 1 MB."""
    with serving(model_base, SAGEMAKER_MAX_PAYLOAD_IN_MB="1") as running:
        yield running
