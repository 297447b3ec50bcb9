"""Our training container under a Dagster run: its figures reach the run."""

from typing import Any

import numpy as np
import pandas as pd

from ml_platform.aws.objects import ObjectStore
from ml_platform.core.settings import Settings
from ml_platform.modeling.hyperparameters import HyperParameters
from ml_platform.training.job_request import training_job_request
from tests.contract.pipes_runs import jobs, made_by, run
from tests.contract.sagemaker_requests import unique

ROWS = 300


def asked(settings: Settings) -> dict[str, Any]:
    """A request of ours for a small model."""
    amounts = np.random.default_rng(7).gamma(2.0, 40.0, ROWS)
    frame = pd.DataFrame({"amount": amounts, "label": (np.arange(ROWS) % 10 == 0).astype("int8")})
    uri = ObjectStore.from_settings(settings).put("train/part-0.parquet", frame.to_parquet())
    parameters = HyperParameters(features=("amount",), model_parameters={"num_iterations": 5}, seed=7, fingerprint="f")
    request = training_job_request(
        settings,
        model="pipes",
        fingerprint=unique("pipes"),
        channels={"train": uri.removesuffix("part-0.parquet")},
        hyperparameters=parameters.to_sagemaker(),
    )
    return dict(request)


def test_rows_positives_and_threshold_are_shown(sagemaker_settings: Settings) -> None:
    outcome = run(made_by("training", asked(sagemaker_settings), "unused"))
    assert outcome.success, outcome.errors
    assert (outcome.metadata["train_rows"], outcome.metadata["train_positives"]) == (ROWS, 30)
    assert 0 <= outcome.metadata["threshold"] <= 1
    # The request's own name is kept.
    assert list(jobs(outcome.metadata["training_job"])) == [outcome.metadata["training_job"]]
    assert outcome.metadata["training_job"].startswith("pipes-train-")
    assert f"train:rows={ROWS}; train:positives=30;" in outcome.lines
    assert not [line for line in outcome.lines if "did not receive" in line or "did not close" in line]
