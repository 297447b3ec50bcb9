"""The Handbook's payments with features for ``bench.handbook``: the product's fifteen, and eleven more to try.

The product's come from its own declarations. The others are declared the same way where a window says it, and are
ratios of such windows where it does not.
"""

from datetime import timedelta
from pathlib import Path

import pandas as pd
import polars as pl

from ml_platform.cli.handbook_reference import calendar_features
from ml_platform.features.tables import CARD_FEATURES, MODEL_FEATURES, TERMINAL_FEATURES
from ml_platform.features.windows.on_polars.engine import window_features
from ml_platform.features.windows.payments import card_activity, terminal_risk

EXTRA_FEATURES = (
    "amount_by_mean_7d",
    "amount_by_mean_30d",
    "amount_deviation_7d",
    "amount_deviation_30d",
    "hours_since_previous",
    "terminal_frauds_14d",
    "terminal_frauds_21d",
    "terminal_frauds_28d",
    "days_since_last_terminal_fraud",
    "days_since_first_terminal_fraud",
    "card_frauds_14d",
)
_DELAY_DAYS = 7


def read_payments(path: Path) -> pl.DataFrame:
    """Return the Handbook's file under the platform's names, in order of time."""
    return (
        pl.read_parquet(path)
        .select(
            transaction_id=pl.col("TRANSACTION_ID").cast(pl.String).str.zfill(9),
            event_time=pl.col("TX_DATETIME").cast(pl.Datetime("us")).dt.replace_time_zone("UTC"),
            customer_id=pl.col("CUSTOMER_ID").cast(pl.String).str.zfill(5),
            terminal_id=pl.col("TERMINAL_ID").cast(pl.String).str.zfill(5),
            amount=pl.col("TX_AMOUNT"),
            label=pl.col("TX_FRAUD").cast(pl.Int8),
        )
        .sort("event_time", "transaction_id")
    )


def with_features(payments: pl.DataFrame, *, extra: bool) -> pd.DataFrame:
    """Return the payments with the model's features, and with ``EXTRA_FEATURES`` when asked for."""
    delay = timedelta(days=_DELAY_DAYS)
    labels = payments.select("transaction_id", "label", "event_time", known_time=pl.col("event_time") + delay)
    bare = payments.drop("label")
    cards = window_features(card_activity, bare).select(CARD_FEATURES)
    terminals = window_features(terminal_risk, bare, labels).select(TERMINAL_FEATURES)
    featured = [payments, cards, terminals, calendar_features(payments)]
    rows = pl.concat(featured, how="horizontal").sort("event_time", "transaction_id")
    wanted = [*payments.columns, *(name for name in MODEL_FEATURES if name not in payments.columns)]
    if extra:
        rows, wanted = _with_extra(rows), [*wanted, *EXTRA_FEATURES]
    return rows.select(wanted).to_pandas()


def _with_extra(rows: pl.DataFrame) -> pl.DataFrame:
    amount = pl.col("amount")
    for days in (7, 30):
        window = {"by": "event_time", "window_size": f"{days}d", "closed": "none"}
        mean = amount.rolling_mean_by(**window).over("customer_id")
        spread = amount.rolling_std_by(**window).over("customer_id")
        rows = rows.with_columns(_mean=mean, _spread=spread).with_columns(
            (amount / pl.col("_mean")).alias(f"amount_by_mean_{days}d"),
            ((amount - pl.col("_mean")) / pl.col("_spread")).alias(f"amount_deviation_{days}d"),
        )
    since_previous = pl.col("event_time").diff().over("customer_id").dt.total_seconds() / 3600
    rows = rows.with_columns(hours_since_previous=since_previous)
    for days in (14, 21, 28):
        frauds = _delayed_frauds("terminal_id", days).alias(f"terminal_frauds_{days}d")
        rows = rows.with_columns(frauds)
    rows = rows.with_columns(_delayed_frauds("customer_id", 14).alias("card_frauds_14d"))
    return _with_terminal_fraud_ages(rows)


def _delayed_frauds(key: str, days: int) -> pl.Expr:
    """Frauds of ``(t - 7d - days, t - 7d]``: all of the longer window less those of the newest week."""
    fraud = pl.col("label").cast(pl.Int64)
    both, newest = (fraud.rolling_sum_by("event_time", f"{n}d").over(key) for n in (_DELAY_DAYS + days, _DELAY_DAYS))
    return both - newest


def _with_terminal_fraud_ages(rows: pl.DataFrame) -> pl.DataFrame:
    """Days since the terminal's last and first fraud that was known, of those known for at most 35 days."""
    known = rows.filter(pl.col("label") == 1).select(
        "terminal_id", fraud_time="event_time", known_time=pl.col("event_time") + timedelta(days=_DELAY_DAYS)
    )
    horizon = timedelta(days=35)
    last = rows.join_asof(
        known.sort("known_time"), left_on="event_time", right_on="known_time", by="terminal_id", check_sortedness=False
    )
    # The first fraud within the horizon: the earliest that is not older, looked up from the other side.
    first = rows.with_columns(_from=pl.col("event_time") - horizon).join_asof(
        known.select("terminal_id", first_time="fraud_time").sort("first_time"),
        left_on="_from",
        right_on="first_time",
        by="terminal_id",
        strategy="forward",
        check_sortedness=False,
    )
    age = (pl.col("event_time") - pl.col("fraud_time")).dt.total_seconds() / 86_400
    oldest = (pl.col("event_time") - pl.col("first_time")).dt.total_seconds() / 86_400
    days = horizon.days
    return rows.with_columns(
        last.select(pl.when(age <= days).then(age).alias("days_since_last_terminal_fraud")).to_series(),
        first.select(pl.when(oldest >= _DELAY_DAYS).then(oldest).alias("days_since_first_terminal_fraud")).to_series(),
    )
