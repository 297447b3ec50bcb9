"""Where features come from: the platform's daily tables, and what the request itself carries.

``path`` is a table's name below the offline store's location, not a file: one Parquet object per day is read, and
only the days that can matter. ``created_time`` breaks ties between rows of the same instant.
"""

from feast import Field, FileSource, RequestSource
from feast.types import Float64, String, UnixTimestamp

card_activity_table = FileSource(
    name="card_activity_table",
    path="payments/card_activity",
    timestamp_field="event_time",
    created_timestamp_column="created_time",
    description="One row per transaction: the card's windows (t - w, t], this transaction included.",
)

terminal_risk_table = FileSource(
    name="terminal_risk_table",
    path="payments/terminal_risk",
    timestamp_field="event_time",
    created_timestamp_column="created_time",
    description="One row per transaction: the terminal's windows (t - 7d - w, t - 7d], frauds as known at t.",
)

payments_table = FileSource(
    name="payments_table",
    path="payments/transactions",
    timestamp_field="event_time",
    description="One row per landed payment: what histories are filled from.",
)

scored_payment = RequestSource(
    name="scored_payment",
    schema=[
        Field(name="transaction_id", dtype=String),
        Field(name="amount", dtype=Float64),
        Field(name="transaction_time", dtype=UnixTimestamp),
    ],
    description="The payment to be scored, by name: it counts once, whether or not its event came already.",
)

payment_request = RequestSource(
    name="payment_request",
    schema=[Field(name="amount", dtype=Float64), Field(name="transaction_time", dtype=UnixTimestamp)],
    description="What the payment to be scored says about itself.",
)
