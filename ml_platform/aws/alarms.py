"""CloudWatch alarms: put, read, delete. What they watch is decided by those who ask for them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ml_platform.aws import clients
from ml_platform.aws.failures import translated

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch.type_defs import MetricAlarmTypeDef, PutMetricAlarmInputTypeDef

ALARM, OK = "ALARM", "OK"


def put(region: str, requests: "Sequence[PutMetricAlarmInputTypeDef]") -> list[str]:
    """Create alarms, replacing those of the same names; return the names."""
    for request in requests:
        with translated(f"put alarm {request['AlarmName']}"):
            clients.cloudwatch(region).put_metric_alarm(**request)
    return [request["AlarmName"] for request in requests]


def in_alarm(region: str, names: Sequence[str]) -> list[str]:
    """Return a sentence about each of these alarms that is in state ALARM."""
    return [
        f"{alarm['AlarmName']}: {alarm.get('StateReason', 'no reason given')}"
        for alarm in _described(region, names)
        if alarm["StateValue"] == ALARM
    ]


def not_ok(region: str, names: Sequence[str]) -> list[str]:
    """Return the names of those that are in alarm, or were not evaluated yet."""
    return [alarm["AlarmName"] for alarm in _described(region, names) if alarm["StateValue"] != OK]


def delete(region: str, names: Sequence[str]) -> None:
    """Delete alarms; absent ones are no error."""
    if names:
        with translated("delete alarms"):
            clients.cloudwatch(region).delete_alarms(AlarmNames=list(names))


def _described(region: str, names: Sequence[str]) -> "list[MetricAlarmTypeDef]":
    if not names:
        return []
    with translated("describe alarms"):
        answer = clients.cloudwatch(region).describe_alarms(AlarmNames=list(names), AlarmTypes=["MetricAlarm"])
    return answer["MetricAlarms"]
