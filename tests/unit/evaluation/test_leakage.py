"""A leak is named: labels broken on purpose leave nothing to find, and no feature does the model's work alone."""

import itertools
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from ml_platform.evaluation.leakage import LeakagePolicy, LeakageReport, probe_leakage
from ml_platform.modeling.hyperparameters import HyperParameters
from ml_platform.modeling.pipeline import FittedPipeline

POLICY = LeakagePolicy()
FEATURES = ("signal", "weak")


def rows(seed: int, n: int = 6_000) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    label = (random.random(n) < 0.03).astype(int)
    return pd.DataFrame(
        {
            "label": label,
            "signal": random.normal(label * 2, 1),
            "weak": random.normal(label * 1.8, 1),
            "position": np.arange(n),
        }
    )


def small_model(features: tuple[str, ...]) -> Callable[[pd.DataFrame], Callable[[pd.DataFrame], np.ndarray]]:
    """A model of the platform's kind; a linear one would be right by luck whenever its two weights are positive."""
    hyperparameters = HyperParameters(
        features=features, model_parameters={"num_iterations": 15}, seed=0, fingerprint="test"
    )
    return lambda train: FittedPipeline.fit(train, None, hyperparameters).score


def probed(train: pd.DataFrame, holdout: pd.DataFrame, features: tuple[str, ...] = FEATURES) -> LeakageReport:
    fit = small_model(features)
    return probe_leakage(train, holdout, fit(train)(holdout), fit, features=features)


def test_an_honest_model_passes() -> None:
    report = probed(rows(0), rows(1))
    assert report.verdict(POLICY).passed
    assert report.model > 5 * report.chance


def test_a_feature_written_after_the_fact_is_named() -> None:
    train, holdout = (frame.assign(refunded=frame["label"] * 0.9) for frame in (rows(0), rows(1)))
    (reason,) = probed(train, holdout, (*FEATURES, "refunded")).verdict(POLICY).failures
    assert reason.startswith("leakage: refunded alone reaches average precision 1.0000")


def test_a_feature_that_leaks_downwards_is_named_too() -> None:
    train, holdout = (frame.assign(days_to_dispute=-frame["label"]) for frame in (rows(0), rows(1)))
    (reason,) = probed(train, holdout, (*FEATURES, "days_to_dispute")).verdict(POLICY).failures
    assert "days_to_dispute alone" in reason


def test_frauds_found_without_labels_are_a_leak() -> None:
    # Whatever the labels say, this "model" knows the holdout's: as one that was fitted on the holdout would.
    def all_knowing(_: pd.DataFrame) -> Callable[[pd.DataFrame], np.ndarray]:
        return lambda frame: frame["label"].to_numpy(dtype=float)

    train, holdout = rows(0), rows(1)
    scores = small_model(FEATURES)(train)(holdout)
    report = probe_leakage(train, holdout, scores, all_knowing, features=FEATURES)
    assert [reason.split(" labels")[0] for reason in report.verdict(POLICY).failures] == [
        "leakage: a model fitted on permuted",
        "leakage: a model fitted on shifted",
    ]


@pytest.mark.parametrize(("lucky", "passed"), [({0}, True), ({5}, True), ({0, 2}, False), ({3, 4}, False)])
def test_one_lucky_fit_is_no_leak_and_two_of_three_are(lucky: set[int], passed: bool) -> None:  # noqa: FBT001  # a pytest parameter
    fits = itertools.count()

    def fit(_: pd.DataFrame) -> Callable[[pd.DataFrame], np.ndarray]:
        column = "label" if next(fits) in lucky else "position"
        return lambda frame: frame[column].to_numpy(dtype=float)

    report = probe_leakage(rows(0), rows(1), rows(1)["signal"].to_numpy(), fit, features=FEATURES)
    assert report.verdict(POLICY).passed == passed


def test_missing_values_do_not_make_a_feature_look_good() -> None:
    train, holdout = (frame.assign(weak=np.nan) for frame in (rows(0), rows(1)))
    report = probe_leakage(train, holdout, holdout["signal"].to_numpy(), small_model(("signal",)), features=FEATURES)
    assert report.features["weak"] == pytest.approx(report.chance)


def test_the_same_seed_gives_the_same_report() -> None:
    assert probed(rows(0, 30_000), rows(1)) == probed(rows(0, 30_000), rows(1))
