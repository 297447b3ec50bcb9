"""The operations on alarms. What makes an alarm change its state is in ``monitoring`` and ``alarm_states``."""

from typing import Any

from ml_platform.local_sagemaker.cloudwatch.actions import ACTIONS, require_actions
from ml_platform.local_sagemaker.cloudwatch.alarm_states import COMPARISONS
from ml_platform.local_sagemaker.cloudwatch.composite_rules import RuleError, parse_rule
from ml_platform.local_sagemaker.cloudwatch.monitoring import (
    COMPOSITE_ALARM,
    KIND,
    METRIC_ALARM,
    Alarm,
    alarm_period,
    alarm_queries,
    monitoring_of,
)
from ml_platform.local_sagemaker.cloudwatch.operation_registry import cloudwatch_operation
from ml_platform.local_sagemaker.cloudwatch.queries import (
    invalid,
    not_implemented,
    require_period,
    require_queries,
    require_statistic,
)
from ml_platform.local_sagemaker.service import AwsError, Request, Response, Service

MISSING = ("breaching", "notBreaching", "ignore", "missing")
REFUSED = ("EvaluationWindow", "WarmUpConfiguration", "EvaluationCriteria", "EvaluationInterval", "ThresholdMetricId")
METRIC_MEMBERS = ("MetricName", "Namespace", "Period", "Statistic", "ExtendedStatistic", "Dimensions", "Unit")
INITIAL_REASON = "Unchecked: Initial alarm creation"
DEFAULT_PAGE = 50
LATEST = 1e12
HOUR_SECONDS, DAY_SECONDS, WEEK_SECONDS = 3600, 86_400, 604_800


@cloudwatch_operation("PutMetricAlarm")
async def put_metric_alarm(service: Service, request: Request) -> Response:
    """Create or overwrite an alarm on a metric or an expression."""
    for member in REFUSED:
        if member in request:
            raise not_implemented(f"alarms with {member}")
    if request.get("EvaluateLowSampleCountPercentile") == "ignore":
        raise not_implemented("EvaluateLowSampleCountPercentile ignore")
    require_actions(service, request)
    for member in ("ComparisonOperator", "EvaluationPeriods", "Threshold"):
        if member not in request:
            raise AwsError("MissingParameter", f"The parameter {member} is required.")
    if request["ComparisonOperator"] not in COMPARISONS:
        raise not_implemented("anomaly detection alarms")
    if request.get("TreatMissingData", "missing") not in MISSING:
        raise invalid(f"The value for parameter TreatMissingData must be one of {', '.join(MISSING)}.")
    if request.get("DatapointsToAlarm", 1) > request["EvaluationPeriods"]:
        raise invalid("DatapointsToAlarm must be less than or equal to EvaluationPeriods.")
    _require_measure(request)
    span = request["EvaluationPeriods"] * alarm_period(request)
    longest = WEEK_SECONDS if alarm_period(request) >= HOUR_SECONDS else DAY_SECONDS
    if span > longest:
        raise invalid(f"Metrics cannot be checked across more than {longest} s (EvaluationPeriods * Period is {span}).")
    return _put(service, METRIC_ALARM, request)


@cloudwatch_operation("PutCompositeAlarm")
async def put_composite_alarm(service: Service, request: Request) -> Response:
    """Create or overwrite an alarm on the states of other alarms."""
    if "ActionsSuppressor" in request:
        raise not_implemented("suppression of actions")
    require_actions(service, request)
    try:
        rule = parse_rule(request["AlarmRule"])
    except RuleError as error:
        raise invalid(f"AlarmRule must contain a valid expression: {error}.") from error
    missing = [name for name in rule.alarms if service.store.get(KIND, name) is None]
    if missing:
        raise invalid(f"AlarmRule must not contain alarms that do not exist: {', '.join(missing)}.")
    if request["AlarmName"] in _descendants(service, rule.alarms):
        raise invalid("AlarmRule must not make the alarm depend on itself.")
    return _put(service, COMPOSITE_ALARM, request)


@cloudwatch_operation("DescribeAlarms")
async def describe_alarms(service: Service, request: Request) -> Response:
    """Return a page of alarms, metric alarms unless other types are asked for."""
    if "ChildrenOfAlarmName" in request or "ParentsOfAlarmName" in request:
        raise not_implemented("DescribeAlarms by parent or child")
    if "AlarmNames" in request and "AlarmNamePrefix" in request:
        raise AwsError("InvalidParameterCombination", "AlarmNames and AlarmNamePrefix cannot be given together.")
    types = request.get("AlarmTypes") or [METRIC_ALARM]
    size, after = request.get("MaxRecords", DEFAULT_PAGE), request.get("NextToken", "")
    found = [alarm for alarm in _alarms(service) if alarm["Type"] in types and _wanted(alarm, request)]
    left = [alarm for alarm in found if alarm["AlarmName"] > after]
    page = left[:size]
    return {
        "MetricAlarms": [alarm for alarm in page if alarm["Type"] == METRIC_ALARM],
        "CompositeAlarms": [alarm for alarm in page if alarm["Type"] == COMPOSITE_ALARM],
        "NextToken": page[-1]["AlarmName"] if len(left) > size else None,
    }


@cloudwatch_operation("DescribeAlarmsForMetric")
async def describe_alarms_for_metric(service: Service, request: Request) -> Response:
    """Return the alarms on one metric."""
    wanted = (request["Namespace"], request["MetricName"], _sorted_dimensions(request))
    found = []
    for alarm in _alarms(service):
        if alarm["Type"] == METRIC_ALARM:
            metrics = [query["MetricStat"]["Metric"] for query in alarm_queries(alarm) if "MetricStat" in query]
            if wanted in [(each["Namespace"], each["MetricName"], _sorted_dimensions(each)) for each in metrics]:
                found.append(alarm)
    return {"MetricAlarms": found}


@cloudwatch_operation("DeleteAlarms")
async def delete_alarms(service: Service, request: Request) -> Response:
    """Delete alarms. As on AWS, nothing is deleted when one of several does not exist."""
    names = request["AlarmNames"]
    alarms = {name: service.store.get(KIND, name) for name in names}
    missing = [name for name, alarm in alarms.items() if alarm is None]
    if missing:
        raise AwsError("ResourceNotFound", f"Alarm(s) {', '.join(missing)} not found.", status=404)
    for parent in _alarms(service):
        if parent["Type"] == COMPOSITE_ALARM and parent["AlarmName"] not in names:
            used = [name for name in names if name in parse_rule(parent["AlarmRule"]).alarms]
            if used:
                raise AwsError(
                    "ResourceConflict",
                    f"Cannot delete {', '.join(used)}: the composite alarm {parent['AlarmName']} depends on it.",
                    status=409,
                )
    for name, alarm in alarms.items():
        if alarm is not None:
            monitoring_of(service).remember(alarm, "ConfigurationUpdate", f'Alarm "{name}" deleted', {"type": "Delete"})
        service.store.delete(KIND, name)
    return {}


@cloudwatch_operation("SetAlarmState")
async def set_alarm_state(service: Service, request: Request) -> Response:
    """Set an alarm's state until its next evaluation."""
    alarm = service.store.get(KIND, request["AlarmName"])
    if alarm is None:
        raise AwsError("ResourceNotFound", f"Alarm {request['AlarmName']} not found.", status=404)
    monitoring_of(service).set_state(
        alarm, request["StateValue"], request["StateReason"], request.get("StateReasonData")
    )
    return {}


@cloudwatch_operation("DescribeAlarmHistory")
async def describe_alarm_history(service: Service, request: Request) -> Response:
    """Return what happened to alarms: their state changes and their configuration."""
    if "NextToken" in request:
        raise not_implemented("pages of DescribeAlarmHistory")
    items = monitoring_of(service).store.history(
        request.get("AlarmName"), request.get("StartDate", 0.0), request.get("EndDate", LATEST)
    )
    types = request.get("AlarmTypes")
    found = [
        item
        for item in items
        if item["HistoryItemType"] == request.get("HistoryItemType", item["HistoryItemType"])
        and (not types or item["AlarmType"] in types)
    ]
    if request.get("ScanBy") == "TimestampAscending":
        found.reverse()
    return {"AlarmHistoryItems": found[: request.get("MaxRecords", 100)]}


def _put(service: Service, kind: str, request: Request) -> Response:
    name, now = request["AlarmName"], service.clock.timestamp()
    before = service.store.get(KIND, name)
    if before is not None and before["Type"] != kind:
        raise invalid(f"An alarm of another type exists with the name {name}.")
    body: Alarm = {
        "ActionsEnabled": True,
        **{name: [] for name in ACTIONS.values()},
        **request,
        "Type": kind,
        "AlarmArn": f"arn:aws:cloudwatch:{service.region}:{service.account}:alarm:{name}",
        "AlarmConfigurationUpdatedTimestamp": now,
    }
    body.pop("Tags", None)
    if kind == METRIC_ALARM and "Metrics" not in request:
        body.setdefault("Dimensions", [])
    kept = ("StateValue", "StateReason", "StateReasonData", "StateUpdatedTimestamp", "StateTransitionedTimestamp")
    initial: Alarm = {"StateValue": "INSUFFICIENT_DATA", "StateReason": INITIAL_REASON}
    initial |= {"StateUpdatedTimestamp": now, "StateTransitionedTimestamp": now}
    # An overwritten alarm keeps its state until it is evaluated.
    body |= {member: before[member] for member in kept if member in before} if before else initial
    service.store.put(KIND, name, body)
    verb = "updated" if before else "created"
    monitoring_of(service).remember(body, "ConfigurationUpdate", f'Alarm "{name}" {verb}', {"type": verb})
    return {}


def _require_measure(request: Request) -> None:
    if "Metrics" not in request:
        if "MetricName" not in request or "Namespace" not in request or "Period" not in request:
            raise AwsError("MissingParameter", "An alarm needs MetricName, Namespace and Period, or Metrics.")
        if ("Statistic" in request) == ("ExtendedStatistic" in request):
            raise AwsError("InvalidParameterCombination", "An alarm needs either Statistic or ExtendedStatistic.")
        require_period(request["Period"])
        require_statistic(request.get("Statistic") or request["ExtendedStatistic"])
        return
    given = [member for member in METRIC_MEMBERS if member in request]
    if given:
        raise AwsError("InvalidParameterCombination", f"Metrics cannot be given together with {', '.join(given)}.")
    queries = request["Metrics"]
    require_queries(queries)
    if sum(query.get("ReturnData", True) for query in queries) != 1:
        raise invalid("Exactly one element of the metrics list should return data.")
    periods = {query["MetricStat"]["Period"] for query in queries if "MetricStat" in query}
    if len(periods) != 1:
        raise invalid("The metrics of an alarm must have one period, and there must be at least one.")


def _descendants(service: Service, names: tuple[str, ...]) -> set[str]:
    found, left = set[str](), list(names)
    while left:
        name = left.pop()
        alarm = None if name in found else service.store.get(KIND, name)
        found.add(name)
        if alarm is not None and alarm["Type"] == COMPOSITE_ALARM:
            left.extend(parse_rule(alarm["AlarmRule"]).alarms)
    return found


def _alarms(service: Service) -> list[Alarm]:
    return sorted(service.store.list(KIND), key=lambda alarm: str(alarm["AlarmName"]))


def _wanted(alarm: Alarm, request: Request) -> bool:
    names, prefix = request.get("AlarmNames"), request.get("ActionPrefix")
    actions = [action for member in ACTIONS.values() for action in alarm.get(member, [])]
    return (
        (not names or alarm["AlarmName"] in names)
        and str(alarm["AlarmName"]).startswith(request.get("AlarmNamePrefix", ""))
        and request.get("StateValue", alarm["StateValue"]) == alarm["StateValue"]
        and (prefix is None or any(action.startswith(prefix) for action in actions))
    )


def _sorted_dimensions(named: dict[str, Any]) -> list[tuple[str, str]]:
    return sorted((each["Name"], each["Value"]) for each in named.get("Dimensions", []))
