"""A leak is named: labels broken on purpose leave nothing to find, and no feature does the model's work alone."""

import itertools
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from ml_platform.evaluation.leakage import (
    MAX_FITS,
    MAX_ROWS,
    LeakagePolicy,
    LeakageReport,
    probe_leakage,
    small_fit,
)
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


def all_but(lucky_rounds: range) -> Callable[[pd.DataFrame], Callable[[pd.DataFrame], np.ndarray]]:
    """A fit that knows the holdout's labels in all rounds but these."""
    fits = itertools.count()

    def fit(_: pd.DataFrame) -> Callable[[pd.DataFrame], np.ndarray]:
        column = "position" if next(fits) in lucky_rounds else "label"
        return lambda frame: frame[column].to_numpy(dtype=float)

    return fit


@pytest.mark.parametrize("blind", [0, 4, MAX_FITS - 1])
def test_one_fit_that_finds_nothing_clears_a_probe(blind: int) -> None:
    """The other probe, which comes after it, finds the labels every time."""
    fit = all_but(range(blind, blind + 1))
    report = probe_leakage(rows(0), rows(1), rows(1)["signal"].to_numpy(), fit, features=FEATURES)
    assert report.shuffled < 4 * report.chance
    (reason,) = report.verdict(POLICY).failures
    assert "fitted on shifted labels reaches average precision 1.0000" in reason


def test_an_honest_candidate_pays_two_small_fits() -> None:
    sizes = []

    def fit(train: pd.DataFrame) -> Callable[[pd.DataFrame], np.ndarray]:
        sizes.append(len(train))
        return lambda frame: frame["position"].to_numpy(dtype=float)

    probe_leakage(rows(0, 30_000), rows(1), rows(1)["signal"].to_numpy(), fit, features=FEATURES)
    assert sizes == [MAX_ROWS, MAX_ROWS]


def test_what_could_not_be_probed_speaks_against_the_candidate() -> None:
    assert LeakageReport.unknown("its code is gone").verdict(POLICY).failures == (
        "leakage was not probed: its code is gone",
    )


@pytest.mark.parametrize(
    ("code", "given", "probed_with"),
    [
        ("", {}, {"num_iterations": 40}),
        ("", {"n_estimators": 600, "num_leaves": 4}, {"n_estimators": 40, "num_leaves": 4}),
        ("", {"num_trees": 9}, {"num_trees": 9}),
        ("c" * 64, {"n_estimators": 300, "C": 2}, {"n_estimators": 40, "C": 2}),
        ("c" * 64, {"max_iter": 500}, {"max_iter": 500}),
    ],
)
def test_a_probe_is_fitted_as_the_candidate_was_but_small(
    code: str, given: dict[str, float], probed_with: dict[str, float]
) -> None:
    fitted_with = HyperParameters(
        features=FEATURES,
        model_parameters=given,
        code=code,
        positive_weight=3,
        monotone={"signal": 1},
        shuffle_labels=True,
        fingerprint="f",
    )
    small = small_fit(fitted_with)
    assert small.model_parameters == probed_with
    assert (small.code, small.positive_weight, small.shuffle_labels) == (code, 3, False)


def test_constraints_that_find_frauds_without_labels_are_no_leak() -> None:
    fitted_with = HyperParameters(features=FEATURES, monotone={"signal": 1, "weak": 1}, fingerprint="f")
    assert small_fit(fitted_with).monotone == {}


def test_missing_values_do_not_make_a_feature_look_good() -> None:
    train, holdout = (frame.assign(weak=np.nan) for frame in (rows(0), rows(1)))
    report = probe_leakage(train, holdout, holdout["signal"].to_numpy(), small_model(("signal",)), features=FEATURES)
    assert report.features["weak"] == pytest.approx(report.chance)


def test_the_same_seed_gives_the_same_report() -> None:
    assert probed(rows(0, 30_000), rows(1)) == probed(rows(0, 30_000), rows(1))
