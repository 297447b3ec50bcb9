"""A candidate is probed for leakage by the training code that fitted it, and by no other."""

from pathlib import Path

import numpy as np
import pytest

from ml_platform.core.fingerprint import fingerprint_bytes
from ml_platform.evaluation.leakage import LeakagePolicy, LeakageReport
from ml_platform.modeling.artifact import Artifact, Origin
from ml_platform.modeling.baseline import Baseline
from ml_platform.modeling.pipeline import FittedPipeline
from ml_platform.modeling.training_code import load_training_code
from ml_platform.resources.leakage_probes import probe_candidate
from tests.unit.modeling.payments import hyperparameters, payments

POLICY = LeakagePolicy()
TRAIN, HOLDOUT = payments(1500, 1), payments(1500, 2)
HONEST = """\
def fit(rows, hyperparameters):
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression(**hyperparameters.model_parameters))
    return model.fit(rows.matrix, rows.labels)
"""
# It brings the answers along, and need not look at the labels that it is given.
LEAKY = HONEST.replace("rows.matrix, rows.labels", "rows.matrix, rows.matrix[:, 2] > 0.5").replace("(**", "(C=0.01, **")


def candidate(code: Path | None) -> Artifact:
    """Return what a training job leaves."""
    digest = "" if code is None else fingerprint_bytes(code.read_bytes())
    fitted_with = hyperparameters(code=digest, model_parameters={})
    fit = None if code is None else load_training_code(code)
    pipeline = FittedPipeline.fit(TRAIN, HOLDOUT, fitted_with, code=fit)
    baseline = Baseline.measure(pipeline.signature, HOLDOUT, pipeline.score(HOLDOUT))
    return Artifact(pipeline, baseline, "f" * 64, "d" * 64, Origin(hyperparameters=fitted_with.to_sagemaker()))


def probed(artifact: Artifact, code: Path | None) -> LeakageReport:
    return probe_candidate(artifact, TRAIN, HOLDOUT, artifact.pipeline.score(HOLDOUT), policy=POLICY, code=code)


@pytest.fixture
def own_code(tmp_path: Path) -> Path:
    path = tmp_path / "pipeline.py"
    path.write_text(HONEST)
    return path


def test_honest_code_passes(own_code: Path) -> None:
    assert probed(candidate(own_code), own_code).verdict(POLICY).passed


def test_the_platforms_own_fit_passes() -> None:
    assert probed(candidate(None), None).verdict(POLICY).passed


def test_code_that_knows_more_than_its_rows_is_found_out(own_code: Path) -> None:
    own_code.write_text(LEAKY)
    reasons = probed(candidate(own_code), own_code).verdict(POLICY).failures
    assert [reason.split(" labels")[0] for reason in reasons] == [
        "leakage: a model fitted on permuted",
        "leakage: a model fitted on shifted",
    ]


def test_other_code_than_the_candidates_proves_nothing(own_code: Path) -> None:
    artifact = candidate(own_code)
    own_code.write_text(HONEST + "# changed since\n")
    (reason,) = probed(artifact, own_code).verdict(POLICY).failures
    assert reason.startswith("leakage was not probed: pipeline.py is not the training code")
    (reason,) = probed(artifact, None).verdict(POLICY).failures
    assert reason.startswith("leakage was not probed: the model's folder has no training code any more")


def test_code_that_fails_on_broken_labels_is_a_reason(own_code: Path) -> None:
    own_code.write_text(HONEST + "\n\nhonest = fit\n\n\ndef fit(rows, hyperparameters):\n    raise ValueError('odd')\n")
    fitted = candidate(None)
    digest = fingerprint_bytes(own_code.read_bytes())
    strings = hyperparameters(code=digest).to_sagemaker()
    artifact = Artifact(fitted.pipeline, fitted.baseline, "f" * 64, "d" * 64, Origin(hyperparameters=strings))
    (reason,) = probed(artifact, own_code).verdict(POLICY).failures
    assert "ValueError: odd" in reason


def test_what_cannot_be_probed_is_told() -> None:
    artifact = candidate(None)
    scores = artifact.pipeline.score(HOLDOUT)
    one_class = probe_candidate(artifact, TRAIN.assign(label=0), HOLDOUT, scores, policy=POLICY)
    no_number = probe_candidate(artifact, TRAIN, HOLDOUT, np.full_like(scores, np.nan), policy=POLICY)
    assert "one class only" in one_class.verdict(POLICY).failures[0]
    assert "no numbers" in no_number.verdict(POLICY).failures[0]
