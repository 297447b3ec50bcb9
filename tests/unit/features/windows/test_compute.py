"""Feature tables: a range at once equals its days one by one, and a day is replaced as a whole."""

from datetime import date, timedelta

import polars as pl
import pytest

from ml_platform.aws.objects import ObjectStore
from ml_platform.aws.tables import DailyTable
from ml_platform.core import names
from ml_platform.core.errors import FeatureError
from ml_platform.features.tables import CARD_ACTIVITY, FRAUD_LABELS, TERMINAL_RISK, TRANSACTIONS
from ml_platform.features.windows.compute import compute_card_activity, compute_features
from tests.unit.features import worlds

DAYS = 44
LAST = worlds.FIRST_DAY + timedelta(days=DAYS - 1)


@pytest.fixture
def landed(store: ObjectStore) -> ObjectStore:
    transactions = worlds.payments(days=DAYS, per_day=10)
    worlds.land(store, transactions, worlds.labels(transactions))
    return store


@pytest.fixture
def three_days(store: ObjectStore) -> ObjectStore:
    transactions = worlds.payments(days=3, per_day=10)
    worlds.land(store, transactions, worlds.labels(transactions.clear()))
    return store


def test_a_range_equals_its_days_computed_alone(landed: ObjectStore) -> None:
    first = LAST - timedelta(days=4)
    at_once = compute_features(landed, first, LAST)
    ingested = DailyTable(landed, TRANSACTIONS).read(first, LAST)
    assert at_once.card_activity.rows == at_once.terminal_risk.rows == ingested.height
    partitions = {
        (table, day): landed.get(names.table_partition(table, day))
        for table in (CARD_ACTIVITY, TERMINAL_RISK)
        for day in (first + timedelta(days=offset) for offset in range(5))
    }
    landed.delete([names.table_partition(table, day) for table, day in partitions])
    for offset in range(5):
        compute_features(landed, first + timedelta(days=offset), first + timedelta(days=offset))
    for (table, day), content in partitions.items():
        assert landed.get(names.table_partition(table, day)) == content, (table, day)


def test_what_became_known_after_a_day_leaves_its_features_alone(landed: ObjectStore) -> None:
    day = worlds.FIRST_DAY + timedelta(days=38)
    compute_features(landed, day, day)
    before = DailyTable(landed, TERMINAL_RISK).read(day, day)
    labels = DailyTable(landed, FRAUD_LABELS)
    landed.delete([names.table_partition(FRAUD_LABELS, later) for later in labels.days() if later > day])
    compute_features(landed, day, day)
    after = DailyTable(landed, TERMINAL_RISK).read(day, day)
    assert not before.is_empty()
    assert after.equals(before)


def test_a_day_that_became_empty_loses_its_features(three_days: ObjectStore) -> None:
    day = worlds.FIRST_DAY + timedelta(days=2)
    assert compute_card_activity(three_days, day, day).rows > 0
    payments = DailyTable(three_days, TRANSACTIONS)
    payments.write(day, payments.read(day, day).clear())
    assert compute_card_activity(three_days, day, day).rows_by_day == {day: 0}
    remaining = DailyTable(three_days, CARD_ACTIVITY).read(day, day)
    assert "card_tx_count_1d" in remaining.columns
    assert remaining.is_empty()


def test_days_that_were_never_ingested_are_named(three_days: ObjectStore) -> None:
    day = worlds.FIRST_DAY + timedelta(days=2)
    report = compute_card_activity(three_days, day, day + timedelta(days=1))
    assert report.missing_days == (day + timedelta(days=1),)
    with pytest.raises(FeatureError, match="Ingest these days first"):
        compute_card_activity(three_days, date(2030, 1, 1), date(2030, 1, 2))


def test_risk_without_any_label_is_zero(store: ObjectStore) -> None:
    transactions = worlds.payments(days=9, per_day=5)
    worlds.land(store, transactions, worlds.labels(transactions.clear()))
    last = worlds.FIRST_DAY + timedelta(days=8)
    compute_features(store, last, last)
    risk = DailyTable(store, TERMINAL_RISK).read(last, last)
    assert risk.select(pl.col("terminal_fraud_rate_30d").sum()).item() == 0
    assert risk["terminal_tx_count_30d"].sum() > 0
