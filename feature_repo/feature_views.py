"""Features that are looked up: computed daily, joined point-in-time for training, materialized for serving.

A time to live is as long as the longest window reaches back. Beyond it nothing happened in any window, so an expired
row and an unknown key mean the same: counts of zero.
"""

from datetime import timedelta

from feast import FeatureView, Field
from feast.types import Bytes, Float64, Int64, String

from feature_repo.entities import customer, terminal
from feature_repo.sources import card_activity_table, payments_table, terminal_risk_table

# Their windows hold the payment that they are about, so a row of the very instant is part of the answer. Without this
# tag the offline store lets no row see itself.
COUNTS_ITSELF = {"counts_itself": "true"}

card_activity = FeatureView(
    name="card_activity",
    entities=[customer],
    ttl=timedelta(days=30),
    schema=[
        Field(name="customer_id", dtype=String),
        Field(name="card_tx_count_1d", dtype=Int64, description="Payments in 1 day."),
        Field(name="card_amount_mean_1d", dtype=Float64, description="Mean amount of those."),
        Field(name="card_tx_count_7d", dtype=Int64, description="Payments in 7 days."),
        Field(name="card_amount_mean_7d", dtype=Float64, description="Mean amount of those."),
        Field(name="card_tx_count_30d", dtype=Int64, description="Payments in 30 days."),
        Field(name="card_amount_mean_30d", dtype=Float64, description="Mean amount of those."),
    ],
    source=card_activity_table,
    online=True,
    tags=COUNTS_ITSELF,
    description="How often and how much a card paid lately.",
)

terminal_risk = FeatureView(
    name="terminal_risk",
    entities=[terminal],
    ttl=timedelta(days=37),
    schema=[
        Field(name="terminal_id", dtype=String),
        Field(name="terminal_tx_count_1d", dtype=Int64, description="Payments in 1 day, 7 days ago."),
        Field(name="terminal_fraud_rate_1d", dtype=Float64, description="Known frauds among those, in [0, 1]."),
        Field(name="terminal_tx_count_7d", dtype=Int64, description="Payments in 7 days, 7 days ago."),
        Field(name="terminal_fraud_rate_7d", dtype=Float64, description="Known frauds among those, in [0, 1]."),
        Field(name="terminal_tx_count_30d", dtype=Int64, description="Payments in 30 days, 7 days ago."),
        Field(name="terminal_fraud_rate_30d", dtype=Float64, description="Known frauds among those, in [0, 1]."),
    ],
    source=terminal_risk_table,
    online=True,
    tags=COUNTS_ITSELF,
    description="How often a terminal was used a week ago, and how much of that is known to be fraud.",
)

card_history = FeatureView(
    name="card_history",
    entities=[customer],
    ttl=timedelta(days=31),
    schema=[Field(name="customer_id", dtype=String), Field(name="card_payments", dtype=Bytes)],
    source=payments_table,
    online=True,
    tags={"windows_of": "payments/card_activity"},
    description="The card's payments of 31 days: its windows are finished from them at request time.",
)

terminal_history = FeatureView(
    name="terminal_history",
    entities=[terminal],
    ttl=timedelta(days=38),
    schema=[Field(name="terminal_id", dtype=String), Field(name="terminal_payments", dtype=Bytes)],
    source=payments_table,
    online=True,
    tags={"windows_of": "payments/terminal_risk"},
    description="The terminal's payments of 38 days and which are known frauds, for its windows at request time.",
)
