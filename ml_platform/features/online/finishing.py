"""Window features of one key at one instant, from its history: the request's half of exact serving.

It computes what ``features.windows`` computes for the same declaration, value for value; a test holds the two equal on
random worlds. Pure: the on-demand views in ``feature_repo`` call it with what Feast read.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from ml_platform.core.errors import ConfigurationError
from ml_platform.features.online.history import UNITS_PER_AMOUNT, History, identity_of, units_of
from ml_platform.features.windows.declaration import FeatureTable, WindowFeature
from ml_platform.features.windows.payments import FEATURE_TABLES

_AMOUNT = "amount"
_FINISHED = frozenset({"count", "sum", "mean", "min", "max", "rate", "since_previous"})
_SECOND = 1_000_000
_FEASTS_SAMPLE = b"hello world"
"""Feast calls an on-demand view with this once, when it is applied, to see what types come back."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Window:
    """A declaration in microseconds."""

    name: str
    aggregate: str
    length_us: int
    delay_us: int
    up_to_now: bool

    @property
    def holds_the_request(self) -> bool:
        return self.up_to_now and not self.delay_us


@dataclass(frozen=True, slots=True)
class Payment:
    """The payment to be scored: it counts in windows up to now, whether or not its event came already."""

    identity: int | None
    units: int


def finish_columns(
    table: str, histories: Sequence[bytes | None], inputs: Mapping[str, Sequence[Any]]
) -> dict[str, list[Any]]:
    """Return the features of a declared table for some requests, as columns.

    Args:
        table: Name of the declared table.
        histories: One per request.
        inputs: ``transaction_time``, ``transaction_id`` and ``amount`` of the requests.
    """
    windows = windows_of(declared_table(table))
    rows = [
        finish(
            History.from_bytes(None if content == _FEASTS_SAMPLE else content),
            microseconds(instant),
            Payment(identity_of(name) if name else None, units_of(amount)),
            windows,
        )
        for content, instant, name, amount in zip(
            histories, inputs["transaction_time"], inputs["transaction_id"], inputs["amount"], strict=True
        )
    ]
    return {window.name: [row[place] for row in rows] for place, window in enumerate(windows)}


def finish(history: History, at_us: int, payment: Payment | None, windows: Sequence[_Window]) -> list[Any]:
    """Return the value of each window at an instant, in order; absent values are None."""
    if payment is not None and payment.identity is not None and _is_there(history, at_us, payment.identity):
        payment = None
    frauds = _known_frauds(history, at_us) if any(window.aggregate == "rate" for window in windows) else []
    spans: dict[tuple[int, int, bool], tuple[int, int, int]] = {}
    found = []
    for window in windows:
        span = (window.length_us, window.delay_us, window.up_to_now)
        if span not in spans:
            spans[span] = _span(history, at_us, window)
        first, end, count = spans[span]
        own = payment if window.holds_the_request else None
        found.append(_value(history, at_us, window, (first, end, count + (own is not None)), own, frauds))
    return found


@cache
def windows_of(table: FeatureTable) -> tuple[_Window, ...]:
    """Return the windows of a table.

    Raises:
        ConfigurationError: When one cannot be finished from times and amounts.
    """
    for feature in table.features:
        _require_finishable(feature)
    return tuple(
        _Window(
            name=feature.name,
            aggregate=feature.aggregate,
            length_us=feature.window // timedelta(microseconds=1),
            delay_us=feature.delay // timedelta(microseconds=1),
            up_to_now=feature.bounds == "up_to_now",
        )
        for feature in table.features
    )


@cache
def declared_table(name: str) -> FeatureTable:
    """Return the declared table of this name."""
    return {table.name: table for table in FEATURE_TABLES}[name]


def microseconds(instant: datetime) -> int:
    """Return an instant in microseconds since 1970; without a time zone it is UTC."""
    elapsed = (instant if instant.tzinfo else instant.replace(tzinfo=UTC)) - _EPOCH
    return (elapsed.days * 86_400 + elapsed.seconds) * _SECOND + elapsed.microseconds


def _require_finishable(feature: WindowFeature) -> None:
    problem = None
    if feature.aggregate not in _FINISHED:
        problem = f"aggregate {feature.aggregate}"
    elif feature.column not in (None, _AMOUNT):
        problem = f"column {feature.column}"
    elif feature.where:
        problem = "a condition on the rows"
    elif feature.share_of is not None and feature.share_of.kind != "known_fraud":
        problem = "a share of anything but known frauds"
    elif 10**feature.decimals != UNITS_PER_AMOUNT:
        problem = f"{feature.decimals} decimals"
    if problem:
        raise ConfigurationError(
            f"{feature.name} has {problem}, which a history of times, amounts and frauds cannot serve exactly. "
            "Serve it from the daily rows, or teach features.online.finishing."
        )


def _span(history: History, at_us: int, window: _Window) -> tuple[int, int, int]:
    """Return first and end of the entries in a window, and how many events they are."""
    edge = bisect_right if window.up_to_now else bisect_left
    until = at_us - window.delay_us
    first, end = edge(history.times, until - window.length_us), edge(history.times, until)
    settled = sum(history.counts[first:end])
    return first, end, settled + (end - max(first, min(len(history.counts), end)))


def _value(
    history: History,
    at_us: int,
    window: _Window,
    span: tuple[int, int, int],
    own: Payment | None,
    frauds: Sequence[int],
) -> Any:
    first, end, count = span
    if window.aggregate == "count":
        return count
    if window.aggregate == "rate":
        return _frauds_in(frauds, at_us, window) / count if count else 0.0
    if window.aggregate == "since_previous":
        return (at_us - history.times[end - 1]) / _SECOND if end > first else None
    units = history.units[first:end]
    if own is not None:
        units.append(own.units)
    return _of_amounts(window.aggregate, units, count)


def _of_amounts(aggregate: str, units: Sequence[int], count: int) -> float | None:
    if aggregate == "sum":
        return sum(units) / UNITS_PER_AMOUNT
    if not units:
        return None
    if aggregate == "mean":
        return sum(units) / (count * UNITS_PER_AMOUNT)
    return (min if aggregate == "min" else max)(units) / UNITS_PER_AMOUNT


def _frauds_in(frauds: Sequence[int], at_us: int, window: _Window) -> int:
    edge = bisect_right if window.up_to_now else bisect_left
    until = at_us - window.delay_us
    return edge(frauds, until) - edge(frauds, until - window.length_us)


def _is_there(history: History, at_us: int, identity: int) -> bool:
    """Whether the history holds the payment itself: its event came before it was scored."""
    place = bisect_left(history.times, at_us)
    while place < len(history.times) and history.times[place] == at_us:
        if history.ids[place] == identity:
            return True
        place += 1
    # A settled payment has no identity left; to score one again is to count it once.
    return at_us <= history.settled_us


def _known_frauds(history: History, at_us: int) -> list[int]:
    """Return the event times of what was known to be a fraud at an instant, ascending as the facts are."""
    newest: dict[tuple[int, int], int] = {}
    for event, identity, fact in zip(history.fact_events, history.fact_ids, history.facts, strict=True):
        if fact // 2 <= at_us:
            key = (event, identity)
            newest[key] = max(newest.get(key, fact), fact)
    return [event for (event, _), fact in newest.items() if fact % 2]
