"""Names of the tables and columns that features are made of.

The window features and their tables are declared in ``features.windows.payments``; what Feast is told about them is in
``feature_repo/``, and a test keeps the two equal.
"""

from ml_platform.features.windows.payments import card_activity, terminal_risk

TRANSACTIONS = "payments/transactions"
FRAUD_LABELS = "payments/fraud_labels"
CARD_ACTIVITY = card_activity.name
TERMINAL_RISK = terminal_risk.name

CARD_FEATURES = card_activity.feature_names
TERMINAL_FEATURES = terminal_risk.feature_names
ON_DEMAND_FEATURES = ("is_weekend", "is_night")
REQUEST_FEATURES = ("amount",)
"""What the payment to be scored brings itself."""

MODEL_FEATURES = (*REQUEST_FEATURES, *ON_DEMAND_FEATURES, *CARD_FEATURES, *TERMINAL_FEATURES)
"""Every feature a payment has, in the order a model sees them unless it names its own."""
