"""Served scores are judged on matured labels only, and are unknown until there are enough of them."""

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ml_platform.modeling.metrics import average_precision
from ml_platform.monitoring.performance import PerformancePolicy, PerformanceReport, judge_performance
from tests.unit.monitoring.builders import NOW, PACKAGE

ROWS = 4_000


def served(rows: int = ROWS, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Payments of twenty days before now with their scores, and a label for each, known after seven days."""
    random = np.random.default_rng(seed)
    labels = (random.random(rows) < 0.05).astype(int)
    scores = np.clip(random.beta(1, 20, rows) + labels * random.random(rows) * 0.5, 0, 1)
    times = NOW - pd.to_timedelta(random.uniform(0, 20, rows), unit="D")
    ids = [f"t-{number}" for number in range(rows)]
    payments = pd.DataFrame(
        {
            "transaction_id": ids,
            "event_time": times,
            "customer_id": random.integers(0, 500, rows).astype(str),
            "score": scores,
        }
    )
    known = pd.DataFrame({"transaction_id": ids, "label": labels, "known_time": times + timedelta(days=7)})
    return payments, known


def judged(
    payments: pd.DataFrame,
    labels: pd.DataFrame,
    reference: float | None = 0.6,
    as_of: datetime = NOW,
    calibration: float | None = None,
    **policy: Any,
) -> PerformanceReport:
    return judge_performance(
        payments,
        labels,
        reference,
        PerformancePolicy(**policy),
        model="card_fraud",
        package_arn=PACKAGE,
        as_of=as_of,
        reference_calibration_error=calibration,
    )


def test_only_payments_old_enough_are_judged() -> None:
    payments, labels = served()
    report = judged(payments, labels)
    old = payments["event_time"] <= NOW - timedelta(days=7)
    assert (report.served, report.old_enough, report.matured.rows) == (ROWS, old.sum(), old.sum())
    assert report.matured.average_precision == average_precision(labels["label"][old], payments["score"][old])
    assert report.matured_share == pytest.approx(old.mean())
    assert report.judged


def test_an_early_fraud_report_does_not_count_before_its_time() -> None:
    payments, labels = served()
    young = payments["event_time"] > NOW - timedelta(days=7)
    early = labels.assign(known_time=labels["known_time"].where(~young, payments["event_time"]))
    assert judged(payments, early).matured == judged(payments, labels).matured


def test_a_label_learnt_later_is_not_known_yet() -> None:
    payments, labels = served()
    correction = labels.head(50).assign(label=1, known_time=NOW + timedelta(seconds=1))
    assert judged(payments, pd.concat([labels, correction])).matured == judged(payments, labels).matured


def test_the_newest_known_label_counts_whatever_the_order() -> None:
    payments, labels = served()
    wrong = labels.assign(label=1 - labels["label"], known_time=labels["known_time"] - timedelta(days=1))
    mixed = pd.concat([labels, wrong]).sample(frac=1, random_state=0)
    assert judged(payments, mixed).matured == judged(payments, labels).matured


def test_a_payment_asked_about_twice_counts_once_with_its_first_answer() -> None:
    payments, labels = served()
    again = pd.concat([payments, payments.assign(score=0.0)], ignore_index=True)
    assert judged(again, labels).matured == judged(payments, labels).matured
    assert judged(again, labels).served == ROWS


def test_scores_as_good_as_at_the_gate_pass() -> None:
    payments, labels = served()
    report = judged(payments, labels)
    assert report.verdict.passed
    assert (report.ranking_fell, report.miscalibrated) == (False, False)


def test_a_loss_beyond_the_policy_counts_against() -> None:
    payments, labels = served()
    report = judged(payments.assign(score=payments["score"].sample(frac=1, random_state=0).to_numpy()), labels)
    assert report.ranking_fell
    assert report.failures[0].startswith("average precision 0.0")
    assert "a loss of 0.5" in report.failures[0]


def test_a_loss_within_the_policy_passes() -> None:
    payments, labels = served()
    now = judged(payments, labels).matured.average_precision
    assert now is not None
    assert judged(payments, labels, now + 0.0499).verdict.passed
    assert not judged(payments, labels, now + 0.0501).verdict.passed


def test_a_loss_that_chance_may_explain_is_no_fall_and_no_pass() -> None:
    payments, labels = served(2_000)
    now = judged(payments, labels).matured.average_precision
    assert now is not None
    slight = judged(payments, labels, now + 0.051, min_matured_rows=100)
    assert (slight.ranking_fell, slight.ranking_unsure) == (False, True)
    assert "known frauds the loss may be chance" in slight.failures[1]
    grave = judged(payments, labels, now + 0.2, min_matured_rows=100)
    assert (grave.ranking_fell, grave.ranking_unsure) == (True, False)


def test_a_model_as_good_as_at_the_gate_seldom_falls_on_few_frauds() -> None:
    """Of its weeks with some thirty frauds, many lose more than the policy accepts."""
    reference = judged(*served(60_000)).matured.average_precision
    weeks = [judged(*served(900, seed), reference=reference, min_matured_rows=100) for seed in range(25)]
    losses = [week.average_precision_loss or 0.0 for week in weeks]
    assert sum(loss > 0.05 for loss in losses) >= 3
    assert sum(week.ranking_fell for week in weeks) <= 2


def test_a_fall_is_seen_on_as_few_frauds() -> None:
    reference = judged(*served(60_000)).matured.average_precision
    for seed in range(5):
        payments, labels = served(1_500, seed)
        worse = payments.assign(score=payments["score"].sample(frac=1, random_state=seed).to_numpy())
        assert judged(worse, labels, reference=reference, min_matured_rows=100).ranking_fell


def test_without_the_gates_figure_the_loss_is_unknown_and_counts_against() -> None:
    report = judged(*served(), None)
    assert report.failures == ("loss of average precision unavailable: the gate's figure for this package is unknown",)
    assert not report.ranking_fell


def test_scores_that_overstate_are_miscalibrated_and_still_rank() -> None:
    payments, labels = served()
    report = judged(payments.assign(score=payments["score"] ** 0.5), labels)
    assert (report.ranking_fell, report.miscalibrated) == (False, True)
    assert report.failures[0].startswith("calibration error 0.1")


def test_a_model_that_was_promoted_as_far_off_has_not_become_worse() -> None:
    payments, labels = served()
    off = payments.assign(score=payments["score"] ** 0.5)
    assert judged(off, labels, calibration=0.1).verdict.passed
    assert judged(off, labels, calibration=0.01).miscalibrated


@pytest.mark.parametrize("policy", [{"min_matured_rows": 1_000_000}, {"min_matured_positives": 1_000_000}])
def test_too_few_labels_are_too_early_to_tell(policy: dict[str, int]) -> None:
    payments, labels = served()
    # Terrible scores: yet nothing may be said about them.
    report = judged(payments.assign(score=1 - payments["score"]), labels, **policy)
    assert (report.judged, report.ranking_fell, report.miscalibrated) == (False, False, False)
    assert not report.verdict.passed
    assert "too early to tell" in report.failures[0]
    assert len(report.failures) == 1


def test_labels_that_never_came_make_it_unknown() -> None:
    payments, labels = served()
    report = judged(payments, labels[labels["label"] == 1])
    assert not report.judged
    assert any("labels are missing" in failure for failure in report.failures)


def test_before_any_label_everything_is_unknown() -> None:
    payments, labels = served()
    report = judged(payments, labels.head(0))
    assert (report.judged, report.matured.rows, report.matured_share) == (False, 0, 0)


def test_no_traffic_is_unknown() -> None:
    payments, labels = served()
    report = judged(payments.head(0), labels)
    assert (report.judged, report.served, report.matured_share) == (False, 0, 0)


def test_scores_that_are_no_numbers_count_against() -> None:
    payments, labels = served()
    payments.loc[payments["event_time"].idxmin(), "score"] = np.nan
    report = judged(payments, labels)
    assert not report.ranking_fell
    assert report.failures[0].startswith("average precision unavailable: 1 of ")


def test_without_cards_only_the_card_precision_is_unknown() -> None:
    payments, labels = served()
    report = judged(payments.drop(columns="customer_id"), labels)
    assert report.matured.card_precision_at_100 is None
    assert report.verdict.passed


def test_a_report_survives_json_unchanged() -> None:
    report = judged(*served())
    assert PerformanceReport.model_validate_json(report.model_dump_json()) == report


def test_frames_without_rows_or_types_are_unknown() -> None:
    payments = pd.DataFrame(columns=["transaction_id", "event_time", "customer_id", "score"])
    report = judged(payments, pd.DataFrame(columns=["transaction_id", "label", "known_time"]))
    assert (report.judged, report.served, report.matured.rows) == (False, 0, 0)


def test_an_empty_label_is_no_label() -> None:
    payments, labels = served()
    blank = labels.head(50).assign(label=np.nan, known_time=NOW)
    assert judged(payments, pd.concat([labels, blank])).matured == judged(payments, labels).matured
