"""Folds never see their future, and cards known to be compromised leave the test."""

import itertools
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from ml_platform.evaluation.folds import Fold, FoldResults, evaluate_folds, prequential_folds, split

FIRST = date(2018, 7, 25)


def payments(frauds: dict[tuple[str, int], int], days: int = 21) -> pd.DataFrame:
    """Cards a to d pay once a day; ``frauds`` has 1 at a card and day."""
    rows = [
        {
            "event_time": pd.Timestamp(FIRST, tz="UTC") + timedelta(days=day, hours=12),
            "customer_id": card,
            "label": frauds.get((card, day), 0),
        }
        for day in range(days)
        for card in "abcd"
    ]
    return pd.DataFrame(rows)


def only_fold(**overrides: int) -> Fold:
    return prequential_folds(FIRST + timedelta(days=14), folds=1, **overrides)[0]


def test_folds_slide_back_and_share_no_test_day() -> None:
    folds = prequential_folds(date(2018, 8, 29))
    assert [fold.test_start for fold in folds] == [date(2018, 8, 29) - timedelta(days=7 * back) for back in range(4)]
    assert all(newer.test_start == older.test_end for newer, older in itertools.pairwise(folds))


def test_labels_of_the_delay_are_in_no_training_row() -> None:
    train, test = split(payments({}), only_fold())
    assert train["event_time"].max() < pd.Timestamp("2018-08-01", tz="UTC")
    assert test["event_time"].min() >= pd.Timestamp("2018-08-08", tz="UTC")
    assert (len(train), len(test)) == (28, 28)


def test_a_longer_training_window_is_tested_on_the_same_rows() -> None:
    rows = payments({("a", 3): 1})
    _, short = split(rows, only_fold(train_days=2))
    _, whole = split(rows, only_fold(train_days=7))
    pd.testing.assert_frame_equal(short, whole)


def test_a_card_with_a_fraud_while_training_is_not_tested() -> None:
    _, test = split(payments({("a", 3): 1}), only_fold())
    assert "a" not in set(test["customer_id"])


def test_a_fraud_of_the_delay_blocks_a_card_only_once_it_is_known() -> None:
    # Day 8 of the data is the second after training, so it is known on the third test day.
    _, test = split(payments({("b", 8): 1}), only_fold())
    days = test.loc[test["customer_id"] == "b", "event_time"].dt.date
    assert sorted(days) == [date(2018, 8, 8), date(2018, 8, 9)]


def test_figures_are_those_of_the_metrics_over_the_folds() -> None:
    rows = payments({("c", 15): 1, ("d", 2): 1, ("d", 16): 1})
    found = evaluate_folds(rows, [only_fold()], lambda _: lambda test: (test["customer_id"] == "c").to_numpy() * 1.0)
    # Card d is blocked, c is found on its day: one of a hundred cards on one of seven days.
    assert found.mean("card_precision_at_100") == pytest.approx(0.01 / 7)
    assert found.mean("roc_auc") == pytest.approx(1 - 6 / 20 / 2)


def test_spread_is_the_populations() -> None:
    results = FoldResults(({"roc_auc": 0.8}, {"roc_auc": 0.9}))
    assert results.std("roc_auc") == pytest.approx(np.std([0.8, 0.9]))
