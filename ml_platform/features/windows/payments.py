"""The window features of payments. To add one, add it here: both engines, the tables and the catalogue follow.

The Fraud Detection Handbook's baseline (Le Borgne et al., chapter 3, "Baseline feature transformation"): card windows
hold the payment itself; terminal windows end seven days before it, because by then fraud is typically known.
"""

from datetime import timedelta

from ml_platform.features.windows.declaration import FeatureTable, KnownFraud, WindowFeature

_DAY, _WEEK, _MONTH = timedelta(days=1), timedelta(days=7), timedelta(days=30)

RISK_DELAY = timedelta(days=7)

_PAYMENTS = "payments/transactions"
_FRAUD = KnownFraud()


def _days(window: timedelta) -> str:
    return "1 day" if window == _DAY else f"{window.days} days"


def _card_count(name: str, window: timedelta) -> WindowFeature:
    meaning = f"Payments with the card in {_days(window)}, this one included."
    return WindowFeature(name=name, aggregate="count", window=window, meaning=meaning, unit="payments")


def _card_mean(name: str, window: timedelta) -> WindowFeature:
    meaning = f"Mean amount paid with the card in {_days(window)}, this payment included."
    return WindowFeature(name=name, aggregate="mean", column="amount", window=window, meaning=meaning, unit="currency")


def _terminal_count(name: str, window: timedelta) -> WindowFeature:
    meaning = f"Payments at the terminal in {_days(window)}, up to 7 days ago."
    return WindowFeature(
        name=name, aggregate="count", window=window, delay=RISK_DELAY, meaning=meaning, unit="payments"
    )


def _terminal_rate(name: str, window: timedelta) -> WindowFeature:
    meaning = f"Share known to be fraud of the payments at the terminal in {_days(window)}, up to 7 days ago."
    return WindowFeature(
        name=name, aggregate="rate", share_of=_FRAUD, window=window, delay=RISK_DELAY, meaning=meaning, unit="share"
    )


card_activity = FeatureTable(
    name="payments/card_activity",
    source=_PAYMENTS,
    key="customer_id",
    owner="team:ml-platform",
    meaning="How often and how much a card paid lately.",
    features=(
        _card_count("card_tx_count_1d", _DAY),
        _card_mean("card_amount_mean_1d", _DAY),
        _card_count("card_tx_count_7d", _WEEK),
        _card_mean("card_amount_mean_7d", _WEEK),
        _card_count("card_tx_count_30d", _MONTH),
        _card_mean("card_amount_mean_30d", _MONTH),
    ),
)

terminal_risk = FeatureTable(
    name="payments/terminal_risk",
    source=_PAYMENTS,
    labels="payments/fraud_labels",
    key="terminal_id",
    owner="team:ml-platform",
    meaning="How often a terminal was used a week ago, and how much of that is known to be fraud.",
    features=(
        _terminal_count("terminal_tx_count_1d", _DAY),
        _terminal_rate("terminal_fraud_rate_1d", _DAY),
        _terminal_count("terminal_tx_count_7d", _WEEK),
        _terminal_rate("terminal_fraud_rate_7d", _WEEK),
        _terminal_count("terminal_tx_count_30d", _MONTH),
        _terminal_rate("terminal_fraud_rate_30d", _MONTH),
    ),
)

FEATURE_TABLES = (card_activity, terminal_risk)
"""Every declared table."""
