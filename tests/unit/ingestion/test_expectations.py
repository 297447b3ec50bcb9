"""Volume, freshness, schema and quarantine are held against the declaration; each tells what is wrong."""

from datetime import UTC, date, datetime, timedelta

import pytest

from ml_platform.ingestion.declaration import FRAUD_LABELS, TRANSACTIONS
from ml_platform.ingestion.expectations import (
    ABSENT,
    judge_freshness,
    judge_quarantine,
    judge_schema,
    judge_volume,
)

MONDAY = date(2026, 1, 5)
WEEKS = {MONDAY - timedelta(days=n): 100 for n in range(1, 15)}


@pytest.mark.parametrize(
    ("rows", "failures"),
    [
        (100, ()),
        (499, ()),
        (1000, ("1,000 rows on 2026-01-05 are 10 times the usual 100 (expected 0.2 to 5)",)),
        (21, ()),
        (0, ("0 rows on 2026-01-05 are 0 times the usual 100 (expected 0.2 to 5)",)),
    ],
)
def test_a_day_with_far_more_or_fewer_rows_than_usual_is_told(rows: int, failures: tuple[str, ...]) -> None:
    assert judge_volume(TRANSACTIONS, {MONDAY: rows}, WEEKS).failures == failures


def test_the_days_of_a_backfill_are_judged_by_those_before_them() -> None:
    landed = {**WEEKS, MONDAY: 1000, MONDAY + timedelta(days=1): 100}
    assert len(judge_volume(TRANSACTIONS, landed, {}).failures) == 1


def test_without_a_week_of_history_or_an_expectation_no_volume_is_judged() -> None:
    assert judge_volume(TRANSACTIONS, {MONDAY: 1}, {MONDAY - timedelta(days=n): 100 for n in range(1, 7)}).passed
    assert judge_volume(FRAUD_LABELS, {MONDAY: 1}, WEEKS).passed


@pytest.mark.parametrize(("hours", "fresh"), [(35, True), (36, True), (37, False)])
def test_the_newest_day_is_as_recent_as_promised(hours: int, fresh: bool) -> None:  # noqa: FBT001
    declared = TRANSACTIONS.model_copy(update={"freshness": timedelta(hours=36)})
    now = datetime(2026, 1, 6, tzinfo=UTC) + timedelta(hours=hours)
    assert judge_freshness(declared, MONDAY, now).passed is fresh
    assert judge_freshness(TRANSACTIONS, MONDAY, now).passed


def test_a_promise_of_freshness_is_broken_while_nothing_is_landed() -> None:
    declared = TRANSACTIONS.model_copy(update={"freshness": timedelta(hours=36)})
    assert judge_freshness(declared, None, datetime(2026, 1, 6, tzinfo=UTC)).failures == (
        "no day of payments/transactions is landed",
    )


def test_a_changed_type_and_a_column_that_is_gone_are_told() -> None:
    before = {"transaction_id": "String", "amount": "Float64"}
    assert judge_schema(TRANSACTIONS, before, before).passed
    assert judge_schema(TRANSACTIONS, {**before, "amount": "String"}, before).failures == (
        "amount was Float64 and is String",
    )
    gone = judge_schema(TRANSACTIONS, {**before, "amount": ABSENT}, {})
    assert gone.failures == (
        "no row has a value for amount; if its column was renamed, say so in ML_PLATFORM_SOURCE_COLUMNS",
    )


@pytest.mark.parametrize(("quarantined", "passed"), [(0, True), (1, True), (2, False)])
def test_at_most_one_row_in_a_hundred_may_be_set_aside(quarantined: int, passed: bool) -> None:  # noqa: FBT001
    assert judge_quarantine(TRANSACTIONS, 100 - quarantined, quarantined).passed is passed
