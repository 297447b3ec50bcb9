"""Decisions cost least in expectation, and never more reviews than people can do."""

from datetime import UTC, datetime

import numpy as np
import pytest

from ml_platform.core.errors import ConfigurationError
from ml_platform.modeling.calibration import Calibration
from ml_platform.modeling.decision_policy import DecisionPolicy, Matured
from ml_platform.modeling.money import Action, MoneyParameters

MONEY = MoneyParameters(reviews_per_day=5)


def fitted(scores: np.ndarray, amounts: np.ndarray, money: MoneyParameters = MONEY, days: int = 1) -> DecisionPolicy:
    return DecisionPolicy.fit(
        scores, amounts, np.arange(len(scores)) % days, model="card_fraud", artifact_fingerprint="f", money=money
    )


def test_a_sure_fraud_is_declined_and_a_sure_customer_approved() -> None:
    policy = fitted(np.array([0.0, 1.0]), np.array([50.0, 50.0]))
    assert policy.decide(np.array([0.0, 1.0]), np.array([50.0, 50.0])).tolist() == [Action.APPROVE, Action.DECLINE]


def test_the_same_doubt_is_reviewed_when_the_amount_is_worth_it() -> None:
    policy = fitted(np.full(2, 0.05), np.array([5.0, 900.0]))
    assert policy.decide(np.full(2, 0.05), np.array([5.0, 900.0])).tolist() == [Action.APPROVE, Action.REVIEW]


def test_without_reviewers_payments_are_approved_or_declined() -> None:
    random = np.random.default_rng(0)
    scores, amounts = random.random(1000), random.gamma(2, 60, 1000)
    policy = fitted(scores, amounts, MoneyParameters(reviews_per_day=0))
    assert set(policy.decide(scores, amounts).tolist()) == {Action.APPROVE, Action.DECLINE}


def test_an_average_day_has_no_more_reviews_than_people_can_do() -> None:
    random = np.random.default_rng(1)
    scores, amounts = random.random(3000), random.gamma(2, 60, 3000)
    policy = fitted(scores, amounts, days=7)
    assert (policy.decide(scores, amounts) == Action.REVIEW).sum() <= 7 * MONEY.reviews_per_day
    assert policy.reviews_per_day == pytest.approx(MONEY.reviews_per_day, abs=0.2)


def test_ties_do_not_exceed_the_capacity() -> None:
    scores, amounts = np.full(100, 0.3), np.full(100, 100.0)
    assert (fitted(scores, amounts).decide(scores, amounts) == Action.REVIEW).sum() <= MONEY.reviews_per_day


def test_each_decision_is_the_cheapest_when_reviews_are_plenty() -> None:
    random = np.random.default_rng(2)
    scores, amounts = random.random(500), random.gamma(2, 60, 500)
    money = MoneyParameters(reviews_per_day=1000)
    decided = fitted(scores, amounts, money).decide(scores, amounts)
    costs = np.stack(
        [
            scores * money.cost_if_fraud(action, amounts) + (1 - scores) * money.cost_if_genuine(action, amounts)
            for action in Action
        ]
    )
    assert np.allclose(costs[decided, np.arange(500)], costs.min(axis=0))


def test_realised_costs_follow_the_labels() -> None:
    money = MoneyParameters(
        fraud_fee=15, margin_rate=0.02, false_decline_cost=5, review_cost=3, review_detection_rate=0.9
    )
    actions = np.repeat([Action.APPROVE, Action.REVIEW, Action.DECLINE], 2)
    labels, amounts = np.array([0, 1] * 3), np.full(6, 100.0)
    assert money.realised(actions, labels, amounts).tolist() == pytest.approx([0, 115, 3, 14.5, 7, 0])


def test_a_policy_reads_back_to_the_same_version() -> None:
    window = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 8, tzinfo=UTC))
    policy = DecisionPolicy.fit(
        np.array([0.2]),
        np.array([10.0]),
        np.array([0]),
        model="m",
        artifact_fingerprint="f",
        money=MONEY,
        window=window,
    )
    assert DecisionPolicy.model_validate_json(policy.model_dump_json()).version == policy.version
    assert policy.model_copy(update={"min_review_saving": 1.0}).version != policy.version


@pytest.mark.parametrize("scores", [[], [np.nan], [1.2], [-0.1]])
def test_scores_that_are_no_probabilities_are_refused(scores: list[float]) -> None:
    with pytest.raises(ConfigurationError):
        fitted(np.array(scores), np.ones(len(scores)))


def matured(scores: np.ndarray, true_rate: np.ndarray, seed: int = 3) -> Matured:
    return Matured(scores, (np.random.default_rng(seed).random(len(scores)) < true_rate).astype(int))


def test_matured_labels_bring_scores_back_to_the_rate_of_fraud() -> None:
    """Fraud has become four times as likely, in odds, as the scores say."""
    scores = np.random.default_rng(4).beta(1, 20, 40_000)
    odds = 4 * scores / (1 - scores)
    true_rate = odds / (1 + odds)
    known = matured(scores, true_rate)
    policy = DecisionPolicy.fit(
        scores, np.full(40_000, 80.0), np.zeros(40_000), model="m", artifact_fingerprint="f", money=MONEY, matured=known
    )
    assert policy.calibration.slope == pytest.approx(1, abs=0.05)
    assert policy.calibration.intercept == pytest.approx(np.log(4), abs=0.15)
    assert policy.calibrated_on == known.positives
    assert np.abs(policy.probabilities(scores) - true_rate).max() < 0.02
    assert (policy.decide(scores, np.full(40_000, 80.0)) == Action.REVIEW).sum() <= MONEY.reviews_per_day


def test_what_scores_mean_decides_and_not_what_they_say() -> None:
    scores, amounts = np.array([0.02]), np.array([50.0])
    meant = fitted(scores, amounts).model_copy(update={"calibration": Calibration(intercept=8.0)})
    assert fitted(scores, amounts, MoneyParameters(reviews_per_day=0)).decide(scores, amounts)[0] == Action.APPROVE
    assert meant.decide(scores, amounts)[0] == Action.DECLINE


def test_without_matured_labels_scores_keep_every_bit() -> None:
    scores = np.random.default_rng(5).random(100)
    assert fitted(scores, np.ones(100)).probabilities(scores) is scores


def test_scores_that_rank_no_better_than_chance_keep_their_meaning() -> None:
    scores = np.linspace(0.01, 0.99, 50)
    assert Matured(scores, (scores < 0.5).astype(int)).calibration() == Calibration()
    assert Matured(scores, np.zeros(50)).calibration() == Calibration()


def test_sure_scores_can_be_calibrated() -> None:
    known = Matured(np.array([0.0, 1.0, 0.5, 0.2]), np.array([0, 1, 1, 0]))
    assert np.isfinite(known.calibration().slope)


def test_matured_scores_that_are_no_probabilities_are_refused() -> None:
    with pytest.raises(ConfigurationError):
        Matured(np.array([np.nan, 0.2]), np.array([0, 1])).calibration()


def test_a_policy_of_before_calibration_reads_as_it_was() -> None:
    old = '{"model": "m", "artifact_fingerprint": "f", "min_review_saving": 1.5}'
    assert DecisionPolicy.model_validate_json(old).calibration == Calibration()
