"""Which days windows tie together: the days a day's features are made of, and the days a changed day touches.

Both are exact for what the declarations say, so that a new day costs a day and a late row re-opens no day too many.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta

from ml_platform.features.windows.declaration import FeatureTable, WindowFeature

_DAY = timedelta(days=1)
_INSTANT = timedelta(microseconds=1)


def first_day_read(table: FeatureTable, first: date) -> date:
    """Return the earliest day of the source that features of day ``first`` look at."""
    # A window up to now is open at its start, one before now is closed there.
    opens = min(
        _midnight(first) - feature.reach + (_INSTANT if feature.bounds == "up_to_now" else timedelta(0))
        for feature in table.features
    )
    return min(opens.date(), first)


def days_touched(table: FeatureTable, day: date) -> tuple[date, ...]:
    """Return the days of the table that change when rows of the source's ``day`` come late, change or vanish.

    The day itself is one of them: it has a row for each row of the source. Days that do not exist yet are returned
    too; the caller knows which do.
    """
    return _merged((day, day + _DAY), (_span(feature, day, day) for feature in table.features))


def days_touched_by_label(table: FeatureTable, event_day: date, known_day: date) -> tuple[date, ...]:
    """Return the days of the table that change with a label of ``event_day``'s rows that became known on ``known_day``.

    None when no feature of the table looks at labels.
    """
    spans = (_span(feature, event_day, known_day) for feature in table.features if feature.looks_at_labels)
    return _merged(None, spans)


def _span(feature: WindowFeature, day: date, earliest: date) -> tuple[date, date]:
    """Return first and end (excluded) of the days, not before ``earliest``, whose instants see rows of ``day``."""
    start = _midnight(day) + feature.delay
    # The last instant that sees the day's last row: a window up to now lets a row go when it is exactly as old as
    # the window is long, one before now keeps it that instant longer, and begins that much later.
    last = _midnight(day + _DAY) - _INSTANT + feature.delay + feature.window
    if feature.bounds == "up_to_now":
        last -= _INSTANT
    else:
        start += _INSTANT
    return max(start.date(), earliest), last.date() + _DAY


def _merged(own: tuple[date, date] | None, spans: Iterable[tuple[date, date]]) -> tuple[date, ...]:
    days: set[date] = set()
    for first, end in (*([own] if own else []), *spans):
        days |= {first + _DAY * offset for offset in range((end - first).days)}
    return tuple(sorted(days))


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
