"""Time and waiting as arguments, so that anything that waits can be tested without waiting."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]
"""Returns the present instant, timezone-aware, in UTC."""

Sleep = Callable[[float], None]
"""Waits for so many seconds."""


def utc_now() -> datetime:
    """Return the present instant in UTC."""
    return datetime.now(UTC)


def in_utc(instant: datetime) -> datetime:
    """Return the same instant in UTC; boto3 gives times in the machine's own zone."""
    return instant.astimezone(UTC)


def sleep(seconds: float) -> None:
    """Wait for ``seconds``."""
    time.sleep(seconds)


def midnight(instant: datetime) -> datetime:
    """Return the start of the UTC day that holds ``instant``."""
    return instant.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def days(count: int) -> timedelta:
    """Return ``count`` days."""
    return timedelta(days=count)
