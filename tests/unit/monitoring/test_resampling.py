"""The bound lies above the sample's own figure, nears it with more frauds, and is repeatable."""

import numpy as np
import pytest

from ml_platform.modeling.ranking import average_precision
from ml_platform.monitoring.resampling import average_precision_at_best


def a_sample(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = (random.random(rows) < 0.05).astype(int)
    return labels, np.round(random.beta(1, 20, rows) + labels * random.random(rows) * 0.5, 3)


def test_the_bound_nears_the_figure_with_more_frauds() -> None:
    room = []
    for rows in (400, 4_000, 40_000):
        labels, scores = a_sample(rows)
        room.append(average_precision_at_best(labels, scores, 0.95) - average_precision(labels, scores))
    assert room[0] > room[1] > room[2] > 0


def test_the_bound_covers_the_truth_about_as_often_as_it_says() -> None:
    truth = average_precision(*a_sample(400_000))
    covered = [average_precision_at_best(*a_sample(1_000, seed), 0.9) >= truth for seed in range(60)]
    assert 0.8 <= np.mean(covered) <= 1


def test_the_same_rows_give_the_same_bound() -> None:
    labels, scores = a_sample(500)
    bound = average_precision_at_best(labels, scores, 0.95)
    assert average_precision_at_best(labels, scores, 0.95) == bound


@pytest.mark.parametrize("scores", [np.full(50, 0.5), np.linspace(0, 1, 50)], ids=["all tie", "none ties"])
def test_one_fraud_gives_a_bound_that_is_a_share(scores: np.ndarray) -> None:
    labels = np.zeros(50, dtype=int)
    labels[20] = 1
    assert 0 < average_precision_at_best(labels, scores, 0.95) <= 1


def test_the_order_of_the_rows_does_not_move_the_bound() -> None:
    labels, _ = a_sample(500)
    scores = np.random.default_rng(1).random(500)
    assert average_precision_at_best(labels[::-1], scores[::-1], 0.95) == average_precision_at_best(
        labels, scores, 0.95
    )
