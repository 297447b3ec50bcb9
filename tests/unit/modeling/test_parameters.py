"""LightGBM parameters: the preset holds unless a model replaces a value it may replace."""

import pytest

from ml_platform.core.errors import ConfigurationError
from ml_platform.modeling.parameters import PRESET, resolve_parameters


def test_without_overrides_the_preset_holds() -> None:
    resolved = resolve_parameters({}, seed=5)
    assert resolved == PRESET | {"objective": "binary", "seed": 5}


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("n_estimators", "num_iterations"),
        ("subsample", "bagging_fraction"),
        ("reg_lambda", "lambda_l2"),
        ("n_jobs", "num_threads"),
    ],
)
def test_an_alias_replaces_the_presets_value(alias: str, name: str) -> None:
    resolved = resolve_parameters({alias: 1}, seed=0)
    assert resolved[name] == 1
    assert alias not in resolved


def test_a_misspelt_parameter_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no parameter num_leafs"):
        resolve_parameters({"num_leafs": 8}, seed=0)


def test_one_parameter_under_two_names_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="num_iterations twice"):
        resolve_parameters({"num_iterations": 10, "n_estimators": 20}, seed=0)


@pytest.mark.parametrize("name", ["objective", "app", "sigmoid", "num_class", "random_state"])
def test_what_the_platform_owns_cannot_be_replaced(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"may not set {name}"):
        resolve_parameters({name: 1}, seed=0)
