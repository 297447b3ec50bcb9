"""Keys of the shared payment assets that every model builds on.

They are defined in ``defs``; the graph test in ``tests/defs`` fails when one of these names nothing.
"""

import dagster as dg

TRANSACTIONS = dg.AssetKey(["payments", "transactions"])
FRAUD_LABELS = dg.AssetKey(["payments", "fraud_labels"])
CARD_ACTIVITY = dg.AssetKey(["payments", "card_activity"])
TERMINAL_RISK = dg.AssetKey(["payments", "terminal_risk"])
ONLINE_FEATURES = dg.AssetKey(["payments", "online_features"])
LABEL_ARRIVAL = dg.AssetKey(["payments", "label_arrival"])
FEATURE_CATALOGUE = dg.AssetKey(["payments", "feature_catalogue"])

DAILY = (TRANSACTIONS, FRAUD_LABELS, CARD_ACTIVITY, TERMINAL_RISK, ONLINE_FEATURES)
"""Everything that a new day of payments brings up to date, in order."""
