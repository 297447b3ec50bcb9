"""The exact features each model version uses. A released service is never edited: a change is a new version."""

from feast import FeatureService

from feature_repo.feature_views import card_activity, terminal_risk
from feature_repo.on_demand_views import card_windows, payment_calendar, terminal_windows

fraud_v1 = FeatureService(
    name="fraud_v1",
    features=[payment_calendar, card_activity, terminal_risk],
    description="The Fraud Detection Handbook's baseline features. The amount comes with the payment itself.",
)

fraud_v2 = FeatureService(
    name="fraud_v2",
    features=[payment_calendar, card_windows, terminal_windows],
    # What is finished at request time lies in the daily tables as of each payment: training joins it there.
    tags={"trained_as": "fraud_v1"},
    description="The same features as of the payment itself. Train with feature_lookup: event.",
)
