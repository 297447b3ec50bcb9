"""The curve is what the decision policy itself would have cost at each number of reviews."""

import numpy as np
import pytest

from ml_platform.modeling.cost_curve import CostCurve
from ml_platform.modeling.decision_policy import DecisionPolicy
from ml_platform.modeling.money import Action, MoneyParameters

DAYS = 5


def payments(rows: int = 2_000) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Calibrated scores, labels, amounts and days; many scores are tied."""
    random = np.random.default_rng(3)
    scores = np.round(random.beta(0.3, 8, rows), 2)
    labels = (random.random(rows) < scores).astype(int)
    amounts = np.round(random.gamma(2, 40, rows), -1)
    return scores, labels, amounts, np.arange(rows) % DAYS


@pytest.mark.parametrize("reviews_per_day", [0, 3, 20, 10_000])
def test_each_point_costs_what_the_policy_of_that_capacity_would_have_cost(reviews_per_day: int) -> None:
    scores, labels, amounts, days = payments()
    money = MoneyParameters(reviews_per_day=reviews_per_day)
    curve = CostCurve.measure(scores, labels, amounts, days, money)
    for budget, cost in zip(curve.reviews_per_day, curve.costs, strict=True):
        policy = DecisionPolicy.fit(
            scores,
            amounts,
            days,
            model="",
            artifact_fingerprint="",
            money=money.model_copy(update={"reviews_per_day": int(budget)}),
        )
        realised = money.realised(policy.decide(scores, amounts), labels, amounts)
        assert cost == pytest.approx(1000 * realised.mean(), abs=1e-3)
    assert len(curve.reviews_per_day) <= 50


def test_the_operating_point_is_the_capacity_or_all_that_is_worth_a_review() -> None:
    scores, labels, amounts, days = payments()
    few = CostCurve.measure(scores, labels, amounts, days, MoneyParameters(reviews_per_day=7))
    plenty = CostCurve.measure(scores, labels, amounts, days, MoneyParameters(reviews_per_day=10_000))
    assert few.reviews_per_day[few.chosen] == 7
    assert few.reviews_per_day[-1] == 35
    assert plenty.chosen == len(plenty.reviews_per_day) - 1


def test_savings_are_held_against_approving_everything() -> None:
    scores, labels, amounts, days = payments()
    money = MoneyParameters(reviews_per_day=7)
    curve = CostCurve.measure(scores, labels, amounts, days, money)
    approved = money.cost_if_fraud(Action.APPROVE, amounts[labels == 1]).sum() / len(labels) * 1000
    assert curve.doing_nothing == pytest.approx(approved, abs=1e-3)
    assert curve.savings == pytest.approx(approved - curve.costs[curve.chosen], abs=1e-3)


def test_a_day_without_anything_worth_a_review_has_a_point() -> None:
    zeros = np.zeros(10)
    curve = CostCurve.measure(zeros, zeros, zeros + 5, zeros, MoneyParameters())
    assert (curve.reviews_per_day, curve.chosen, curve.cost, curve.savings) == ((0.0,), 0, 0.0, 0.0)


def test_the_parts_of_a_cost_are_what_it_was_spent_on() -> None:
    money = MoneyParameters()
    actions = np.repeat([Action.APPROVE, Action.REVIEW, Action.DECLINE], 2)
    labels, amounts = np.array([0, 1] * 3), np.full(6, 100.0)
    parts = {name: values.round(6).tolist() for name, values in money.parts(actions, labels, amounts).items()}
    assert parts == {
        "fraud_losses": [0, 115, 0, 11.5, 0, 0],
        "false_declines": [0, 0, 0, 0, 7, 0],
        "reviews": [0, 0, 3, 3, 0, 0],
    }
