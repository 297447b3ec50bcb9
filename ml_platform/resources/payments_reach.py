"""Which days of which features change when rows of a day come late: what landing and windows know, put together."""

from collections.abc import Mapping
from datetime import date, timedelta

ONLINE = "payments/online_features"


def touched_by_payment_day(day: date) -> Mapping[str, list[date]]:
    """Return the days of each feature table, and of the online store, that see payments of ``day``."""
    from ml_platform.features.windows.payments import FEATURE_TABLES
    from ml_platform.features.windows.reach import days_touched

    return _with_online({table.name: list(days_touched(table, day)) for table in FEATURE_TABLES})


def touched_by_label_day(day: date) -> Mapping[str, list[date]]:
    """Return the same for labels that became known on ``day``, whenever their payments happened.

    The newest of these payments is seen for the longest, and none is seen before its label is known.
    """
    from ml_platform.features.windows.payments import FEATURE_TABLES
    from ml_platform.features.windows.reach import days_touched_by_label

    last = {table.name: max(days_touched_by_label(table, day, day), default=None) for table in FEATURE_TABLES}
    return _with_online({name: _days(day, end) for name, end in last.items() if end is not None})


def _with_online(touched: dict[str, list[date]]) -> Mapping[str, list[date]]:
    return {**touched, ONLINE: sorted({day for days in touched.values() for day in days})}


def _days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=offset) for offset in range((last - first).days + 1)]
