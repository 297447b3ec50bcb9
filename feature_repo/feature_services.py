"""The exact features each model version uses. A released service is never edited: a change is a new version."""

from feast import FeatureService

from feature_repo.feature_views import card_activity, terminal_risk
from feature_repo.on_demand_views import payment_calendar

fraud_v1 = FeatureService(
    name="fraud_v1",
    features=[payment_calendar, card_activity, terminal_risk],
    description="The Fraud Detection Handbook's baseline features. The amount comes with the payment itself.",
)
