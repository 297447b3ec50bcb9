"""A holdout's rows get what slices cut by, as known at the event, and stay the same rows in the same order."""

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from ml_platform.aws.objects import ObjectStore
from ml_platform.aws.tables import DailyTable
from ml_platform.features.offline.payment_context import with_context
from ml_platform.features.offline.training_set_spec import TrainingSetSpec

SPEC = TrainingSetSpec(model="m", as_of=datetime(2026, 3, 1, tzinfo=UTC), features=("amount",), train_days=14)
FIRST = datetime(2026, 2, 15, 12, tzinfo=UTC)
"""Of the holdout, which is 2026-02-15 to 2026-02-21."""


def land(store: ObjectStore, *payments: tuple[str, datetime, str, str], **columns: Any) -> pl.DataFrame:
    """Land payments in a bucket of their own; return them as a holdout that lacks everything else."""
    schema = ["transaction_id", "event_time", "customer_id", "terminal_id"]
    rows = pl.DataFrame(payments, schema=schema, orient="row").with_columns(
        pl.col("event_time").cast(pl.Datetime("us", "UTC")), amount=pl.lit(7.5), **columns
    )
    for (day,), of_day in rows.group_by(pl.col("event_time").dt.date()):
        DailyTable(store, "payments/transactions").write(day, of_day)
    return rows.filter(pl.col("event_time") >= FIRST - timedelta(hours=12)).select(schema)


def test_ages_count_from_the_first_payment_and_never_from_a_later_one(store: ObjectStore) -> None:
    later = FIRST + timedelta(days=2)
    holdout = land(
        store, ("3", later, "old", "new"), ("1", FIRST - timedelta(days=40), "old", "x"), ("2", FIRST, "new", "new")
    )
    found = with_context(store, SPEC, holdout)
    assert found["transaction_id"].to_list() == ["3", "2"]
    assert found["card_age_days"].to_list() == pytest.approx([42, 0])
    assert found["terminal_age_days"].to_list() == pytest.approx([2, 0])
    assert found["amount"].to_list() == [7.5, 7.5]


def test_days_that_the_training_set_does_not_rest_on_are_not_looked_at(store: ObjectStore) -> None:
    holdout = land(store, ("1", FIRST - timedelta(days=400), "a", "x"), ("2", FIRST, "a", "x"))
    assert with_context(store, SPEC, holdout)["card_age_days"].to_list() == [0]


def test_a_tenant_comes_with_the_payments_that_name_one(store: ObjectStore) -> None:
    holdout = land(store, ("1", FIRST, "a", "x"), tenant=pl.lit("north"))
    assert with_context(store, SPEC, holdout)["tenant"].to_list() == ["north"]
    kept = with_context(store, SPEC, holdout.with_columns(tenant=pl.lit("as trained")))
    assert kept["tenant"].to_list() == ["as trained"]


def test_without_tenants_there_is_no_such_column(store: ObjectStore) -> None:
    assert "tenant" not in with_context(store, SPEC, land(store, ("1", FIRST, "a", "x"))).columns


def test_a_holdout_whose_payments_are_gone_stays_as_it_is(store: ObjectStore) -> None:
    holdout = pl.DataFrame({"transaction_id": ["1"], "customer_id": ["a"]})
    assert with_context(store, SPEC, holdout).equals(holdout)
