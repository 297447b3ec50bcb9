"""A report holds the figures of its rows, survives JSON, and never takes the unknown for zero."""

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ml_platform.evaluation.report import Asked, EvaluationReport, evaluate
from ml_platform.evaluation.slices import SliceBy
from ml_platform.modeling import metrics
from ml_platform.modeling.money import MoneyParameters
from tests.unit.evaluation.builders import a_holdout

NOW = datetime(2018, 8, 22, tzinfo=UTC)


def report_on(holdout: pd.DataFrame, scores: np.ndarray, **overrides: Any) -> EvaluationReport:
    return evaluate(
        holdout,
        scores,
        model="card_fraud",
        role="challenger",
        fingerprint="c",
        training_set_fingerprint="t",
        created_at=NOW,
        **overrides,
    )


def test_a_report_holds_the_figures_of_its_rows() -> None:
    holdout, scores = a_holdout()
    report = report_on(holdout, scores)
    assert report.average_precision == metrics.average_precision(holdout["label"], scores)
    assert report.window == (date(2018, 8, 8), date(2018, 8, 14))
    assert (report.rows, report.positives) == (2_000, holdout["label"].sum())
    assert report.unavailable == {}
    assert report.card_precision_at_100 is not None
    assert report.card_precision_ceiling is not None
    assert report.card_precision_at_100 <= report.card_precision_ceiling


def test_a_report_survives_json_unchanged() -> None:
    report = report_on(*a_holdout())
    assert EvaluationReport.model_validate_json(report.model_dump_json()) == report


def test_a_candidate_that_scores_nan_has_no_figures_but_reasons() -> None:
    holdout, scores = a_holdout()
    scores[7] = np.nan
    report = report_on(holdout, scores)
    assert (report.average_precision, report.roc_auc, report.calibration_error, report.brier) == (None,) * 4
    assert report.why_unknown("brier") == "1 of 2000 scores are not finite numbers"


def test_an_empty_holdout_gives_a_report_that_says_so() -> None:
    holdout, scores = a_holdout()
    report = report_on(holdout.head(0), scores[:0])
    assert (report.window, report.rows, report.average_precision) == (None, 0, None)
    assert report.why_unknown("average_precision") == "no rows"


def test_a_holdout_without_rows_or_types_gives_a_report_that_says_so() -> None:
    report = report_on(pd.DataFrame(columns=["event_time", "customer_id", "label"]), np.array([]))
    assert (report.window, report.rows, report.positives) == (None, 0, 0)


def test_days_are_utc_wherever_the_times_were_written() -> None:
    holdout, scores = a_holdout()
    abroad = holdout.assign(event_time=holdout["event_time"].dt.tz_convert("Asia/Tokyo"))
    assert report_on(abroad, scores) == report_on(holdout, scores)


def test_a_missing_label_makes_figures_unknown_and_is_no_genuine_payment() -> None:
    holdout, scores = a_holdout()
    holdout.loc[3, "label"] = np.nan
    report = report_on(holdout, scores)
    assert (report.average_precision, report.card_precision_at_100, report.brier) == (None, None, None)
    assert report.why_unknown("roc_auc") == "1 of 2000 labels are neither 0 nor 1"


def test_a_holdout_without_the_column_investigators_look_at_has_no_card_precision() -> None:
    holdout, scores = a_holdout()
    report = report_on(holdout, scores, card="terminal_id")
    assert report.card_precision_at_100 is None
    assert report.average_precision is not None


def test_a_missing_column_is_named() -> None:
    holdout, scores = a_holdout()
    with pytest.raises(ValueError, match="the holdout lacks label"):
        report_on(holdout.drop(columns="label"), scores)


def test_scores_must_be_one_per_row() -> None:
    holdout, scores = a_holdout()
    with pytest.raises(ValueError, match="2000 labels but 1999 scores"):
        report_on(holdout, scores[1:])


ASKED = Asked(
    money=MoneyParameters(reviews_per_day=5),
    validation=a_holdout(seed=1)[1],
    slices=(SliceBy(name="hour", column="event_time", edges=(12,), unit="hour"), SliceBy(name="client", column="c")),
)


def test_what_is_asked_for_is_in_the_report_and_survives_json() -> None:
    holdout, scores = a_holdout()
    report = report_on(holdout.assign(amount=100.0), scores, asked=ASKED)
    assert report.cost_curve is not None
    assert report.cost_curve.savings > 0
    assert report.stability is not None
    assert len(report.stability.days) == 7
    assert {found.slice for found in report.slices.measured} == {"hour below 12", "hour from 12"}
    assert report.slices.absent == {"client": "the rows have no column c"}
    assert EvaluationReport.model_validate_json(report.model_dump_json()) == report


def test_what_cannot_be_known_says_why() -> None:
    holdout, scores = a_holdout()
    scores[7] = np.nan
    report = report_on(holdout, scores, asked=replace(ASKED, validation=np.empty(0)))
    assert (report.cost_curve, report.stability, report.slices.measured) == (None, None, ())
    assert report.why_unknown("cost_curve") == "the rows have no amount"
    assert report.why_unknown("stability") == "there are no scores of validation days"
    assert report.why_unknown("slices") == "1 of 2000 scores are not finite numbers"


def test_recall_on_a_slice_lies_in_its_interval_and_too_few_are_listed() -> None:
    holdout, scores = a_holdout()
    report = report_on(holdout, scores, asked=replace(ASKED, min_slice_positives=40))
    for found in report.slices.measured:
        assert found.low <= found.recall <= found.high
        assert found.false_positive_rate == pytest.approx(0.01, abs=0.01)
    assert not report.slices.small
    many = report_on(holdout, scores, asked=replace(ASKED, min_slice_positives=10_000))
    assert sorted(many.slices.small) == ["hour below 12", "hour from 12"]
