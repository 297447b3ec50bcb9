"""Schedules of scheduled actions: ``at(...)``, ``rate(...)`` and ``cron(...)`` as AWS writes them. Pure.

What ``L``, ``W`` and ``#`` mean in cron expressions is not here; such expressions are refused.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

RATE = re.compile(r"rate\((\d{1,6}) (minute|hour|day)s?\)")
AT = re.compile(r"at\((\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\)")
CRON = re.compile(r"cron\(([^()]*)\)")
SECONDS = {"minute": 60, "hour": 3600, "day": 86_400}
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
# Minute, hour, day of month, month, day of week (1 is Sunday), year.
RANGES: Sequence[tuple[int, int, Sequence[str]]] = (
    (0, 59, ()),
    (0, 23, ()),
    (1, 31, ()),
    (1, 12, MONTHS),
    (1, 7, DAYS),
    (1970, 2199, ()),
)


class ScheduleError(Exception):
    """The schedule cannot be read; the message says why."""


class Schedule:
    """A schedule in its time zone."""

    def __init__(self, expression: str, zone: str | None = None) -> None:
        try:
            self._zone = ZoneInfo(zone) if zone else UTC
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ScheduleError(f"{zone!r} is not a time zone.") from error
        self._at: float | None = None
        self.rate_seconds: int | None = None
        """For ``rate(...)``: AWS seconds from one time to the next."""
        self._cron: list[frozenset[int]] | None = None
        try:
            self._parse(expression)
        except ValueError as error:
            raise ScheduleError(f"{expression!r} is no at(...), rate(...) or cron(...) expression: {error}") from error

    def due(self, last: float, now: float, gone: float | None = None) -> bool:
        """Return whether a time of the schedule lies after ``last`` and not after ``now`` (seconds since 1970).

        Args:
            last: When it was last taken.
            now: The time.
            gone: How many AWS seconds lie between the two, when not as many as real ones; ``rate(...)`` counts them.
        """
        if self._at is not None:
            return last < self._at <= now
        if self.rate_seconds is not None:
            return (now - last if gone is None else gone) >= self.rate_seconds
        # Those who ask do so more often than once a minute.
        minute = int(now) // 60 * 60
        return last < minute and self._holds(datetime.fromtimestamp(minute, self._zone))

    def _parse(self, expression: str) -> None:
        if match := AT.fullmatch(expression):
            self._at = datetime.fromisoformat(match[1]).replace(tzinfo=self._zone).timestamp()
        elif match := RATE.fullmatch(expression):
            self.rate_seconds = int(match[1]) * SECONDS[match[2]]
            if not self.rate_seconds:
                raise ValueError("a rate is above 0")
        elif match := CRON.fullmatch(expression):
            fields = match[1].split()
            if len(fields) != len(RANGES):
                raise ValueError("cron(...) has six fields")
            self._cron = [_values(field, *limits) for field, limits in zip(fields, RANGES, strict=True)]
        else:
            raise ValueError("unknown form")

    def _holds(self, moment: datetime) -> bool:
        assert self._cron is not None  # noqa: S101 - one of the three is set
        weekday = moment.isoweekday() % 7 + 1
        parts = (moment.minute, moment.hour, moment.day, moment.month, weekday, moment.year)
        return all(part in values for part, values in zip(parts, self._cron, strict=True))


def _values(field: str, low: int, high: int, names: Sequence[str]) -> frozenset[int]:
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, dash, last = span.partition("-")
        start = low if first in ("*", "?") else _number(first, low, names)
        end = _number(last, low, names) if dash else high if step or first in ("*", "?") else start
        if not low <= start <= end <= high or (step and not 0 < int(step) <= high):
            raise ValueError(f"{part!r} is not within {low} and {high}")
        found.update(range(start, end + 1, int(step or 1)))
    return frozenset(found)


def _number(text: str, low: int, names: Sequence[str]) -> int:
    if text.upper() in names:
        return names.index(text.upper()) + low
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"{text!r} is not understood here")
    return int(text)
