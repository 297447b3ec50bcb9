"""Every kind of model that can be saved can be measured: the gate stops what was not."""

from pathlib import Path
from typing import Any

import pytest

from ml_platform.containers.serving.measure import REQUESTS, measure
from ml_platform.modeling.artifact import pack_archive, save_artifact
from ml_platform.modeling.baseline import Baseline
from ml_platform.modeling.pipeline import FittedPipeline
from tests.unit.modeling.payments import hyperparameters, payments


def a_forest(rows: Any, _hyperparameters: object) -> object:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(3, max_depth=3, random_state=0).fit(rows.matrix, rows.labels)


@pytest.mark.parametrize("code", [None, a_forest], ids=["lightgbm", "scikit-learn"])
def test_a_packed_model_is_served_and_measured(tmp_path: Path, code: Any) -> None:
    frame = payments(1000, 1)
    pipeline = FittedPipeline.fit(frame, None, hyperparameters(), code=code)
    baseline = Baseline.measure(pipeline.signature, frame, pipeline.score(frame))
    save_artifact(pipeline, baseline, "f" * 64, tmp_path / "model")
    pack_archive(tmp_path / "model", tmp_path / "model.tar.gz")
    cost = measure(tmp_path / "model.tar.gz")
    assert cost.artifact_fingerprint == "f" * 64
    assert cost.requests == REQUESTS
    assert 0 < cost.p50_latency_ms <= cost.p95_latency_ms <= cost.p99_latency_ms
    assert cost.artifact_bytes == (tmp_path / "model.tar.gz").stat().st_size
