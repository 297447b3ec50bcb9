"""Calibration keeps the ranking, matches a reference, and never invents a class it has not seen."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ml_platform.modeling.calibration import IDENTITY, Calibration, best_f1_threshold, fit_platt

RAW = np.random.default_rng(0).normal(-3, 2, 5000)
LABELS = (np.random.default_rng(1).random(5000) < 1 / (1 + np.exp(-(0.5 * RAW - 1)))).astype(float)


def test_platt_recovers_the_slope_and_intercept_behind_the_labels() -> None:
    fit = fit_platt(RAW, LABELS)
    assert fit.slope == pytest.approx(0.5, abs=0.08)
    assert fit.intercept == pytest.approx(-1, abs=0.15)


def test_platt_agrees_with_scikit_learns_sigmoid_calibration() -> None:
    from sklearn.calibration import _sigmoid_calibration

    slope, intercept = _sigmoid_calibration(RAW, LABELS)
    fit = fit_platt(RAW, LABELS)
    assert (fit.slope, fit.intercept) == pytest.approx((-slope, -intercept), rel=1e-4)


@pytest.mark.parametrize(
    ("raw", "labels"),
    [
        (np.array([1.0, 2.0]), np.array([1.0, 1.0])),
        (np.array([1.0, 2.0]), np.array([0.0, 0.0])),
        (np.array([1.0, 1.0]), np.array([0.0, 1.0])),
        (np.array([]), np.array([])),
        (RAW, 1 - LABELS),
    ],
    ids=["only ones", "only zeros", "constant score", "no rows", "upside down"],
)
def test_without_something_to_learn_the_score_stays_the_boosters(raw: np.ndarray, labels: np.ndarray) -> None:
    assert fit_platt(raw, labels) == IDENTITY


@pytest.mark.filterwarnings("error")
def test_perfectly_separated_classes_give_a_finite_slope() -> None:
    fit = fit_platt(np.array([-2.0, -1.0, 1.0, 2.0]), np.array([0.0, 0.0, 1.0, 1.0]))
    assert 0 < fit.slope < 100


@given(
    hnp.arrays("float64", st.integers(1, 50), elements=st.floats(-1e6, 1e6)),
    st.floats(1e-3, 1e3),
    st.floats(-1e3, 1e3),
)
def test_probabilities_lie_in_the_unit_interval_and_keep_the_order(
    raw: np.ndarray, slope: float, intercept: float
) -> None:
    probabilities = Calibration(slope=slope, intercept=intercept).probabilities(raw)
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
    assert (np.diff(probabilities[np.argsort(raw, kind="stable")]) >= 0).all()


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 1)), min_size=1, max_size=60))
def test_the_threshold_has_the_best_f1_of_all_thresholds(rows: list[tuple[int, int]]) -> None:
    scores = np.array([score for score, _ in rows]) / 20
    labels = np.array([float(label) for _, label in rows])
    threshold = best_f1_threshold(scores, labels)
    if len(set(labels)) == 1:
        assert threshold == 0.5
    else:
        assert _f1(scores, labels, threshold) == max(_f1(scores, labels, cut) for cut in set(scores))


def _f1(scores: np.ndarray, labels: np.ndarray, threshold: float) -> float:
    flagged = scores >= threshold
    return 2 * float(labels[flagged].sum()) / (flagged.sum() + labels.sum())
