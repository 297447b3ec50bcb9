"""Weighted figures equal the plain ones on rows that are really repeated."""

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from ml_platform.modeling import ranking
from ml_platform.modeling.weighted_ranking import WeightedCardDays, WeightedRanking


def rows(seed: int, n: int = 400, cards: int = 30) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Labels, scores with many ties, cards and days."""
    random = np.random.default_rng(seed)
    labels = (random.random(n) < 0.1).astype(int)
    labels[:2] = (0, 1)
    scores = np.round(random.random(n) * 0.6 + labels * 0.3, 1)
    return labels, scores, random.integers(0, cards, n), random.integers(0, 4, n)


@given(st.integers(0, 10_000))
def test_a_weight_counts_like_that_many_rows(seed: int) -> None:
    labels, scores, cards, _ = rows(seed)
    weights = np.random.default_rng(seed + 1).integers(0, 4, 30)
    repeated = np.repeat(np.arange(len(labels)), weights[cards])
    found = WeightedRanking(labels, scores, cards).measure(weights)
    if len(np.unique(labels[repeated])) < 2:
        assert found is None
        return
    assert found is not None
    expected = ranking.average_precision(labels[repeated], scores[repeated])
    assert np.isclose(found.average_precision, expected, atol=1e-12)
    assert np.isclose(found.roc_auc, ranking.roc_auc(labels[repeated], scores[repeated]), atol=1e-12)


def test_recall_is_taken_at_the_lowest_allowed_threshold() -> None:
    labels = np.array([1, 0, 1, 0, 0, 1])
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    one_of_three = WeightedRanking(labels, scores, np.arange(6), max_fpr=0.34).measure(np.ones(6, int))
    none = WeightedRanking(labels, scores, np.arange(6), max_fpr=0.0).measure(np.ones(6, int))
    assert one_of_three is not None
    assert none is not None
    assert one_of_three.recall_at_fpr == 2 / 3
    assert none.recall_at_fpr == 1 / 3


def card_precision_by_frames(frame: pd.DataFrame, k: int) -> float:
    """The Handbook's definition in the plainest way; ties by card."""
    cards = frame.groupby(["day", "card"])[["score", "label"]].max().reset_index()
    found: set[int] = set()
    shares = []
    for _, day in cards.groupby("day"):
        top = day[~day["card"].isin(found)].sort_values(["score", "card"], ascending=[False, True]).head(k)
        hits = top.loc[top["label"] == 1, "card"]
        shares.append(len(hits) / k)
        found.update(hits)
    return sum(shares) / len(shares)


@given(st.integers(0, 10_000), st.integers(1, 12))
def test_card_precision_is_the_handbooks_when_each_card_is_drawn_once(seed: int, k: int) -> None:
    labels, scores, cards, days = rows(seed)
    frame = pd.DataFrame({"day": days, "card": cards, "label": labels, "score": scores})
    found = WeightedCardDays(labels, scores, days, cards).measure(np.ones(30, int), k)
    assert np.isclose(found, card_precision_by_frames(frame, k), atol=1e-12)


def test_a_card_drawn_twice_takes_two_places() -> None:
    labels, scores = np.array([1, 0]), np.array([0.9, 0.8])
    by_day = WeightedCardDays(labels, scores, np.zeros(2, int), np.array([0, 1]))
    assert by_day.measure(np.array([2, 1]), 2) == 1.0
    assert by_day.measure(np.array([1, 1]), 2) == 0.5
    assert by_day.measure(np.array([0, 1]), 2) == 0.0


def test_draws_measured_together_are_measured_as_one_by_one() -> None:
    labels, scores, cards, days = rows(1)
    ranking_, by_day = WeightedRanking(labels, scores, cards), WeightedCardDays(labels, scores, days, cards)
    draws = np.random.default_rng(2).poisson(0.7, (20, 30))
    # One draw without any positive, and one without anything.
    draws[3, cards[labels == 1]] = 0
    draws[4] = 0
    together = ranking_.measure_all(draws)
    for weights, figures, precision in zip(draws, together, by_day.measure_all(draws, 3), strict=True):
        one = ranking_.measure(weights)
        expected = [np.nan] * 3 if one is None else [one.average_precision, one.roc_auc, one.recall_at_fpr]
        assert np.array_equal(figures, expected, equal_nan=True)
        assert precision == by_day.measure(weights, 3)
    assert np.isnan(together[3:5]).all()
    assert not np.isnan(together[:3]).any()


def test_places_that_few_cards_leave_empty_are_filled_from_further_down() -> None:
    # The 600 cards in front are never drawn, so that the places go to those behind them.
    cards = np.arange(800)
    weights = (cards >= 600).astype(int)
    by_day = WeightedCardDays((cards >= 600).astype(int), -cards / 800, np.zeros(800, int), cards)
    assert by_day.measure(weights, 10) == 1.0
