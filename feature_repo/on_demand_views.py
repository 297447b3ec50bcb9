"""Features of the payment itself, computed when it is scored; the same code runs for training sets.

The transformation must stand alone: Feast keeps its source text in the registry and runs that. Python mode, because
pandas mode costs 3 ms per request.
"""

from typing import Any

from feast import Field
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Float64, Int64

from feature_repo.feature_views import card_history, terminal_history
from feature_repo.sources import payment_request, scored_payment


@on_demand_feature_view(  # type: ignore[untyped-decorator]
    name="payment_calendar",
    sources=[payment_request],
    schema=[
        # No descriptions: Feast compares these fields with those it infers, and inferred ones have none.
        Field(name="is_weekend", dtype=Int64),
        Field(name="is_night", dtype=Int64),
    ],
    mode="python",
    description="When the payment happens, in UTC: is_weekend from Saturday on, is_night until 06:59.",
)
def payment_calendar(inputs: dict[str, Any]) -> dict[str, Any]:
    """Weekend and night as the Handbook defines them: Saturday on, and until 06:59, in UTC."""
    from datetime import UTC

    saturday, last_hour_of_night = 5, 6
    times = [time.astimezone(UTC) for time in inputs["transaction_time"]]
    return {
        "is_weekend": [int(time.weekday() >= saturday) for time in times],
        "is_night": [int(time.hour <= last_hour_of_night) for time in times],
    }


@on_demand_feature_view(  # type: ignore[untyped-decorator]
    name="card_windows",
    sources=[card_history, scored_payment],
    schema=[
        Field(name="card_tx_count_1d", dtype=Int64),
        Field(name="card_amount_mean_1d", dtype=Float64),
        Field(name="card_tx_count_7d", dtype=Int64),
        Field(name="card_amount_mean_7d", dtype=Float64),
        Field(name="card_tx_count_30d", dtype=Int64),
        Field(name="card_amount_mean_30d", dtype=Float64),
    ],
    mode="python",
    description="The card's windows as of the payment itself, this payment included.",
)
def card_windows(inputs: dict[str, Any]) -> dict[str, Any]:
    """What ``payments/card_activity`` holds for this payment once its day is computed."""
    from ml_platform.features.online.finishing import finish_columns

    return finish_columns("payments/card_activity", inputs["card_payments"], inputs)


@on_demand_feature_view(  # type: ignore[untyped-decorator]
    name="terminal_windows",
    sources=[terminal_history, scored_payment],
    schema=[
        Field(name="terminal_tx_count_1d", dtype=Int64),
        Field(name="terminal_fraud_rate_1d", dtype=Float64),
        Field(name="terminal_tx_count_7d", dtype=Int64),
        Field(name="terminal_fraud_rate_7d", dtype=Float64),
        Field(name="terminal_tx_count_30d", dtype=Int64),
        Field(name="terminal_fraud_rate_30d", dtype=Float64),
    ],
    mode="python",
    description="The terminal's delayed windows as of the payment itself, frauds as known then.",
)
def terminal_windows(inputs: dict[str, Any]) -> dict[str, Any]:
    """What ``payments/terminal_risk`` holds for this payment once its day is computed."""
    from ml_platform.features.online.finishing import finish_columns

    return finish_columns("payments/terminal_risk", inputs["terminal_payments"], inputs)
