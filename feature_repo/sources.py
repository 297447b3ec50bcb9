"""Where features come from: the platform's daily tables, and what the request itself carries.

``path`` is a table's name below the offline store's location, not a file: one Parquet object per day is read, and
only the days that can matter. ``created_time`` breaks ties between rows of the same instant.
"""

from feast import Field, FileSource, RequestSource
from feast.types import Float64, UnixTimestamp

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

payment_request = RequestSource(
    name="payment_request",
    schema=[Field(name="amount", dtype=Float64), Field(name="transaction_time", dtype=UnixTimestamp)],
    description="What the payment to be scored says about itself.",
)
