"""Features of the payment itself, computed when it is scored; the same code runs for training sets.

The transformation must stand alone: Feast keeps its source text in the registry and runs that. Python mode, because
pandas mode costs 3 ms per request.
"""

from typing import Any

from feast import Field
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Int64

from feature_repo.sources import payment_request


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
