"""Both models row by row: intervals that are honest, slices that are named, money that adds up."""

import numpy as np
import pandas as pd
import pytest

from ml_platform.evaluation.bootstrap import draw_cards, ratio_draws
from ml_platform.evaluation.comparison import compare
from ml_platform.evaluation.slices import SliceBy
from ml_platform.modeling.declared_metrics import measure
from tests.unit.evaluation.builders import a_holdout


def two_models(seed: int, *, gain: float = 0.0, rows: int = 2_000) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """A holdout and two models whose errors are mostly shared; ``gain`` moves the first one's frauds up."""
    holdout, scores = a_holdout(rows, seed=seed)
    random = np.random.default_rng(seed + 1000)
    noisy = [np.clip(scores + random.normal(0, 0.02, rows), 0, 1) for _ in range(2)]
    return holdout, np.clip(noisy[0] + gain * holdout["label"].to_numpy(), 0, 1), noisy[1]


def test_the_same_scores_differ_by_nothing() -> None:
    holdout, scores, _ = two_models(0)
    found = compare(holdout, scores, scores, draws=50)
    assert all((metric.difference, metric.low, metric.high) == (0, 0, 0) for metric in found.metrics)
    # In no draw is either of them better, so that nothing speaks for a gain.
    assert all((metric.worse_p, metric.no_better_p) == (1, 1) for metric in found.metrics)


def test_the_figures_are_those_of_the_reports() -> None:
    holdout, first, second = two_models(1)
    found = compare(holdout, first, second, draws=5)
    report = measure(
        holdout["label"], second, days=holdout["event_time"].dt.date, cards=holdout["customer_id"]
    ).model_dump()
    for name in ("average_precision", "roc_auc", "card_precision_at_100"):
        metric = found.metric(name)
        assert metric is not None
        assert metric.champion == pytest.approx(report[name], abs=1e-12)


def test_slices_take_recall_where_all_rows_do() -> None:
    holdout, first, second = two_models(2)
    # All frauds, and all genuine payments but one.
    holdout["part"] = np.arange(len(holdout)) == int(np.argmin(holdout["label"].to_numpy()))
    found = compare(holdout, first, second, slices=[SliceBy(name="part", column="part", edges=(1,))], draws=5)
    (every,), overall = found.slices, found.metric("recall_at_fpr")
    assert overall is not None
    assert (every.challenger, every.champion) == pytest.approx((overall.challenger, overall.champion), abs=1e-12)


def test_the_bounds_hold_the_truth_as_often_as_they_say() -> None:
    # Equal models: the lower bound may lie above zero in 10 % of the holdouts. 60 of them; 13 is beyond a 1 % chance.
    above = sum(
        compare(*two_models(seed, rows=1_000), draws=100).metric("average_precision").low > 0  # type: ignore[union-attr]
        for seed in range(60)
    )
    assert above <= 13


def test_a_real_gain_is_established() -> None:
    found = compare(*two_models(3, gain=0.1), draws=200).metric("average_precision")
    assert found is not None
    assert found.low > 0
    assert found.worse_p > 0.95
    assert found.no_better_p is not None
    assert found.no_better_p < 0.05


def test_the_same_seed_gives_the_same_bounds() -> None:
    rows = two_models(4)
    assert compare(*rows, draws=40, seed=9) == compare(*rows, draws=40, seed=9)
    assert compare(*rows, draws=40, seed=9) != compare(*rows, draws=40, seed=8)


def test_the_order_of_rows_does_not_matter() -> None:
    holdout, first, second = two_models(5)
    order = np.random.default_rng(0).permutation(len(holdout))
    moved = compare(holdout.iloc[order].reset_index(drop=True), first[order], second[order], draws=30)
    assert [metric.low for metric in moved.metrics] == pytest.approx(
        [metric.low for metric in compare(holdout, first, second, draws=30).metrics]
    )


def test_a_slice_made_worse_is_the_one_that_is_named() -> None:
    holdout, first, second = two_models(6, rows=6_000)
    holdout["amount"] = np.random.default_rng(66).uniform(0, 300, len(holdout))
    hurt = (holdout["amount"] >= 220).to_numpy() & (holdout["label"] == 1).to_numpy()
    first[hurt] = 0
    found = {slice_.slice: slice_ for slice_ in compare(holdout, first, second, draws=200).slices}
    assert found["amount from 220"].worse_p < 0.01
    assert found["amount from 220"].difference < -0.1
    assert all(slice_.worse_p > 0.05 for name, slice_ in found.items() if name.startswith("amount below"))


def test_a_slice_with_too_few_positives_is_listed_not_judged() -> None:
    holdout, first, second = two_models(7)
    holdout["tenant"] = np.where(np.arange(len(holdout)) < 40, "small", "large")
    found = compare(holdout, first, second, draws=20)
    assert "tenant large" in {slice_.slice for slice_ in found.slices}
    assert found.small_slices["tenant small"] < 20


def test_money_is_compared_per_thousand_payments() -> None:
    holdout, first, second = two_models(8)
    costs = {"challenger": np.full(len(holdout), 0.5), "champion": np.full(len(holdout), 0.7)}
    found = compare(holdout, first, second, costs=costs, draws=20).metric("cost_per_1000")
    assert found is not None
    assert found.difference == pytest.approx(200)
    assert found.low == pytest.approx(200)


def test_rows_of_one_card_are_drawn_together() -> None:
    # All that varies lies in one card of two: drawn alone, rows would give a much narrower spread.
    cards = np.repeat([0, 1], 500)
    drawn = draw_cards(2, 200, 0)
    spread = ratio_draws(cards, (cards == 1).astype(float)[:, None], np.ones((1000, 1)), drawn)
    assert set(np.unique(spread)) == {0.0, 0.5, 1.0}


def test_rows_of_one_class_cannot_be_compared() -> None:
    holdout, first, second = two_models(9)
    with pytest.raises(ValueError, match="one class only: 0 positives in 2000 rows"):
        compare(holdout.assign(label=0), first, second, draws=5)


def test_scores_that_are_no_numbers_cannot_be_compared() -> None:
    holdout, first, second = two_models(9)
    first[3] = np.nan
    with pytest.raises(ValueError, match="1 of 2000 scores of the challenger are not finite"):
        compare(holdout, first, second, draws=5)


def test_edges_that_do_not_rise_are_refused() -> None:
    with pytest.raises(ValueError, match="must rise"):
        SliceBy(name="amount", column="amount", edges=(20, 10))


def test_a_cut_that_parts_nothing_is_no_slice() -> None:
    cut = SliceBy(name="card age", column="age", edges=(30,))
    old = pd.DataFrame({"age": [31.0, 90.0]})
    assert (cut.absent(old), list(cut.cut(old))) == ("all rows are card age from 30", [])
    assert cut.absent(pd.DataFrame({"age": [3.0, 90.0]})) is None


def test_missing_values_are_a_slice_of_their_own() -> None:
    frame = pd.DataFrame({"amount": [1.0, 30.0, np.nan]})
    names = [name for name, _ in SliceBy(name="amount", column="amount", edges=(20,)).cut(frame)]
    assert names == ["amount below 20", "amount from 20", "amount missing"]
