"""Features of the payment itself, computed when it is scored; the same code runs for training sets.

The transformation must stand alone: Feast keeps its source text in the registry and runs that. Python mode, because
pandas mode costs 3 ms per request.
"""

from typing import Any

from feast import FeatureView, Field
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Int64

from feature_repo.feature_views import card_activity, card_history, terminal_history, terminal_risk
from feature_repo.sources import payment_request, scored_payment


def _as_computed(view: FeatureView) -> list[Field]:
    """Return a view's features without descriptions: Feast compares fields with those it infers, which have none."""
    return [Field(name=field.name, dtype=field.dtype) for field in view.features]


@on_demand_feature_view(  # type: ignore[untyped-decorator]
    name="payment_calendar",
    sources=[payment_request],
    schema=[
        # No descriptions: see ``_as_computed``.
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
    schema=_as_computed(card_activity),
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
    schema=_as_computed(terminal_risk),
    mode="python",
    description="The terminal's delayed windows as of the payment itself, frauds as known then.",
)
def terminal_windows(inputs: dict[str, Any]) -> dict[str, Any]:
    """What ``payments/terminal_risk`` holds for this payment once its day is computed."""
    from ml_platform.features.online.finishing import finish_columns

    return finish_columns("payments/terminal_risk", inputs["terminal_payments"], inputs)
