"""One fitted model for all tests that only look at it."""

from pathlib import Path

import pytest
from hypothesis import settings

from ml_platform.modeling.artifact import save_artifact
from ml_platform.modeling.baseline import Baseline
from ml_platform.modeling.pipeline import FittedPipeline
from tests.unit.modeling.payments import fitted, payments

# On shared cores an example may wait longer than Hypothesis's 200 ms without being slow.
settings.register_profile("shared-cores", deadline=None)
settings.load_profile("shared-cores")


@pytest.fixture(scope="session")
def pipeline() -> FittedPipeline:
    return fitted()


@pytest.fixture(scope="session")
def baseline(pipeline: FittedPipeline) -> Baseline:
    frame = payments(2000, 2)
    return Baseline.measure(pipeline.signature, frame, pipeline.score(frame))


@pytest.fixture
def saved(pipeline: FittedPipeline, baseline: Baseline, tmp_path: Path) -> Path:
    """Directory with a valid artifact that the test may damage."""
    directory = tmp_path / "model"
    save_artifact(pipeline, baseline, "f" * 64, directory)
    return directory
