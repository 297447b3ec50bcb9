"""The figures agree with hand-computed ones and with scikit-learn, and are unknown where they must be."""

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from ml_platform.modeling import metrics
from ml_platform.modeling.declared_metrics import measure
from ml_platform.modeling.metrics import UndefinedMetricError, card_precision_at_k

METRICS: tuple[Callable[[list[float], list[float]], float], ...] = (
    metrics.average_precision,
    metrics.roc_auc,
    metrics.expected_calibration_error,
    metrics.brier,
)


def days_of(*rows: tuple[int, str, int, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["day", "customer_id", "label", "score"])


def test_metrics_equal_those_of_scikit_learn() -> None:
    random = np.random.default_rng(3)
    labels = random.random(500) < 0.1
    scores = np.round(np.clip(labels * 0.3 + random.random(500) * 0.7, 0, 1), 2)  # rounded: ties
    assert metrics.average_precision(labels, scores) == pytest.approx(
        average_precision_score(labels, scores), abs=1e-12
    )
    assert metrics.roc_auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert metrics.brier(labels, scores) == pytest.approx(brier_score_loss(labels, scores), abs=1e-12)


def test_average_precision_of_three_ranked_rows() -> None:
    # Ranked: fraud, genuine, fraud: (1/1 + 2/3) / 2.
    assert metrics.average_precision([1, 0, 1], [0.9, 0.8, 0.7]) == pytest.approx(5 / 6)


def test_calibration_error_of_two_bins_by_hand() -> None:
    # Lower bin: mean score 0.1, observed 0.5. Upper bin: mean score 0.9, observed 1.0. (0.4 * 2 + 0.1 * 2) / 4.
    error = metrics.expected_calibration_error([0, 1, 1, 1], [0.1, 0.1, 0.9, 0.9], bins=2)
    assert error == pytest.approx(0.25)


def test_calibration_bins_hold_equally_many_rows() -> None:
    scores = np.random.default_rng(0).beta(1, 200, 10_000)
    _, _, rows = metrics.calibration_curve(np.zeros(10_000), scores, bins=10)
    assert rows.tolist() == pytest.approx([1_000] * 10, abs=1)


def test_calibration_does_not_depend_on_the_order_of_tied_rows() -> None:
    labels = np.array([1] * 10 + [0] * 90)
    scores = np.full(100, 0.1)
    assert metrics.expected_calibration_error(labels, scores) == pytest.approx(0)
    assert metrics.expected_calibration_error(labels[::-1], scores) == pytest.approx(0)


def test_card_precision_by_hand() -> None:
    """Day 1: top cards a (fraud), b. Day 2: a was found and is gone, so c (fraud), b. Day 3: d, b; no fraud."""
    frame = days_of(
        (1, "a", 1, 0.9), (1, "b", 0, 0.8), (1, "c", 0, 0.1),
        (2, "a", 1, 0.99), (2, "c", 1, 0.7), (2, "b", 0, 0.6), (2, "d", 1, 0.5),
        (3, "d", 0, 0.4), (3, "b", 0, 0.3), (3, "c", 1, 0.9),
    )  # fmt: skip
    assert card_precision_at_k(frame, k=2) == pytest.approx((1 / 2 + 1 / 2 + 0 / 2) / 3)


def test_a_card_missed_today_can_be_found_tomorrow() -> None:
    frame = days_of((1, "a", 1, 0.1), (1, "b", 0, 0.9), (2, "a", 1, 0.9), (2, "b", 0, 0.1))
    assert card_precision_at_k(frame, k=1) == pytest.approx((0 + 1) / 2)


def test_a_card_counts_with_its_highest_score_and_any_fraud_of_the_day() -> None:
    frame = days_of((1, "a", 0, 0.9), (1, "a", 1, 0.1), (1, "b", 0, 0.5))
    assert card_precision_at_k(frame, k=1) == 1


def test_the_share_is_over_k_even_with_fewer_cards() -> None:
    assert card_precision_at_k(days_of((1, "a", 1, 0.9))) == pytest.approx(1 / 100)


def test_card_precision_does_not_depend_on_the_order_of_rows() -> None:
    random = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "day": random.integers(0, 5, 800),
            "customer_id": random.integers(0, 300, 800).astype(str),
            "label": (random.random(800) < 0.1).astype(int),
            "score": np.round(random.random(800), 1),
        }
    )
    assert card_precision_at_k(frame, k=20) == card_precision_at_k(frame.sample(frac=1, random_state=2), k=20)


def handbook_card_precision(frame: pd.DataFrame, k: int) -> float:
    """The Handbook's own loop, with its names shortened."""
    found: list[str] = []
    shares = []
    for day in sorted(frame["day"].unique()):
        of_day = frame[frame["day"] == day]
        of_day = of_day[~of_day["customer_id"].isin(found)][["score", "customer_id", "label"]]
        cards = of_day.groupby("customer_id").max().sort_values(by="score", ascending=False).reset_index()
        top = cards.head(k)
        hits = list(top[top["label"] == 1]["customer_id"])
        shares.append(len(hits) / k)
        found.extend(hits)
    return float(np.mean(shares))


@pytest.mark.parametrize("seed", range(5))
def test_card_precision_equals_the_handbooks_loop(seed: int) -> None:
    random = np.random.default_rng(seed)
    labels = (random.random(3_000) < 0.08).astype(int)
    frame = pd.DataFrame(
        {
            "day": random.integers(0, 7, 3_000),
            "customer_id": random.integers(0, 500, 3_000).astype(str),
            "label": labels,
            "score": random.random(3_000) + labels * 0.5,
        }
    )
    assert card_precision_at_k(frame, k=30) == pytest.approx(handbook_card_precision(frame, 30), abs=1e-12)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_no_number_makes_a_metric_undefined(
    metric: Callable[[list[float], list[float]], float], odd: float
) -> None:
    with pytest.raises(UndefinedMetricError, match="1 of 3 scores are not finite"):
        metric([0, 1, 0], [0.1, odd, 0.2])


@pytest.mark.parametrize("metric", METRICS)
def test_no_rows_make_a_metric_undefined(metric: Callable[[list[float], list[float]], float]) -> None:
    with pytest.raises(UndefinedMetricError, match="no rows"):
        metric([], [])


@pytest.mark.parametrize("labels", [[0, 0, 0], [1, 1, 1]])
def test_ranking_is_undefined_with_one_class(labels: list[float]) -> None:
    for metric in (metrics.average_precision, metrics.roc_auc):
        with pytest.raises(UndefinedMetricError, match="one class only"):
            metric(labels, [0.1, 0.2, 0.3])


def test_calibration_is_undefined_for_scores_that_are_no_probabilities() -> None:
    for metric in (metrics.expected_calibration_error, metrics.brier):
        with pytest.raises(UndefinedMetricError, match=r"1 of 2 scores lie outside \[0, 1\]"):
            metric([0, 1], [0.5, 1.5])


def test_a_missing_label_is_not_a_genuine_payment() -> None:
    with pytest.raises(UndefinedMetricError, match="1 of 2 labels are neither 0 nor 1"):
        metrics.brier([0, math.nan], [0.5, 0.5])


def test_labels_and_scores_of_different_rows_are_a_defect() -> None:
    with pytest.raises(ValueError, match="2 labels but 3 scores"):
        metrics.roc_auc([0, 1], [0.1, 0.2, 0.3])


def test_measure_keeps_the_reason_of_every_unknown_figure() -> None:
    found = measure([0, 0], [0.1, 0.2])
    assert (found.average_precision, found.roc_auc, found.card_precision_at_100) == (None, None, None)
    assert found.why_unknown("roc_auc") == "one class only: 0 positives in 2 rows"
    assert found.why_unknown("card_precision_at_100") == "the rows carry no card or no day"
    assert found.brier == pytest.approx(0.025)
    assert (found.rows, found.positives) == (2, 0)


def test_the_ceiling_is_the_card_precision_of_a_perfect_ranking() -> None:
    found = measure([1, 0, 1], [0.1, 0.9, 0.2], days=[1, 1, 2], cards=["a", "b", "c"])
    assert found.card_precision_ceiling == pytest.approx(0.01)
