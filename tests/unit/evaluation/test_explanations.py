"""Importance has intervals that cards make, and reasons that change are told."""

import numpy as np
import pytest

from ml_platform.core.svg import MAX_MARKDOWN
from ml_platform.evaluation.explanations import (
    Explanations,
    importance_by_card,
    judge_reasons,
    reasons_in_common,
)

NAMES = ("amount", "night", "terminal")


def test_importance_is_the_mean_distance_within_its_interval_greatest_first() -> None:
    found = np.random.default_rng(0).normal(size=(2000, 3)) * [1.0, 3.0, 0.1]
    ranked = importance_by_card(found, NAMES, np.arange(2000) % 300)
    assert [one.feature for one in ranked] == ["night", "amount", "terminal"]
    assert all(one.low < one.importance < one.high for one in ranked)
    assert ranked[0].importance == pytest.approx(np.abs(found[:, 1]).mean())


def test_payments_of_one_card_do_not_make_an_interval_narrow() -> None:
    """Ten times the same payment of each card says no more than one of each."""
    found = np.random.default_rng(1).normal(size=(100, 3))
    one, ten = (importance_by_card(np.tile(found, (n, 1)), NAMES, np.tile(np.arange(100), n)) for n in (1, 10))
    assert [(f.low, f.high) for f in ten] == [(pytest.approx(f.low), pytest.approx(f.high)) for f in one]


def test_intervals_hold_what_they_promise() -> None:
    """Of 100 worlds the interval holds the true mean in about 95."""
    held = 0
    for seed in range(100):
        random = np.random.default_rng(seed)
        by_card = random.normal(1.0, 0.3, size=(80, 1)).repeat(5, axis=0)
        (one,) = importance_by_card(np.abs(by_card), NAMES[:1], np.arange(80).repeat(5), seed=seed)
        held += one.low <= 1.0 <= one.high
    assert 88 <= held <= 100


def test_a_feature_that_one_model_lacks_is_a_reason_of_the_other_alone() -> None:
    first = np.array([[1.0, 0.5]])
    assert reasons_in_common((first, ("a", "b")), (first, ("a", "b")), most=2) == 1.0
    assert reasons_in_common((first, ("a", "b")), (first, ("a", "c")), most=2) == pytest.approx(1 / 3)
    assert reasons_in_common((first, ("a", "b")), (first[:, ::-1], ("b", "a")), most=2) == 1.0


@pytest.mark.parametrize(
    ("found", "in_common", "champion", "told"),
    [
        (np.ones((1, 3)), None, None, None),
        (np.ones((1, 3)), 0.8, 2, None),
        (np.ones((1, 3)), 0.3, 2, "30% of the reasons are those of version 2"),
        (np.ones((1, 3)), None, 2, "version 2 gives no reasons"),
        (None, None, 2, "gives no reasons: decisions cannot be explained"),
    ],
    ids=["first", "stable", "unstable", "champion without", "challenger without"],
)
def test_reasons_that_are_unknown_or_others_speak_against(
    found: np.ndarray | None, in_common: float | None, champion: int | None, told: str | None
) -> None:
    verdict = judge_reasons(found, in_common, 0.5, champion=champion)
    assert verdict.passed == (told is None)
    assert told is None or told in verdict.failures[0]


def test_the_chart_is_short_enough_to_be_shown() -> None:
    features = [f"terminal_fraud_rate_{number}d_over_all_cards" for number in range(60)]
    found = np.random.default_rng(2).normal(size=(50, 60))
    drawn = Explanations(
        model="m",
        candidate_fingerprint="f",
        rows=50,
        importance=importance_by_card(found, features, np.arange(50)),
    ).chart()
    assert len(drawn) <= MAX_MARKDOWN
    assert importance_by_card(found[:0], features, np.arange(0)) == ()
