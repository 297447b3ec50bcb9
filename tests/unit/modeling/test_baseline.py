"""Baseline profiles count every row once, in bins that show what a feature usually does."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pydantic import ValidationError

from ml_platform.modeling.baseline import Baseline, Profile, profile, quantile_edges
from ml_platform.modeling.pipeline import FittedPipeline
from tests.unit.modeling.payments import FEATURES, payments

VALUES = hnp.arrays("float64", st.integers(0, 200), elements=st.floats(-1e9, 1e9) | st.just(np.nan) | st.just(0.0))


@given(VALUES)
def test_every_row_is_in_one_bin_or_missing(values: np.ndarray) -> None:
    counted = profile(values, quantile_edges(values))
    assert counted.n_rows == len(values)
    assert counted.missing == np.isnan(values).sum()


@given(VALUES)
def test_a_profile_survives_json(values: np.ndarray) -> None:
    counted = profile(values, quantile_edges(values))
    assert Profile.model_validate_json(counted.model_dump_json()) == counted


def test_a_continuous_feature_has_ten_bins_of_a_tenth_each() -> None:
    values = np.random.default_rng(0).normal(size=10_000)
    counted = profile(values, quantile_edges(values))
    assert len(counted.counts) == 10
    assert all(count == pytest.approx(1000, abs=1) for count in counted.counts)


def test_a_value_that_fills_many_rows_has_a_bin_of_its_own() -> None:
    rates = np.concatenate([np.zeros(900), np.linspace(0.1, 1, 100)])
    assert profile(rates, quantile_edges(rates)).counts == (900, 100)
    flags = np.array([0.0] * 70 + [1.0] * 30)
    counted = profile(flags, quantile_edges(flags))
    assert [count for count in counted.counts if count] == [70, 30]


def test_a_constant_that_moves_either_way_leaves_its_bin() -> None:
    edges = quantile_edges(np.full(50, 3.0))
    assert profile(np.array([3.0]), edges).counts == (0, 1, 0)
    assert profile(np.array([2.9, 3.1, np.inf, -np.inf]), edges).counts == (2, 0, 2)


def test_a_feature_that_is_always_missing_has_one_empty_bin() -> None:
    values = np.full(5, np.nan)
    assert profile(values, quantile_edges(values)) == Profile(edges=(), counts=(0,), missing=5)


def test_the_baseline_has_every_feature_and_the_score(pipeline: FittedPipeline) -> None:
    frame = payments(500, 9)
    measured = Baseline.measure(pipeline.signature, frame, pipeline.score(frame))
    assert measured.features == FEATURES
    assert measured.n_rows == 500
    assert {column.n_rows for column in measured.columns.values()} == {500}
    assert measured.columns["amount"].missing == frame["amount"].isna().sum()
    assert sum(measured.score.counts) == 500


@pytest.mark.parametrize(
    "broken", [{"edges": (1.0,), "counts": (1,)}, {"edges": (2.0, 1.0), "counts": (1, 1, 1)}], ids=["bins", "order"]
)
def test_bins_that_do_not_fit_their_edges_are_refused(broken: dict[str, tuple[float, ...]]) -> None:
    with pytest.raises(ValidationError):
        Profile.model_validate(broken | {"missing": 0})


@pytest.mark.parametrize(
    "values",
    [
        np.random.default_rng(0).normal(size=1001),
        np.r_[np.zeros(700), np.ones(300)],  # a flag
        np.r_[np.zeros(850), np.random.default_rng(1).random(150)],  # a rate that is mostly zero
        np.r_[np.zeros(950), np.random.default_rng(1).random(50)],
        np.random.default_rng(2).integers(0, 6, 500).astype(float),
        np.full(10, 7.0),
    ],
    ids=["continuous", "flag", "rate", "rare", "count", "constant"],
)
def test_deciles_are_those_of_the_values(values: np.ndarray) -> None:
    measured = profile(values, quantile_edges(values))
    deciles = [measured.decile(number) for number in range(1, 10)]
    exact = np.quantile(values, np.arange(1, 10) / 10, method="inverted_cdf").tolist()
    # Of a smallest value that is one decile only, the bins know no more than what it is below.
    alone = exact.count(values.min()) == 1
    assert deciles == ([None, *exact[1:]] if alone else exact)


def test_a_column_without_values_has_no_decile() -> None:
    assert profile(np.array([np.nan]), ()).decile(5) is None
