"""Which differences there are, what explains each, and when there are too many."""

from datetime import UTC, datetime
from typing import Any

import polars as pl

from ml_platform.monitoring.skew import Cause, SkewPolicy, SkewReport, differing_rows, explain, judge_skew

NOW = datetime(2026, 3, 1, tzinfo=UTC)
VIEWS = {"amount": None, "count": "card", "mean": "card", "rate": "terminal"}
NEVER: dict[str, pl.Series] = {}


def values(**changed: list[float | None]) -> pl.DataFrame:
    same: dict[str, Any] = {"amount": [1.0, 2.0, 3.0], "count": [1.0, 2.0, 3.0], "mean": [None, 5.0, 6.0]}
    return pl.DataFrame({"transaction_id": ["a", "b", "c"], **same, "rate": [0.0, 0.5, 1.0], **changed})


def causes(
    served: pl.DataFrame, would_have_been: list[tuple[Cause, pl.DataFrame]], rewritten: dict[str, pl.Series] = NEVER
) -> list[tuple[str, str, str]]:
    found = explain(served, values(), would_have_been, VIEWS, rewritten)
    return list(found.select("transaction_id", "feature", "cause").iter_rows())


def judged(differences: pl.DataFrame, captured: int = 3, compared: int = 3, **policy: float) -> SkewReport:
    return judge_skew(
        differences,
        SkewPolicy(**policy),
        model="m",
        package_arn="arn",
        judged_at=NOW,
        captured=captured,
        compared=compared,
        features=4,
    )


def test_a_missing_value_equals_a_missing_value_and_nothing_else() -> None:
    assert differing_rows(values(), values(), list(VIEWS)).to_list() == [False] * 3
    assert differing_rows(values(mean=[0.0, 5.0, 6.0]), values(), ["mean"]).to_list() == [True, False, False]
    assert differing_rows(values(mean=[float("nan"), 5, 6]), values(), ["mean"]).to_list() == [False] * 3


def test_the_first_cause_that_would_have_served_the_same_row_is_named() -> None:
    served = values(count=[9.0, 2.0, 3.0], mean=[4.0, 5.0, 6.0])
    assert causes(served, [("late_data", values()), ("time_to_live", served), ("missed_materialization", served)]) == [
        ("a", "count", "time_to_live"),
        ("a", "mean", "time_to_live"),
    ]


def test_a_cause_must_explain_the_whole_view_and_not_one_number() -> None:
    served = values(count=[9.0, 2.0, 3.0], mean=[4.0, 5.0, 6.0])
    by_chance = values(count=[9.0, 2.0, 3.0], mean=[7.0, 5.0, 6.0])
    assert {cause for _, _, cause in causes(served, [("missed_materialization", by_chance)])} == {"code"}


def test_views_have_causes_of_their_own() -> None:
    served = values(count=[9.0, 2.0, 3.0], rate=[0.0, 0.5, 0.25])
    stale = values(count=[9.0, 2.0, 3.0])
    assert causes(served, [("missed_materialization", stale)]) == [
        ("a", "count", "missed_materialization"),
        ("c", "rate", "code"),
    ]


def test_rows_rewritten_by_the_same_code_are_late_data_and_else_it_is_the_code() -> None:
    served = values(count=[9.0, 2.0, 8.0], rate=[0.25, 0.5, 1.0])
    assert causes(served, [], {"card": pl.Series([True, False, False])}) == [
        ("a", "count", "late_data"),
        ("c", "count", "code"),
        ("a", "rate", "code"),
    ]


def test_what_the_request_brought_itself_differs_because_the_payment_was_corrected() -> None:
    assert causes(values(amount=[1.5, 2.0, 3.0]), []) == [("a", "amount", "late_data")]


def test_a_verdict_counts_requests_and_names_cause_features_and_meaning() -> None:
    served = values(count=[9.0, 2.0, 3.0], mean=[4.0, 5.0, 6.0])
    report = judged(explain(served, values(), [("late_data", served)], VIEWS, NEVER))
    assert (report.skewed, report.values, report.skew_rate) == (1, 12, 1 / 3)
    assert report.by_cause == {"late_data": 2}
    assert report.by_feature == {"count": {"late_data": 1}, "mean": {"late_data": 1}}
    assert report.failures[0].startswith("1 of 3 requests were served other features")
    assert report.failures[1].startswith("late_data: 2 values of count, mean; what was served was right when")
    assert judged(explain(served, values(), [], VIEWS, NEVER), max_skew_rate=0.34).verdict.passed


def test_too_few_landed_payments_are_no_pass() -> None:
    nothing = explain(values(), values(), [], VIEWS, NEVER)
    assert judged(nothing).verdict.passed
    assert not judged(nothing, captured=10).judged
    assert "only 3 have a payment that landed" in judged(nothing, captured=10).failures[0]
    assert "nothing to compare" in judged(nothing, captured=0, compared=0).failures[0]
