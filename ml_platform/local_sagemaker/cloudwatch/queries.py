"""Metric data queries: a metric and a statistic, or an expression over other queries. Alarms ask the same way."""

import ast
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ml_platform.local_sagemaker.cloudwatch import expressions
from ml_platform.local_sagemaker.cloudwatch.expressions import ExpressionError, Series
from ml_platform.local_sagemaker.cloudwatch.metric_store import Metric, MetricStore
from ml_platform.local_sagemaker.cloudwatch.statistics import Summary, is_statistic
from ml_platform.local_sagemaker.service import AwsError

IDENTIFIER = re.compile(r"[a-z][a-zA-Z0-9_]*")
HIGH_RESOLUTION_PERIODS = (1, 5, 10, 20, 30)
MAX_POINTS = 100_800

Query = dict[str, Any]


def invalid(message: str) -> AwsError:
    """Return the ValidationError of CloudWatch."""
    return AwsError("ValidationError", message)


def not_implemented(feature: str) -> AwsError:
    """Return the refusal of what CloudWatch can do and the stand-in cannot."""
    return invalid(f"The local CloudWatch stand-in does not implement {feature}.")


def require_period(period: int) -> None:
    """Refuse a period that CloudWatch does not have."""
    if period not in HIGH_RESOLUTION_PERIODS and (period < 1 or period % 60):
        raise invalid("Period must be 1, 5, 10, 20, 30 or a multiple of 60.")


def require_statistic(name: str) -> None:
    """Refuse a statistic that does not exist, or that we do not compute."""
    if not is_statistic(name):
        raise AwsError(
            "InvalidParameterValue",
            f"The value {name} for parameter Stat is not supported. The local stand-in has SampleCount, Average, Sum, "
            "Minimum, Maximum, pNN and PR(low:high).",
        )


def require_queries(queries: Sequence[Query]) -> None:
    """Check what botocore's model cannot say about a list of queries."""
    identifiers = [query["Id"] for query in queries]
    if len(set(identifiers)) < len(identifiers):
        raise invalid("The values for parameter id in MetricDataQueries are not unique.")
    for query in queries:
        if not IDENTIFIER.fullmatch(query["Id"]):
            raise invalid(f"The value {query['Id']} for parameter Id must start with a lowercase letter.")
        if "AccountId" in query:
            raise not_implemented("metrics of other accounts (AccountId)")
        if ("MetricStat" in query) == ("Expression" in query):
            raise invalid(f"The query {query['Id']} must have either MetricStat or Expression.")
        if "MetricStat" in query:
            require_period(query["MetricStat"]["Period"])
            require_statistic(query["MetricStat"]["Stat"])
        else:
            _require_expression(query, set(identifiers))
    _require_no_circle(queries)


def label(query: Query) -> str:
    """Return a query's label, or what CloudWatch shows without one."""
    metric = query.get("MetricStat", {}).get("Metric", {})
    return str(query.get("Label") or metric.get("MetricName") or query["Id"])


def statistics(
    store: MetricStore, metric: Metric, start: int, end: int, period: int, unit: str | None = None, *, by: str = "at"
) -> dict[int, Summary]:
    """Return sums of a metric by start of period. All times are in milliseconds, ``by`` tells which of a moment's."""
    sums: dict[int, Summary] = {}
    for at, summary in store.read(metric, start, end, unit, by=by):
        sums.setdefault(at // period * period, Summary()).merge(summary)
    return sums


def run(
    store: MetricStore,
    queries: Sequence[Query],
    start: int,
    end: int,
    real_period: Callable[[int], int],
    *,
    by: str = "at",
) -> dict[str, Series]:
    """Return the time series of every query.

    Args:
        store: Where the values are.
        queries: Checked by ``require_queries``.
        start: First time, in milliseconds.
        end: Time after the last.
        real_period: A query's period in seconds to milliseconds on this stand-in's clock.
        by: Which time of a ``Moment`` is meant.

    Raises:
        AwsError: When an expression cannot be evaluated, or the answer would be too long.
    """
    periods = [real_period(query["MetricStat"]["Period"]) for query in queries if "MetricStat" in query]
    shortest = min(periods, default=real_period(60))
    if (end - start) / shortest * len(queries) > MAX_POINTS:
        raise invalid(f"The request asks for more than {MAX_POINTS} data points: ask for less, or longer periods.")
    times = list(range(start // shortest * shortest, end, shortest))
    return _Run(store, queries, (start, end, by), real_period, times).all()


class _Run:
    def __init__(
        self,
        store: MetricStore,
        queries: Sequence[Query],
        span: tuple[int, int, str],
        real_period: Callable[[int], int],
        times: list[int],
    ) -> None:
        self._store = store
        self._queries = {query["Id"]: query for query in queries}
        self._start, self._end, self._by = span
        self._real_period = real_period
        self._times = times
        self._known: dict[str, Series] = {}

    def all(self) -> dict[str, Series]:
        try:
            return {identifier: self._series(identifier) for identifier in self._queries}
        except ExpressionError as error:
            raise invalid(str(error)) from error

    def _series(self, identifier: str) -> Series:
        if identifier not in self._known:
            query = self._queries[identifier]
            found = self._metric(query["MetricStat"]) if "MetricStat" in query else self._expression(query)
            self._known[identifier] = found
        return self._known[identifier]

    def _metric(self, asked: Mapping[str, Any]) -> Series:
        named = asked["Metric"]
        metric = Metric.of(named.get("Namespace", ""), named.get("MetricName", ""), named.get("Dimensions", ()))
        period = self._real_period(asked["Period"])
        sums = statistics(self._store, metric, self._start, self._end, period, asked.get("Unit"), by=self._by)
        values = {at: summary.value(asked["Stat"]) for at, summary in sums.items()}
        return {at: value for at, value in values.items() if value is not None}

    def _expression(self, query: Query) -> Series:
        tree = expressions.parse(query["Expression"])
        needed = {name: self._series(name) for name in sorted(expressions.names(tree))}
        metrics = [self._series(name) for name in _metric_ids(self._queries.values())]
        return expressions.evaluate(tree, needed, self._times, metrics)


def _metric_ids(queries: Iterable[Query]) -> list[str]:
    return [query["Id"] for query in queries if "MetricStat" in query]


def _require_expression(query: Query, known: set[str]) -> None:
    try:
        tree = expressions.parse(query["Expression"])
    except ExpressionError as error:
        raise invalid(f"Error in expression '{query['Id']}': {error}") from error
    for name in sorted(expressions.names(tree) - known):
        raise invalid(f"Error in expression '{query['Id']}': {name} is not the id of a query.")


def _require_no_circle(queries: Sequence[Query]) -> None:
    needs = {query["Id"]: _needs(expressions.parse(query["Expression"])) for query in queries if "Expression" in query}
    while needs:
        ready = [name for name, needed in needs.items() if not needed & needs.keys()]
        if not ready:
            raise invalid(f"Expressions refer to each other in a circle: {', '.join(sorted(needs))}.")
        for name in ready:
            del needs[name]


def _needs(tree: ast.expr) -> set[str]:
    return expressions.names(tree)
