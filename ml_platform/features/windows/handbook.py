"""Window features of cards and terminals: frame in, frame out, nothing else.

Card windows are ``(t - w, t]`` and hold the transaction itself; terminal windows are ``(t - 7d - w, t - 7d]``, as in
the Fraud Detection Handbook (Le Borgne et al., chapter 3, "Baseline feature transformation"). A fraud counts at ``t``
only when it was known at ``t``. Transactions in the same instant see each other, in whatever order they arrive.

Sums are taken over whole millionths of the currency: integer sums are exact, so a window's value does not depend on
which day the computation started. Reading and writing the tables is ``features.windows.compute``.
"""

from datetime import timedelta
from typing import TYPE_CHECKING

from ml_platform.features.labels.known import known_fraud_intervals
from ml_platform.features.tables import CARD_FEATURES, RISK_DELAY_DAYS, TERMINAL_FEATURES, WINDOW_DAYS

if TYPE_CHECKING:
    import polars as pl

_UNITS_PER_AMOUNT = 1_000_000
_RISK_DELAY = timedelta(days=RISK_DELAY_DAYS)


def card_activity(transactions: "pl.DataFrame") -> "pl.DataFrame":
    """Return count and mean amount of each card's last 1, 7 and 30 days, one row per transaction."""
    import polars as pl

    def window_sum(column: str, days: int) -> pl.Expr:
        return pl.col(column).rolling_sum_by("event_time", f"{days}d", closed="right").over("customer_id")

    units = (pl.col("amount") * _UNITS_PER_AMOUNT).round().cast(pl.Int64)
    counted = transactions.with_columns(_one=pl.lit(1, pl.Int64), _units=units).with_columns(
        expression
        for w in WINDOW_DAYS
        for expression in (
            window_sum("_one", w).alias(f"card_tx_count_{w}d"),
            window_sum("_units", w).alias(f"_units_{w}d"),
        )
    )
    means = (
        (pl.col(f"_units_{w}d") / (pl.col(f"card_tx_count_{w}d") * _UNITS_PER_AMOUNT)).alias(f"card_amount_mean_{w}d")
        for w in WINDOW_DAYS
    )
    return _as_feature_rows(counted.with_columns(means), "customer_id", CARD_FEATURES)


def terminal_risk(transactions: "pl.DataFrame", labels: "pl.DataFrame") -> "pl.DataFrame":
    """Return count and known-fraud rate of each terminal's delayed 1, 7 and 30 days, one row per transaction.

    Args:
        transactions: Payments; those that windows reach back to must be among them.
        labels: What was learnt about them, corrections included, in any order.
    """
    import polars as pl

    def window_count(days: int) -> pl.Expr:
        return pl.col("_one").rolling_sum_by("event_time", f"{days}d", closed="right").over("terminal_id")

    delayed_counts = (
        (window_count(RISK_DELAY_DAYS + w) - window_count(RISK_DELAY_DAYS)).alias(f"terminal_tx_count_{w}d")
        for w in WINDOW_DAYS
    )
    frauds = known_fraud_intervals(labels).join(transactions, on="transaction_id", how="inner")
    counted = (
        transactions.with_columns(_one=pl.lit(1, pl.Int64))
        .with_columns(delayed_counts)
        .sort("event_time")
        .join_asof(
            _fraud_counts(frauds),
            left_on="event_time",
            right_on="instant",
            by="terminal_id",
            check_sortedness=False,  # both sides were sorted just now; polars cannot check within groups and warns
        )
    )
    rates = (
        pl.when(pl.col(f"terminal_tx_count_{w}d") > 0)
        .then(pl.col(f"_frauds_{w}d").fill_null(0) / pl.col(f"terminal_tx_count_{w}d"))
        .otherwise(0.0)
        .alias(f"terminal_fraud_rate_{w}d")
        for w in WINDOW_DAYS
    )
    return _as_feature_rows(counted.with_columns(rates), "terminal_id", TERMINAL_FEATURES)


def _fraud_counts(frauds: "pl.DataFrame") -> "pl.DataFrame":
    """Return each terminal's number of known frauds per window, one row per instant at which one changes.

    A fraud is inside window ``w`` from ``max(event + 7d, known)`` until ``min(event + 7d + w, corrected)``. Frauds are
    about 1 % of payments, so a running sum over these ends costs next to nothing.
    """
    import polars as pl

    matured = pl.col("event_time") + _RISK_DELAY
    deltas = []
    for w in WINDOW_DAYS:
        counted = frauds.select(
            "terminal_id",
            start=pl.max_horizontal(matured, "known_from"),
            end=pl.min_horizontal(matured + timedelta(days=w), "known_until"),
        ).filter(pl.col("start") < pl.col("end"))
        deltas += [
            counted.select("terminal_id", pl.col(edge).alias("instant"), pl.lit(step, pl.Int64).alias(f"_frauds_{w}d"))
            for edge, step in (("start", 1), ("end", -1))
        ]
    columns = [f"_frauds_{w}d" for w in WINDOW_DAYS]
    return (
        pl.concat(deltas, how="diagonal")
        .group_by("terminal_id", "instant")
        .agg(pl.col(columns).sum())
        .sort("instant")
        .with_columns(pl.col(columns).cum_sum().over("terminal_id"))
    )


def _as_feature_rows(frame: "pl.DataFrame", key: str, features: tuple[str, ...]) -> "pl.DataFrame":
    """Return the table's columns in a fixed row order, so that the same inputs give the same bytes."""
    import polars as pl

    # The midnight after the event is the earliest a daily computation can have known the row. Not the wall clock:
    # computing a day again must reproduce it.
    created = pl.col("event_time").dt.truncate("1d") + timedelta(days=1)
    return frame.select("transaction_id", key, "event_time", created.alias("created_time"), *features).sort(
        "event_time", "transaction_id"
    )
