"""Served windows equal trained ones: a history finished at an instant gives what the offline engine computes there."""

import random
from datetime import datetime, timedelta

import polars as pl
import pytest

from ml_platform.core.errors import ConfigurationError
from ml_platform.features.online import finishing
from ml_platform.features.online.finishing import Payment, finish, finish_columns, microseconds, windows_of
from ml_platform.features.online.history import History, identity_of, units_of
from ml_platform.features.windows.declaration import FeatureTable, WindowFeature
from ml_platform.features.windows.on_polars.engine import window_features
from ml_platform.features.windows.payments import card_activity, terminal_risk
from tests.unit.features import worlds

KEYS = {"customer_id": card_activity, "terminal_id": terminal_risk}


def imagined(transactions: pl.DataFrame, rng: random.Random, count: int) -> pl.DataFrame:
    """Payments at random instants, some of them exactly on an edge of somebody's window."""
    first, last = transactions["event_time"].min(), transactions["event_time"].max()
    edges = [
        time + timedelta(days=days, microseconds=rng.choice([-1, 0, 1]))
        for time in transactions["event_time"].sample(count, seed=1)
        for days in (rng.choice([1, 7, 8, 14, 30, 37]),)
    ]
    times = [rng.choice([edge, first + rng.random() * (last - first) * 1.5]) for edge in edges]
    rows = [
        (f"imagined{n}", time, f"c{rng.randrange(13)}", f"m{rng.randrange(9)}", 12.34) for n, time in enumerate(times)
    ]
    return pl.DataFrame(rows, schema=transactions.schema, orient="row")


def history_at(
    transactions: pl.DataFrame, labels: pl.DataFrame, key: str, value: str, at: datetime, rng: random.Random
) -> History:
    """The history of one key as a stream builds it until an instant, its events in any order and some of them twice."""
    history = History()
    mine = transactions.filter((pl.col(key) == value) & (pl.col("event_time") <= at)).rows(named=True)
    for row in rng.sample(mine, len(mine)) + mine[:3]:
        history.add(microseconds(row["event_time"]), identity_of(row["transaction_id"]), units_of(row["amount"]))
    learnt = labels.filter(
        pl.col("transaction_id").is_in([row["transaction_id"] for row in mine]) & (pl.col("known_time") <= at)
    ).sort("known_time")
    for row in learnt.rows(named=True) * 2:
        history.learn(
            microseconds(row["event_time"]),
            identity_of(row["transaction_id"]),
            microseconds(row["known_time"]),
            row["label"],
        )
    return History.from_bytes(history.to_bytes())


@pytest.mark.parametrize("seed", range(4))
def test_a_served_window_equals_the_offline_engines_at_any_instant(seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311  # a world, not a secret
    transactions = worlds.payments(days=50, per_day=14, seed=seed)
    labels = worlds.labels(transactions, seed=seed + 100)
    asked = pl.concat([imagined(transactions, rng, 25), transactions.sample(40, seed=seed)])
    compared = 0
    for payment in asked.rows(named=True):
        name, at = payment["transaction_id"], payment["event_time"]
        world = transactions.filter((pl.col("event_time") <= at) & (pl.col("transaction_id") != name))
        offline = pl.concat([world, pl.DataFrame([payment], schema=world.schema)])
        for key, table in KEYS.items():
            learnt = labels.filter(pl.col("known_time") <= at) if table.labels else None
            computed = window_features(table, offline, learnt).row(
                by_predicate=pl.col("transaction_id") == name, named=True
            )
            # Its own event may come before it is scored, or not.
            known = offline if rng.random() < 0.5 else world
            history = history_at(known, labels, key, payment[key], at, rng)
            scored = Payment(identity_of(name), units_of(payment["amount"]))
            served = finish(history, microseconds(at), scored, windows_of(table))
            for feature, value in zip(table.feature_names, served, strict=True):
                assert value == pytest.approx(computed[feature], abs=1e-9), (feature, at)
                compared += 1
    assert compared == 65 * 12


def test_columns_are_finished_for_each_request_and_an_unknown_key_has_only_the_payment_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at = datetime.fromisoformat("2026-02-01T00:00:00+00:00")
    history = History()
    history.add(microseconds(at - timedelta(hours=2)), identity_of("before"), units_of(10))
    inputs = {"transaction_time": [at, at], "transaction_id": ["now", ""], "amount": [20.0, 5.0]}
    columns = finish_columns("payments/card_activity", [history.to_bytes(), None], inputs)
    assert columns["card_tx_count_1d"] == [2, 1]
    assert columns["card_amount_mean_30d"] == [15.0, 5.0]
    unknown = finish_columns("payments/terminal_risk", [None, None], inputs)
    assert unknown["terminal_tx_count_30d"] == [0, 0]
    assert unknown["terminal_fraud_rate_1d"] == [0.0, 0.0]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"aggregate": "std", "column": "amount"}, "aggregate std"),
        ({"aggregate": "sum", "column": "tip"}, "column tip"),
        ({"decimals": 2}, "2 decimals"),
    ],
)
def test_a_window_that_a_history_cannot_finish_is_refused_by_name(change: dict[str, object], reason: str) -> None:
    values = {"name": "odd", "aggregate": "count", "window": timedelta(days=1), "meaning": "Odd.", "unit": "x"}
    table = FeatureTable(
        name="t", source="s", key="k", meaning="M.", owner="o", features=(WindowFeature(**values | change),)
    )
    finishing.windows_of.cache_clear()
    with pytest.raises(ConfigurationError, match=f"odd has {reason}"):
        windows_of(table)


def test_other_aggregates_and_bounds_are_finished_too() -> None:
    def feature(name: str, aggregate: str, **more: object) -> WindowFeature:
        values = {"name": name, "aggregate": aggregate, "window": timedelta(hours=1), "meaning": "M.", "unit": "x"}
        return WindowFeature(**values | more)

    table = FeatureTable(
        name="t",
        source="s",
        key="k",
        meaning="M.",
        owner="o",
        features=(
            feature("total", "sum", column="amount"),
            feature("least", "min", column="amount"),
            feature("most", "max", column="amount"),
            feature("since", "since_previous", bounds="before_now"),
            feature("before", "count", bounds="before_now"),
        ),
    )
    history, hour = History(), 3600 * 10**6
    for time, amount in ((1, 8.0), (hour + 1, 2.0), (hour + 2, 4.0)):
        history.add(time, time, units_of(amount))
    # (1, hour + 1] holds one event and the payment; [1, hour + 1) holds the event at 1 instead.
    assert finish(history, hour + 1, Payment(99, units_of(1)), windows_of(table)) == [3.0, 1.0, 2.0, hour / 10**6, 1]
