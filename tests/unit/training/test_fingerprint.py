"""A candidate's fingerprint covers all it depends on, and nothing else: it decides whether a job is paid again."""

from dataclasses import replace

from ml_platform.core.settings import Settings
from ml_platform.modeling.hyperparameters import HyperParameters
from ml_platform.training.run import TrainingInputs, candidate_fingerprint

SETTINGS = Settings()
PARAMETERS = HyperParameters(features=("amount",), seed=7, fingerprint="unset")
INPUTS = TrainingInputs("card_fraud", {"train": "s3://b/train/"}, "data-fingerprint", PARAMETERS)


def test_the_same_inputs_have_the_same_fingerprint() -> None:
    again = replace(INPUTS, hyperparameters=PARAMETERS.model_copy(update={"fingerprint": "set by an earlier run"}))
    assert candidate_fingerprint(SETTINGS, again) == candidate_fingerprint(SETTINGS, INPUTS)


def test_data_parameters_and_image_each_change_it() -> None:
    shuffled = PARAMETERS.model_copy(update={"shuffle_labels": True})
    other_image = SETTINGS.model_copy(update={"training_image": "image:2"})
    fingerprints = {
        candidate_fingerprint(SETTINGS, INPUTS),
        candidate_fingerprint(SETTINGS, replace(INPUTS, training_set_fingerprint="other data")),
        candidate_fingerprint(SETTINGS, replace(INPUTS, hyperparameters=shuffled)),
        candidate_fingerprint(other_image, INPUTS),
    }
    assert len(fingerprints) == 4


def test_how_long_it_may_take_or_what_it_runs_on_does_not_change_it() -> None:
    bigger = SETTINGS.model_copy(update={"training_instance_type": "ml.m5.4xlarge", "max_training_seconds": 7200})
    assert candidate_fingerprint(bigger, INPUTS) == candidate_fingerprint(SETTINGS, INPUTS)
