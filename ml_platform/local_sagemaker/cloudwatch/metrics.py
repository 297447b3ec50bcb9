"""PutMetricData, GetMetricData, GetMetricStatistics and ListMetrics.

Time stamps and periods in these requests are real time, whatever the clock does: only alarms' periods follow it.
"""

import math
from typing import Any

from ml_platform.local_sagemaker.cloudwatch.metric_store import Metric, Moment, Point
from ml_platform.local_sagemaker.cloudwatch.monitoring import Monitoring, monitoring_of
from ml_platform.local_sagemaker.cloudwatch.operation_registry import cloudwatch_operation
from ml_platform.local_sagemaker.cloudwatch.queries import (
    label,
    not_implemented,
    require_period,
    require_queries,
    require_statistic,
    run,
    statistics,
)
from ml_platform.local_sagemaker.cloudwatch.statistics import Summary
from ml_platform.local_sagemaker.service import AwsError, Request, Response, Service

OLDEST_SECONDS = 14 * 86_400
NEWEST_SECONDS = 2 * 3600
ACTIVE_SECONDS = 3 * 3600
MAX_STATISTICS = 1440
MAX_DATAPOINTS = 100_800
METRICS_PAGE = 500
LARGEST = 2.0**360
LATEST = 1e11


@cloudwatch_operation("PutMetricData")
async def put_metric_data(service: Service, request: Request) -> Response:
    """Keep metric values."""
    if request["Namespace"].startswith("AWS/"):
        raise wrong_value(f"The value {request['Namespace']} for parameter Namespace is invalid.")
    if "EntityMetricData" in request:
        raise not_implemented("metrics with entities (EntityMetricData)")
    monitoring = monitoring_of(service)
    now = service.clock.timestamp()
    points = [
        _point(monitoring, request["Namespace"], datum, now, service.clock.position)
        for datum in request.get("MetricData", [])
    ]
    monitoring.store.add(points)
    return {}


@cloudwatch_operation("GetMetricData")
async def get_metric_data(service: Service, request: Request) -> Response:
    """Return time series of metrics and expressions."""
    queries = request["MetricDataQueries"]
    require_queries(queries)
    if request.get("MaxDatapoints", MAX_DATAPOINTS) < MAX_DATAPOINTS or "NextToken" in request:
        raise not_implemented("pages of GetMetricData (MaxDatapoints)")
    monitoring = monitoring_of(service)
    start, end = _span(monitoring, request["StartTime"], request["EndTime"])
    monitoring.flush()
    found = run(monitoring.store, queries, start, end, lambda period: period * 1000)
    descending = request.get("ScanBy", "TimestampDescending") == "TimestampDescending"
    results = []
    for query in queries:
        if query.get("ReturnData", True):
            points = sorted(found[query["Id"]].items(), reverse=descending)
            results.append(
                {
                    "Id": query["Id"],
                    "Label": label(query),
                    "Timestamps": [at / 1000 for at, _ in points],
                    "Values": [value for _, value in points],
                    "StatusCode": "Complete",
                }
            )
    return {"MetricDataResults": results, "Messages": []}


@cloudwatch_operation("GetMetricStatistics")
async def get_metric_statistics(service: Service, request: Request) -> Response:
    """Return statistics of one metric."""
    wanted, extended = request.get("Statistics", []), request.get("ExtendedStatistics", [])
    if not wanted and not extended:
        raise AwsError("InvalidParameterCombination", "Must specify either Statistics or ExtendedStatistics")
    for name in extended:
        require_statistic(name)
    require_period(request["Period"])
    monitoring = monitoring_of(service)
    start, end = _span(monitoring, request["StartTime"], request["EndTime"])
    if (end - start) / 1000 / request["Period"] > MAX_STATISTICS:
        raise AwsError(
            "InvalidParameterCombination",
            f"You have requested up to {math.ceil((end - start) / 1000 / request['Period'])} datapoints, which exceeds "
            f"the limit of {MAX_STATISTICS}. You may reduce the datapoints requested by increasing Period, or "
            "decreasing the time range.",
        )
    monitoring.flush()
    metric = Metric.of(request["Namespace"], request["MetricName"], request.get("Dimensions", ()))
    sums = statistics(monitoring.store, metric, start, end, request["Period"] * 1000, request.get("Unit"))
    datapoints = [
        {
            "Timestamp": at / 1000,
            "Unit": request.get("Unit"),
            **{name: summary.value(name) for name in wanted},
            "ExtendedStatistics": {name: summary.value(name) for name in extended} or None,
        }
        for at, summary in sorted(sums.items())
    ]
    return {"Label": request["MetricName"], "Datapoints": datapoints}


@cloudwatch_operation("ListMetrics")
async def list_metrics(service: Service, request: Request) -> Response:
    """Return a page of the metrics that had values in the last two weeks."""
    if request.get("IncludeLinkedAccounts") or "OwningAccount" in request:
        raise not_implemented("metrics of other accounts")
    monitoring = monitoring_of(service)
    monitoring.flush()
    after = _token(request.get("NextToken"))
    age = ACTIVE_SECONDS if "RecentlyActive" in request else OLDEST_SECONDS
    since = round((service.clock.timestamp() - age) * 1000)
    found: list[dict[str, Any]] = []
    while len(found) < METRICS_PAGE and (batch := monitoring.store.metrics(after, METRICS_PAGE, since)):
        for identity, metric in batch:
            if len(found) == METRICS_PAGE:
                break
            after = identity
            if _matches(metric, request):
                found.append(metric.as_json())
    more = monitoring.store.metrics(after, 1, since)
    return {"Metrics": found, "NextToken": str(after) if more else None}


def wrong_value(message: str) -> AwsError:
    """Return CloudWatch's InvalidParameterValue."""
    return AwsError("InvalidParameterValue", message)


def _point(monitoring: Monitoring, namespace: str, datum: dict[str, Any], now: float, position: float) -> Point:
    timestamp = datum.get("Timestamp", now)
    if not now - OLDEST_SECONDS <= timestamp <= now + NEWEST_SECONDS:
        raise wrong_value(
            "The parameter MetricData.member.1.Timestamp must specify a time within two weeks before and two hours "
            "after now."
        )
    resolution = monitoring.milliseconds(1 if datum.get("StorageResolution") == 1 else 60)
    metric = Metric.of(namespace, datum["MetricName"], datum.get("Dimensions", ()))
    at = Moment.of(timestamp, timestamp - now + position, resolution)
    return Point(metric, at, datum.get("Unit", "None"), _summary(datum))


def _summary(datum: dict[str, Any]) -> Summary:
    given = [name for name in ("Value", "Values", "StatisticValues") if name in datum]
    if len(given) != 1:
        raise AwsError(
            "InvalidParameterCombination",
            f"The metric {datum['MetricName']} must have one of Value, Values and StatisticValues.",
        )
    summary = Summary()
    if "StatisticValues" in datum:
        return _given_statistics(datum["StatisticValues"])
    values = datum.get("Values") or [datum["Value"]]
    counts = datum.get("Counts") or [1.0] * len(values)
    if len(counts) != len(values):
        raise wrong_value("The parameters Values and Counts must have the same length.")
    for value, times in zip(values, counts, strict=True):
        _require_finite(value)
        _require_finite(times)
        if times < 0:
            raise wrong_value("The parameter Counts must not be negative.")
        if times:
            summary.add(float(value), float(times))
    return summary


def _given_statistics(given: dict[str, float]) -> Summary:
    for value in given.values():
        _require_finite(value)
    if given["SampleCount"] <= 0 or given["Minimum"] > given["Maximum"]:
        raise wrong_value("StatisticValues must have a positive SampleCount and a Minimum up to its Maximum.")
    return Summary(
        float(given["SampleCount"]), float(given["Sum"]), float(given["Minimum"]), float(given["Maximum"]), whole=False
    )


def _require_finite(value: float) -> None:
    if not math.isfinite(value) or abs(value) > LARGEST:
        raise wrong_value(f"The value {value} for parameter MetricData.member.1.Value is invalid.")


def _span(monitoring: Monitoring, start: float, end: float) -> tuple[int, int]:
    """Return a request's span in milliseconds; it starts with a whole stored period, as AWS rounds to the minute."""
    # Also false for what is no number.
    if not 0 <= start <= LATEST or not 0 <= end <= LATEST:
        raise wrong_value("StartTime and EndTime must be times since 1970.")
    if start >= end:
        raise AwsError("ValidationError", "The parameter StartTime must be less than the parameter EndTime.")
    resolution = monitoring.milliseconds(60)
    return round(start * 1000) // resolution * resolution, round(end * 1000)


def _matches(metric: Metric, request: Request) -> bool:
    dimensions = dict(metric.dimensions)
    return (
        request.get("Namespace", metric.namespace) == metric.namespace
        and request.get("MetricName", metric.name) == metric.name
        and all(
            each["Name"] in dimensions and each.get("Value", dimensions[each["Name"]]) == dimensions[each["Name"]]
            for each in request.get("Dimensions", ())
        )
    )


def _token(token: str | None) -> int:
    try:
        return int(token or 0)
    except ValueError as error:
        raise wrong_value("Invalid nextToken") from error
