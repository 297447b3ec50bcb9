"""The two tables of payments, for whoever holds frames rather than a bucket: in the tables' row order."""

from typing import TYPE_CHECKING

from ml_platform.features.windows import payments
from ml_platform.features.windows.on_polars.engine import window_features

if TYPE_CHECKING:
    import polars as pl


def card_activity(transactions: "pl.DataFrame") -> "pl.DataFrame":
    """Return ``payments/card_activity`` of these payments, one row each."""
    return window_features(payments.card_activity, transactions).sort("event_time", "transaction_id")


def terminal_risk(transactions: "pl.DataFrame", labels: "pl.DataFrame") -> "pl.DataFrame":
    """Return ``payments/terminal_risk`` of these payments, one row each, by what was known of them."""
    return window_features(payments.terminal_risk, transactions, labels).sort("event_time", "transaction_id")
