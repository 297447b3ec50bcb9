"""One row per rule of the promotion gate, one signal flipped each."""

import math
from datetime import date
from typing import Any

import pytest
from pydantic import ValidationError

from ml_platform.evaluation.gate import GatePolicy, decide
from tests.unit.evaluation.builders import CANDIDATE, a_champion, a_report

POLICY = GatePolicy()


def test_a_good_first_model_passes() -> None:
    assert decide(a_report(), None, POLICY, CANDIDATE).passed


def test_a_challenger_as_good_as_the_champion_passes() -> None:
    assert decide(a_report(), a_champion(), POLICY, CANDIDATE).passed


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
    assert decide(a_report(**flipped), None, POLICY, CANDIDATE).failures == (reason,)


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
    assert decide(report, None, POLICY, CANDIDATE).failures == (
        f"{spoken} unavailable: 2 of 9 scores are not finite numbers",
    )


@pytest.mark.parametrize("metric", ["average_precision", "roc_auc", "card_precision_at_100", "calibration_error"])
@pytest.mark.parametrize("odd", [math.nan, math.inf])
def test_a_figure_that_is_no_number_is_unknown(metric: str, odd: float) -> None:
    (reason,) = decide(a_report(**{metric: odd}), None, POLICY, CANDIDATE).failures
    assert reason.endswith("unavailable: not computed")
    if metric != "calibration_error":
        (reason,) = decide(a_report(), a_champion(**{metric: odd}), POLICY, CANDIDATE).failures
        assert reason.startswith("champion's")


@pytest.mark.parametrize(
    ("metric", "best", "reason"),
    [
        (
            "average_precision",
            0.6801,
            "average precision 0.6700 against the champion's 0.6801: -0.0101 < -0.0100",
        ),
        ("roc_auc", 0.8801, "ROC AUC 0.8700 against the champion's 0.8801: -0.0101 < -0.0100"),
        (
            "card_precision_at_100",
            0.3101,
            "card precision@100 0.2900 against the champion's 0.3101: -0.0201 < -0.0200",
        ),
    ],
)
def test_a_clearly_better_champion_stays(metric: str, best: float, reason: str) -> None:
    assert decide(a_report(), a_champion(**{metric: best}), POLICY, CANDIDATE).failures == (reason,)


def test_a_loss_that_is_just_allowed_passes() -> None:
    champion = a_champion(average_precision=0.68, roc_auc=0.88, card_precision_at_100=0.31)
    assert decide(a_report(), champion, POLICY, CANDIDATE).passed


def test_a_demanded_gain_replaces_the_accepted_loss() -> None:
    policy = GatePolicy(min_average_precision_gain=0.005)
    assert decide(a_report(), a_champion(), policy, CANDIDATE).failures == (
        "average precision 0.6700 against the champion's 0.6700: +0.0000 < +0.0050",
    )
    assert decide(a_report(), a_champion(average_precision=0.665), policy, CANDIDATE).passed


def test_an_unknown_figure_of_the_champion_counts_against() -> None:
    champion = a_champion(roc_auc=None, unavailable={"roc_auc": "no rows"})
    assert decide(a_report(), champion, POLICY, CANDIDATE).failures == ("champion's ROC AUC unavailable: no rows",)


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
    assert decide(a_report(), champion, POLICY, CANDIDATE).failures == (reason,)


def test_every_reason_is_listed() -> None:
    shuffled = a_report(average_precision=0.007, roc_auc=0.5, card_precision_at_100=0.0, calibration_error=0.4)
    failures = decide(shuffled, a_champion(), POLICY, CANDIDATE).failures
    assert len(failures) == 7


@pytest.mark.parametrize("field", ["min_average_precision", "max_calibration_error", "max_roc_auc_loss"])
def test_thresholds_are_bounded(field: str) -> None:
    with pytest.raises(ValidationError):
        GatePolicy(**{field: 1.5})


def test_a_misspelt_threshold_is_refused() -> None:
    with pytest.raises(ValidationError):
        GatePolicy(min_avg_precision=0.2)  # type: ignore[call-arg]


def test_every_threshold_is_described() -> None:
    assert all(field.description for field in GatePolicy.model_fields.values())
