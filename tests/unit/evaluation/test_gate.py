"""One row per rule of the promotion gate, one signal flipped each."""

import math
from datetime import date
from typing import Any

import pytest
from pydantic import ValidationError

from ml_platform.evaluation.gate import GatePolicy, decide
from tests.unit.evaluation.builders import (
    CANDIDATE,
    a_champion,
    a_comparison,
    a_difference,
    a_report,
    a_serving_cost,
    a_slice,
    all_labelled,
    judged,
    no_leakage,
)

POLICY = GatePolicy()


def test_a_good_first_model_passes() -> None:
    assert judged(a_report(), None, POLICY).passed


def test_a_challenger_with_an_established_gain_passes() -> None:
    assert judged(a_report(), a_champion(), POLICY, a_comparison()).passed


def test_a_champion_that_was_not_compared_stays() -> None:
    assert judged(a_report(), a_champion(), POLICY).failures == (
        "the champion was not compared row by row: evaluate the candidate again",
    )


@pytest.mark.parametrize(
    ("flipped", "reason"),
    [
        ({"role": "champion"}, "the report is about the champion, not about a challenger"),
        (
            {"fingerprint": "d" * 64},
            "the report is about dddddddddddd, but the candidate is cccccccccccc: evaluate the candidate again",
        ),
        ({"positives": 29}, "positives in the holdout 29 < 30: too few to judge"),
        ({"average_precision": 0.0999}, "average precision 0.0999 < 0.1000"),
        ({"roc_auc": 0.7499}, "ROC AUC 0.7499 < 0.7500"),
        ({"card_precision_at_100": 0.0199}, "card precision@100 0.0199 < 0.0200"),
        ({"calibration_error": 0.0501}, "calibration error 0.0501 > 0.0500"),
    ],
)
def test_each_floor_stops_even_a_first_model(flipped: dict[str, Any], reason: str) -> None:
    assert judged(a_report(**flipped), None, POLICY).failures == (reason,)


@pytest.mark.parametrize(
    ("metric", "spoken"),
    [
        ("average_precision", "average precision"),
        ("roc_auc", "ROC AUC"),
        ("card_precision_at_100", "card precision@100"),
        ("calibration_error", "calibration error"),
    ],
)
def test_an_unknown_figure_counts_against(metric: str, spoken: str) -> None:
    report = a_report(**{metric: None, "unavailable": {metric: "2 of 9 scores are not finite numbers"}})
    assert judged(report, None, POLICY).failures == (f"{spoken} unavailable: 2 of 9 scores are not finite numbers",)


@pytest.mark.parametrize("metric", ["average_precision", "roc_auc", "card_precision_at_100", "calibration_error"])
@pytest.mark.parametrize("odd", [math.nan, math.inf])
def test_a_figure_that_is_no_number_is_unknown(metric: str, odd: float) -> None:
    (reason,) = judged(a_report(**{metric: odd}), None, POLICY).failures
    assert reason.endswith("unavailable: not computed")


@pytest.mark.parametrize(
    ("metric", "interval", "reason"),
    [
        (
            "roc_auc",
            (-0.041, 0.05),
            "ROC AUC 0.6700 against the champion's 0.6600: +0.0100 [-0.0410, +0.0500], a loss of 0.0400 is possible",
        ),
        (
            "card_precision_at_100",
            (-0.031, 0.04),
            "card precision@100 0.6700 against the champion's 0.6600: +0.0100 [-0.0310, +0.0400], "
            "a loss of 0.0300 is possible",
        ),
    ],
)
def test_what_chance_could_explain_is_not_promoted(metric: str, interval: tuple[float, float], reason: str) -> None:
    comparison = a_comparison(**{metric: a_difference(metric, low=interval[0], high=interval[1])})
    assert judged(a_report(), a_champion(), POLICY, comparison).failures == (reason,)


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        ({"champion": 0.6631}, "+0.0069 [+0.0050, +0.0150], a gain of 0.0070 is required"),
        ({"champion": 0.67}, "+0.0000 [+0.0050, +0.0150], a gain of 0.0070 is required"),
        ({"no_better_p": 0.081}, "+0.0100 [+0.0050, +0.0150], no gain in 8.1% of the draws > 8.0%"),
    ],
)
def test_a_gain_must_be_worth_a_rollout_and_more_than_chance(found: dict[str, float], reason: str) -> None:
    comparison = a_comparison(average_precision=a_difference("average_precision", **found))
    (failure,) = judged(a_report(), a_champion(), POLICY, comparison).failures
    assert failure.startswith("average precision 0.6700 against the champion's 0.6")
    assert failure.endswith(reason)


def test_scores_that_are_the_same_are_no_gain_even_where_any_is_enough() -> None:
    same = a_comparison(
        average_precision=a_difference("average_precision", champion=0.67, low=0, high=0, no_better_p=1)
    )
    assert not judged(a_report(), a_champion(), GatePolicy(required_gain=0), same).passed


def test_a_gain_whose_chance_is_unknown_counts_against() -> None:
    unknown = a_comparison(average_precision=a_difference("average_precision", no_better_p=None))
    (reason,) = judged(a_report(), a_champion(), POLICY, unknown).failures
    assert reason == "average precision against the champion's is unknown"


def test_without_a_required_gain_it_is_enough_to_be_no_worse() -> None:
    policy = GatePolicy(required_gain=None)
    near = a_comparison(average_precision=a_difference("average_precision", low=-0.019, high=0.02))
    far = a_comparison(average_precision=a_difference("average_precision", low=-0.021, high=0.02))
    assert judged(a_report(), a_champion(), policy, near).passed
    assert judged(a_report(), a_champion(), policy, far).failures[0].endswith("a loss of 0.0200 is possible")


def test_a_rise_of_costs_stops_a_challenger_only_where_it_is_limited() -> None:
    dearer = a_comparison(cost_per_1000=a_difference("cost_per_1000", low=-51.0, high=10.0))
    assert judged(a_report(), a_champion(), POLICY, dearer).passed
    (reason,) = judged(a_report(), a_champion(), GatePolicy(max_cost_increase_per_1000=50), dearer).failures
    assert reason.startswith("cost of 1,000 payments")


@pytest.mark.parametrize("metric", ["average_precision", "roc_auc", "card_precision_at_100"])
def test_a_difference_without_an_interval_counts_against(metric: str) -> None:
    unknown = a_comparison(**{metric: a_difference(metric, low=-math.inf, high=math.inf)})
    (reason,) = judged(a_report(), a_champion(), POLICY, unknown).failures
    assert reason.endswith("against the champion's is unknown")


@pytest.mark.parametrize(
    ("labelled", "reason"),
    [
        (
            {date(2018, 8, 13): 0.95, date(2018, 8, 14): 0.12},
            "labels of 1 of the holdout's 2 days have not matured: on 2018-08-14 12% of the payments have one < 90%",
        ),
        (
            {date(2018, 8, 13): 0.0, date(2018, 8, 14): 0.0},
            "labels of 2 of the holdout's 2 days have not matured: on 2018-08-13 0% of the payments have one < 90%",
        ),
        (
            {date(2018, 8, 13): math.nan},
            "labels of 1 of the holdout's 1 days have not matured: on 2018-08-13 nan% of the payments have one < 90%",
        ),
        (None, "how many of the holdout's labels are known was not measured: build the training set again"),
        ({}, "how many of the holdout's labels are known was not measured: build the training set again"),
    ],
)
def test_a_holdout_whose_labels_have_not_matured_judges_nobody(labelled: dict[date, float] | None, reason: str) -> None:
    verdict = decide(a_report(), None, POLICY, CANDIDATE, None, no_leakage(), a_serving_cost(), labelled)
    assert verdict.failures == (reason,)


def test_a_candidate_that_was_not_probed_for_leakage_stays() -> None:
    failures = decide(
        a_report(), None, POLICY, CANDIDATE, serving=a_serving_cost(), labelled_by_day=all_labelled()
    ).failures
    assert failures == ("leakage was not probed",)


@pytest.mark.parametrize(
    ("serving", "reason"),
    [
        (None, "latency in the serving container was not measured"),
        ({"p95_latency_ms": 50.1}, "p95 latency in the serving container 50.1 ms > 50.0 ms"),
        ({"artifact_bytes": 200_100_000}, "artifact of 200.1 MB > 200.0 MB"),
        (
            {"artifact_fingerprint": "d" * 64},
            "the serving container measured dddddddddddd, not this candidate",
        ),
    ],
)
def test_a_candidate_that_is_too_dear_to_serve_stays(serving: dict[str, Any] | None, reason: str) -> None:
    measured = None if serving is None else a_serving_cost(**serving)
    assert decide(a_report(), None, POLICY, CANDIDATE, None, no_leakage(), measured, all_labelled()).failures == (
        reason,
    )


def test_latency_is_not_asked_for_where_the_policy_does_not() -> None:
    policy = GatePolicy(max_p95_latency_ms=None)
    assert decide(a_report(), None, policy, CANDIDATE, None, no_leakage(), None, all_labelled()).passed


def test_what_the_probes_found_is_a_reason() -> None:
    leaky = no_leakage().model_copy(update={"shuffled": 0.4, "features": {"refunded": 0.96}})
    failures = decide(a_report(), None, POLICY, CANDIDATE, None, leaky, a_serving_cost(), all_labelled()).failures
    assert failures == (
        "leakage: a model fitted on permuted labels reaches average precision 0.4000, chance is 0.0070",
        "leakage: refunded alone reaches average precision 0.9600, the whole model 0.6700: was it known at the event?",
    )


def test_a_slice_that_is_established_as_worse_stops_a_challenger_that_is_better_overall() -> None:
    slices = (a_slice("amount from 220", champion=0.72, worse_p=0.002), a_slice("amount below 20", champion=0.68))
    (reason,) = judged(a_report(), a_champion(), POLICY, a_comparison(slices=slices)).failures
    assert reason == (
        "recall on slice amount from 220 0.670 against the champion's 0.720 (40 positives): -0.050 [-0.090, -0.010]"
    )


def test_many_slices_do_not_raise_false_alarms() -> None:
    # One of twenty slices looks bad at 5 % by chance alone.
    slices = tuple(a_slice(f"hour {hour}", champion=0.72, worse_p=0.04 if hour == 3 else 0.5) for hour in range(20))
    assert judged(a_report(), a_champion(), POLICY, a_comparison(slices=slices)).passed


def test_a_small_loss_on_a_slice_is_accepted() -> None:
    slices = (a_slice("amount from 220", champion=0.685, worse_p=0.002),)
    assert judged(a_report(), a_champion(), POLICY, a_comparison(slices=slices)).passed


@pytest.mark.parametrize(
    ("flipped", "reason"),
    [
        ({"rows": 58_263}, "rows differs: challenger 58264, champion 58263: not comparable"),
        ({"positives": 384}, "positives differs: challenger 385, champion 384: not comparable"),
        (
            {"window": (date(2018, 8, 1), date(2018, 8, 7))},
            "window differs: challenger 2018-08-08 to 2018-08-14, champion 2018-08-01 to 2018-08-07: not comparable",
        ),
        (
            {"training_set_fingerprint": "u"},
            f"training set fingerprint differs: challenger {'t' * 64}, champion u: not comparable",
        ),
        (
            {"role": "challenger"},
            "the report beside it is about the challenger, not about the champion: not comparable",
        ),
        ({"model": "other"}, "model differs: challenger card_fraud, champion other: not comparable"),
    ],
)
def test_other_rows_cannot_be_compared(flipped: dict[str, Any], reason: str) -> None:
    # The champion is far better there: that comparison must not be made at all.
    champion = a_champion(average_precision=0.99, **flipped)
    assert judged(a_report(), champion, POLICY).failures == (reason,)


def test_no_part_of_the_gate_can_speak_for_a_challenger() -> None:
    # What is known of leakage, serving and labels adds reasons and takes none away: bench.gate gives them as passed.
    worse = a_comparison(average_precision=a_difference("average_precision", champion=0.67))
    alone = judged(a_report(), a_champion(), POLICY, worse).failures
    leaky = no_leakage().model_copy(update={"shuffled": 0.4})
    slow, late = a_serving_cost(p95_latency_ms=80.0), dict.fromkeys(all_labelled(), 0.5)
    failures = decide(a_report(), a_champion(), POLICY, CANDIDATE, worse, leaky, slow, late).failures
    assert len(alone) == 1
    assert set(alone) < set(failures)
    assert len(failures) == 4


def test_every_reason_is_listed() -> None:
    shuffled = a_report(average_precision=0.007, roc_auc=0.5, card_precision_at_100=0.0, calibration_error=0.4)
    failures = judged(shuffled, a_champion(), POLICY).failures
    assert len(failures) == 5


@pytest.mark.parametrize("field", ["limits", "max_losses"])
@pytest.mark.parametrize("value", [1.5, -0.1, math.nan])
def test_thresholds_are_bounded(field: str, value: float) -> None:
    with pytest.raises(ValidationError, match="a threshold lies between 0 and 1, not at"):
        GatePolicy(**{field: {"roc_auc": value}})


@pytest.mark.parametrize("thresholds", [{"limits": {"shoe_size": 1}}, {"headline": "shoe_size"}])
def test_thresholds_are_of_metrics_that_there_are(thresholds: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="there is no metric shoe_size; there are average_precision, roc_auc"):
        GatePolicy(**thresholds)


def test_a_misspelt_threshold_is_refused() -> None:
    with pytest.raises(ValidationError):
        GatePolicy(min_avg_precision=0.2)  # type: ignore[call-arg]


def test_every_threshold_is_described() -> None:
    assert all(field.description for field in GatePolicy.model_fields.values())
