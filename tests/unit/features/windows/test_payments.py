"""Windows equal a reference that looks at every pair of payments, and see neither the future nor late labels."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from ml_platform.features.tables import CARD_FEATURES, TERMINAL_FEATURES
from ml_platform.features.windows.on_polars.engine import window_features
from ml_platform.features.windows.payments import card_activity, terminal_risk
from tests.unit.features import worlds

WEEK = timedelta(days=7)


def known_as_fraud(rows: list[dict], instant: datetime) -> set[str]:
    """Reference: transactions whose newest label known at the instant is 1; of two learnt together the fraud holds."""
    newest: dict[str, tuple[datetime, int]] = {}
    for row in rows:
        if row["known_time"] <= instant:
            mine = (row["known_time"], row["label"])
            newest[row["transaction_id"]] = max(newest.get(row["transaction_id"], mine), mine)
    return {transaction for transaction, (_, label) in newest.items() if label == 1}


def card_reference(transactions: pl.DataFrame) -> list[dict]:
    rows = transactions.to_dicts()
    found = []
    for row in rows:
        values = {"transaction_id": row["transaction_id"]}
        for w in (1, 7, 30):
            amounts = [
                other["amount"]
                for other in rows
                if other["customer_id"] == row["customer_id"]
                and row["event_time"] - timedelta(days=w) < other["event_time"] <= row["event_time"]
            ]
            values |= {f"card_tx_count_{w}d": len(amounts), f"card_amount_mean_{w}d": sum(amounts) / len(amounts)}
        found.append(values)
    return found


def terminal_reference(transactions: pl.DataFrame, labels: pl.DataFrame) -> list[dict]:
    rows, label_rows = transactions.to_dicts(), labels.to_dicts()
    found = []
    for row in rows:
        frauds = known_as_fraud(label_rows, row["event_time"])
        values = {"transaction_id": row["transaction_id"]}
        for w in (1, 7, 30):
            seen = [
                other["transaction_id"]
                for other in rows
                if other["terminal_id"] == row["terminal_id"]
                and row["event_time"] - WEEK - timedelta(days=w) < other["event_time"] <= row["event_time"] - WEEK
            ]
            rate = len(frauds & set(seen)) / len(seen) if seen else 0.0
            values |= {f"terminal_tx_count_{w}d": len(seen), f"terminal_fraud_rate_{w}d": rate}
        found.append(values)
    return found


@pytest.mark.parametrize("seed", [1, 2])
def test_card_windows_equal_the_reference(seed: int) -> None:
    transactions = worlds.payments(days=40, per_day=12, seed=seed)
    computed = window_features(card_activity, transactions.sample(fraction=1, shuffle=True, seed=seed)).sort(
        "transaction_id"
    )
    expected = pl.DataFrame(card_reference(transactions)).sort("transaction_id")
    for name in CARD_FEATURES:
        assert computed[name].to_list() == pytest.approx(expected[name].to_list(), abs=1e-6), name


@pytest.mark.parametrize("seed", [1, 2])
def test_terminal_windows_equal_the_reference(seed: int) -> None:
    transactions = worlds.payments(days=50, per_day=8, seed=seed)
    labels = worlds.labels(transactions, seed)
    computed = window_features(terminal_risk, transactions.sample(fraction=1, shuffle=True, seed=seed), labels)
    expected = pl.DataFrame(terminal_reference(transactions, labels)).sort("transaction_id")
    assert expected["terminal_fraud_rate_30d"].max() > 0
    for name in TERMINAL_FEATURES:
        assert computed.sort("transaction_id")[name].to_list() == expected[name].to_list(), name


def test_features_do_not_change_when_the_future_is_deleted() -> None:
    transactions = worlds.payments(days=45, per_day=10)
    labels = worlds.labels(transactions)
    instant = datetime(2026, 2, 12, 9, tzinfo=UTC)
    past, heard = transactions.filter(pl.col("event_time") <= instant), labels.filter(pl.col("known_time") <= instant)
    until_then = pl.col("event_time") <= instant
    assert window_features(card_activity, transactions).filter(until_then).equals(window_features(card_activity, past))
    assert (
        window_features(terminal_risk, transactions, labels)
        .filter(until_then)
        .equals(window_features(terminal_risk, past, heard))
    )


def test_risk_does_not_see_labels_of_the_last_seven_days() -> None:
    transactions = worlds.payments(days=45, per_day=10)
    labels = worlds.labels(transactions)
    instant = transactions["event_time"].max()
    flipped = labels.with_columns(
        label=pl.when(pl.col("event_time") > instant - WEEK).then(1 - pl.col("label")).otherwise("label")
    )
    assert not flipped.equals(labels)
    at_the_end = pl.col("event_time") == instant
    before = window_features(terminal_risk, transactions, labels).filter(at_the_end)
    assert before.equals(window_features(terminal_risk, transactions, flipped).filter(at_the_end))


def test_a_fraud_counts_from_the_instant_it_is_known_until_it_is_withdrawn() -> None:
    start = datetime(2026, 1, 5, tzinfo=UTC)
    asked = [9, 10, 14]
    transactions = pl.DataFrame(
        {
            "transaction_id": ["fraud", *(f"day {day}" for day in asked)],
            "event_time": [start, *(start + timedelta(days=day) for day in asked)],
            "customer_id": ["c"] * 4,
            "terminal_id": ["m"] * 4,
            "amount": [1.0] * 4,
        }
    )
    labels = pl.DataFrame(
        {
            "transaction_id": ["fraud"] * 3,
            "label": [0, 1, 0],
            "event_time": [start] * 3,
            "known_time": [start + timedelta(days=day) for day in (7, 10, 14)],
        }
    )
    risk = window_features(terminal_risk, transactions, labels).sort("event_time")
    assert risk["terminal_tx_count_30d"].to_list() == [0, 1, 1, 1]
    assert risk["terminal_fraud_rate_30d"].to_list() == [0.0, 0.0, 1.0, 0.0]


def test_a_world_without_payments_or_labels_has_no_features() -> None:
    transactions = worlds.payments(days=3, per_day=4)
    nothing = worlds.labels(transactions.clear())
    assert window_features(card_activity, transactions.clear()).is_empty()
    assert window_features(terminal_risk, transactions.clear(), nothing).is_empty()
    assert window_features(terminal_risk, transactions, nothing)["terminal_fraud_rate_30d"].to_list() == [0.0] * 12
