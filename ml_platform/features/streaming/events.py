"""Events as the stream brings them: parsed and judged one by one, so that one bad message never stops the rest."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from ml_platform.core.errors import SourceDataError

MAX_AHEAD = timedelta(minutes=10)
"""An event later than this after the present comes from a wrong clock, and would push everything else out."""


class PaymentEvent(BaseModel):
    """Somebody paid."""

    model_config = ConfigDict(frozen=True, extra="ignore", coerce_numbers_to_str=True)

    transaction_id: str = Field(min_length=1)
    event_time: AwareDatetime
    customer_id: str = Field(min_length=1)
    terminal_id: str = Field(min_length=1)
    amount: float = Field(ge=0, lt=1e12, allow_inf_nan=False)


class LabelEvent(BaseModel):
    """Somebody learnt whether a payment was a fraud. It names the payment's terminal: the stream keeps no payments."""

    model_config = ConfigDict(frozen=True, extra="ignore", coerce_numbers_to_str=True)

    transaction_id: str = Field(min_length=1)
    event_time: AwareDatetime
    known_time: AwareDatetime
    customer_id: str | None = None
    terminal_id: str | None = None
    label: Literal[0, 1]


StreamEvent = PaymentEvent | LabelEvent


def parse_event(content: Mapping[str, Any], now: datetime) -> StreamEvent:
    """Return a payment or, when it has a label, what was learnt of one.

    Args:
        content: The message.
        now: The present; times of events are instants of the past.

    Raises:
        SourceDataError: When the message cannot be used; it says why.
    """
    kind: type[PaymentEvent] | type[LabelEvent] = LabelEvent if "label" in content else PaymentEvent
    try:
        event = kind.model_validate(dict(content))
    except (ValidationError, TypeError, ValueError) as error:
        raise SourceDataError(_reasons(error)) from error
    if event.event_time - now > MAX_AHEAD:
        raise SourceDataError(f"event_time {event.event_time.astimezone(UTC).isoformat()} is in the future")
    return event


def _reasons(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    return "; ".join(f"{'.'.join(map(str, item['loc'])) or 'it'}: {item['msg']}" for item in error.errors())
