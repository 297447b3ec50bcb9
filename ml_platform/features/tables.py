"""Names of the tables and columns that features are made of, and the numbers that define the windows.

What Feast is told about them is in ``feature_repo/``; a test keeps the two equal.
"""

TRANSACTIONS = "payments/transactions"
FRAUD_LABELS = "payments/fraud_labels"
CARD_ACTIVITY = "payments/card_activity"
TERMINAL_RISK = "payments/terminal_risk"

WINDOW_DAYS = (1, 7, 30)

RISK_DELAY_DAYS = 7
"""Terminal windows end this long before the transaction: fraud is typically known by then (Handbook, chapter 3)."""

CARD_FEATURES = tuple(name for w in WINDOW_DAYS for name in (f"card_tx_count_{w}d", f"card_amount_mean_{w}d"))
TERMINAL_FEATURES = tuple(
    name for w in WINDOW_DAYS for name in (f"terminal_tx_count_{w}d", f"terminal_fraud_rate_{w}d")
)
ON_DEMAND_FEATURES = ("is_weekend", "is_night")
REQUEST_FEATURES = ("amount",)
"""What the payment to be scored brings itself."""

MODEL_FEATURES = (*REQUEST_FEATURES, *ON_DEMAND_FEATURES, *CARD_FEATURES, *TERMINAL_FEATURES)
"""Every feature a payment has, in the order a model sees them unless it names its own."""
