"""Hyper-parameters survive the trip through SageMaker's strings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_platform.core.errors import ConfigurationError
from ml_platform.modeling.hyperparameters import HyperParameters
from tests.unit.modeling.payments import hyperparameters

SCALARS = st.one_of(st.booleans(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False), st.text(max_size=20))


@given(
    parameters=st.dictionaries(st.text(min_size=1, max_size=10), SCALARS, max_size=5),
    seed=st.integers(0, 2**31 - 1),
    shuffle=st.booleans(),
)
def test_strings_read_back_to_the_same_values(parameters: dict[str, object], seed: int, *, shuffle: bool) -> None:
    original = hyperparameters(model_parameters=parameters, seed=seed, shuffle_labels=shuffle)
    strings = original.to_sagemaker()
    assert all(isinstance(value, str) for value in strings.values())
    assert HyperParameters.from_sagemaker(strings) == original


def test_a_tuning_job_may_set_lightgbm_parameters_one_by_one() -> None:
    strings = hyperparameters(model_parameters={"num_leaves": 8, "max_bin": 255}).to_sagemaker()
    tuned = HyperParameters.from_sagemaker(strings | {"num_leaves": "31", "_tuning_objective_metric": "x"})
    assert tuned.model_parameters == {"num_leaves": 31, "max_bin": 255}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"features": "amount"}, "features is not valid JSON"),
        ({"features": "[]"}, "features"),
        ({"model_parameters": "[1]"}, "model_parameters"),
        ({"seed": "-1"}, "seed"),
        ({"seed": "many"}, "seed"),
        ({"shuffle_labels": "perhaps"}, "shuffle_labels"),
        ({"fingerprint": ""}, "fingerprint"),
    ],
)
def test_what_cannot_be_used_is_named(change: dict[str, str], reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        HyperParameters.from_sagemaker(hyperparameters().to_sagemaker() | change)


def test_a_missing_value_is_named() -> None:
    strings = hyperparameters().to_sagemaker()
    del strings["fingerprint"]
    with pytest.raises(ConfigurationError, match="fingerprint: Field required"):
        HyperParameters.from_sagemaker(strings)


def test_a_value_longer_than_sagemaker_allows_is_refused_before_the_call() -> None:
    with pytest.raises(ConfigurationError, match=r"features has .* SageMaker allows 2500"):
        hyperparameters(features=tuple(f"feature_number_{number}" for number in range(200))).to_sagemaker()


def test_features_that_no_signature_allows_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="named twice"):
        HyperParameters.from_sagemaker(hyperparameters().to_sagemaker() | {"features": '["a", "a"]'})
