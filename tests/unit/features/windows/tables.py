"""A declared table with every aggregate, bound and filter, and a reference that looks at every pair of rows."""

import math
from datetime import datetime, timedelta

from ml_platform.features.windows.declaration import Compare, Condition, FeatureTable, KnownFraud, WindowFeature

_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)
_BIG = Compare(column="amount", operator=">=", value=50.0)
_HOME = Compare(column="terminal_id", operator="==", value="m1")
_FRAUD = KnownFraud()


def _feature(name: str, aggregate: str, window: timedelta, **options: object) -> WindowFeature:
    return WindowFeature.model_validate(
        {"name": name, "aggregate": aggregate, "window": window, "meaning": name, "unit": "any", **options}
    )


EVERYTHING = FeatureTable(
    name="tests/everything",
    source="payments/transactions",
    labels="payments/fraud_labels",
    key="customer_id",
    owner="team:test",
    meaning="Everything that can be declared.",
    features=(
        _feature("count_3d", "count", 3 * _DAY),
        _feature("count_before_1d", "count", _DAY, bounds="before_now", where=(_HOME,)),
        _feature("sum_delayed", "sum", 2 * _DAY, column="amount", delay=_DAY),
        _feature("mean_big", "mean", 7 * _DAY, column="amount", where=(_BIG,)),
        _feature("mean_cents", "mean", 5 * _DAY, column="amount", decimals=0, bounds="before_now"),
        _feature("min_3d", "min", 3 * _DAY, column="amount"),
        _feature("max_delayed", "max", 2 * _DAY, column="amount", delay=_HOUR, bounds="before_now"),
        _feature("std_7d", "std", 7 * _DAY, column="amount"),
        _feature("distinct_7d", "distinct", 7 * _DAY, column="terminal_id"),
        _feature("distinct_before", "distinct", 2 * _DAY, column="terminal_id", delay=_HOUR, bounds="before_now"),
        _feature("rate_big", "rate", 4 * _DAY, share_of=_BIG),
        _feature("last_3d", "last", 3 * _DAY, column="amount", where=(_HOME,)),
        _feature("since_previous", "since_previous", 5 * _DAY, bounds="before_now"),
        _feature("fraud_rate", "rate", 7 * _DAY, delay=2 * _DAY, share_of=_FRAUD),
        _feature("fraud_count_before", "count", 6 * _DAY, where=(_FRAUD, _BIG), bounds="before_now"),
        _feature("fraud_mean", "mean", 9 * _DAY, column="amount", where=(_FRAUD,)),
        _feature("fraud_std", "std", 20 * _DAY, column="amount", where=(_FRAUD,)),
    ),
)


def differing(values: list, expected: list) -> list[tuple]:
    """Return the pairs that differ by more than 1e-9, of the value itself where that is more."""
    pairs = zip(values, expected, strict=True)
    return [
        (ours, theirs)
        for ours, theirs in pairs
        if (ours is None) != (theirs is None)
        or (ours is not None and abs(ours - theirs) > 1e-9 * max(1.0, abs(theirs)))
    ]


def reference(table: FeatureTable, rows: list[dict], labels: list[dict]) -> list[dict]:
    """Return each row's features, by looking at every other row, and at every label."""
    found = []
    for row in rows:
        now = row["event_time"]
        frauds = _known_frauds(labels, now)
        of_entity = [other for other in rows if other[table.key] == row[table.key]]
        found.append({feature.name: _value(feature, now, of_entity, frauds) for feature in table.features})
    return found


def _known_frauds(labels: list[dict], now: datetime) -> set[str]:
    newest: dict[str, tuple[datetime, int]] = {}
    for label in labels:
        if label["known_time"] <= now:
            mine = (label["known_time"], label["label"])
            newest[label["transaction_id"]] = max(newest.get(label["transaction_id"], mine), mine)
    return {transaction for transaction, (_, label) in newest.items() if label == 1}


def _holds(condition: Condition, row: dict, frauds: set[str]) -> bool:
    if isinstance(condition, KnownFraud):
        return row["transaction_id"] in frauds
    value, literal = row[condition.column], condition.value
    if value is None:
        return False
    return {
        "==": lambda: value == literal,
        "!=": lambda: value != literal,
        "<": lambda: value < literal,
        "<=": lambda: value <= literal,
        ">": lambda: value > literal,
        ">=": lambda: value >= literal,
    }[condition.operator]()


def _value(feature: WindowFeature, now: datetime, rows: list[dict], frauds: set[str]) -> float | None:
    end, start = now - feature.delay, now - feature.reach

    def inside(time: datetime) -> bool:
        return start < time <= end if feature.bounds == "up_to_now" else start <= time < end

    seen = [
        row
        for row in rows
        if inside(row["event_time"])
        and (feature.column is None or row[feature.column] is not None)
        and all(_holds(condition, row, frauds) for condition in feature.where)
    ]
    if feature.aggregate == "count":
        return len(seen)
    if feature.aggregate == "rate":
        return sum(_holds(feature.share_of, row, frauds) for row in seen) / len(seen) if seen else 0.0
    if feature.aggregate == "since_previous":
        return (now - max(row["event_time"] for row in seen)).total_seconds() if seen else None
    values = [row[feature.column] for row in sorted(seen, key=lambda row: (row["event_time"], row["transaction_id"]))]
    return _of_values(feature, values)


def _of_values(feature: WindowFeature, values: list) -> float | None:
    if feature.aggregate == "distinct":
        return len(set(values))
    if feature.aggregate in ("sum", "mean", "std"):
        values = [round(value * 10**feature.decimals) / 10**feature.decimals for value in values]
    if feature.aggregate == "sum":
        return math.fsum(values)
    if feature.aggregate == "std":
        mean = math.fsum(values) / len(values) if values else 0
        return math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1)) if len(values) > 1 else None
    if not values:
        return None
    return {"mean": math.fsum(values) / len(values), "min": min(values), "max": max(values), "last": values[-1]}[
        feature.aggregate
    ]
