"""Scores that keep their distribution measure as stable; those of a day that moved are named."""

from datetime import date

import numpy as np
import pytest

from ml_platform.modeling.score_stability import ScoreAgreement, ScoreStability

FIRST, SECOND = date(2018, 8, 8), date(2018, 8, 9)


def scores(rows: int, seed: int, shift: float = 0.0) -> np.ndarray:
    return np.clip(np.random.default_rng(seed).beta(1, 20, rows) + shift, 0, 1)


def test_scores_of_the_same_distribution_are_stable() -> None:
    days = np.repeat([FIRST, SECOND], 2_000)
    found = ScoreStability.measure(scores(5_000, 0), scores(4_000, 1), days)
    assert found.holdout.psi < 0.01
    assert [shift.rows for shift in found.days.values()] == [2_000, 2_000]


def test_the_day_that_moved_is_named() -> None:
    days = np.repeat([FIRST, SECOND], 2_000)
    holdout = np.append(scores(2_000, 1), scores(2_000, 2, shift=0.1))
    found = ScoreStability.measure(scores(5_000, 0), holdout, days)
    assert found.worst_day == SECOND
    assert found.days[FIRST].psi < 0.02
    assert found.days[SECOND].psi > 0.25


def test_agreement_is_about_ranks_and_the_highest_scores() -> None:
    ours = scores(1_000, 0)
    assert ScoreAgreement.measure(ours, ours**2) == ScoreAgreement(rank_correlation=1.0, top_overlap=1.0)
    reversed_ = ScoreAgreement.measure(ours, -ours)
    assert (reversed_.rank_correlation, reversed_.top_overlap) == (pytest.approx(-1), 0)
    assert ScoreAgreement.measure(ours, np.zeros(1_000)).rank_correlation is None
