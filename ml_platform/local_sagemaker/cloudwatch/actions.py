"""What an alarm does when its state changes: messages to SNS topics, and calls of scaling policies.

The message has the shape that CloudWatch documents for its own. Delivery is ``notifications``', scaling
``autoscaling``'s business.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from typing import Any

from botocore.session import Session

from ml_platform.local_sagemaker.cloudwatch.queries import invalid, not_implemented
from ml_platform.local_sagemaker.notifications import Message, notifications_of
from ml_platform.local_sagemaker.service import Request, Service

ORIGIN = "alarm"
ACTIONS = {"ALARM": "AlarmActions", "OK": "OKActions", "INSUFFICIENT_DATA": "InsufficientDataActions"}
METRIC_MEMBERS = ("MetricName", "Namespace", "Period")
JUDGED_BY = ("EvaluationPeriods", "DatapointsToAlarm", "ComparisonOperator", "Threshold")

Alarm = dict[str, Any]
Scale = Callable[[str, Alarm, float | None], None]
"""Told a scaling policy's ARN, the alarm, and the value that made it change its state, if one did."""
Remember = Callable[[Alarm, str, str, dict[str, Any]], None]


class Actions:
    """Carries out what alarms ask for."""

    def __init__(self, service: Service, remember: Remember) -> None:
        self.scale: Scale = lambda *_: None
        self._service = service
        self._remember = remember
        notifications_of(service).observers[ORIGIN] = self._note

    def run(self, alarm: Alarm, before: str, now: float, value: float | None = None) -> None:
        """Carry out the actions of an alarm that has just changed its state."""
        if not alarm.get("ActionsEnabled", True):
            return
        for arn in alarm.get(ACTIONS[alarm["StateValue"]], ()):
            if _is_policy(arn):
                self.scale(arn, alarm, value)
                continue
            text = json.dumps(message(self._service, alarm, before, now))
            subject = f'{alarm["StateValue"]}: "{alarm["AlarmName"]}" in {region_name(self._service.region)}'
            notifications_of(self._service).send(
                arn, text, origin=ORIGIN, subject=subject[:100], AlarmName=alarm["AlarmName"], AlarmType=alarm["Type"]
            )

    def run_again(self, alarm: Alarm, value: float | None) -> None:
        """Call the scaling policies of an alarm that stays in its state: AWS does so each minute."""
        if alarm.get("ActionsEnabled", True):
            for arn in filter(_is_policy, alarm.get(ACTIONS[alarm["StateValue"]], ())):
                self.scale(arn, alarm, value)

    def _note(self, told: Message, refusal: str | None) -> None:
        topic = told["TopicArn"]
        data = {
            "actionState": "Succeeded" if refusal is None else "Failed",
            "notificationResource": topic,
            "publishedMessage": told["Message"],
            "error": refusal,
        }
        summary = f"Successfully executed action {topic}"
        if refusal is not None:
            summary = f'Failed to execute action {topic}. Received error: "{refusal}"'
        self._remember({"AlarmName": told["AlarmName"], "Type": told["AlarmType"]}, "Action", summary, data)


def require_actions(service: Service, request: Request) -> None:
    """Refuse actions that would not be carried out: an alarm that promises to tell somebody and does not is worst."""
    for member in ACTIONS.values():
        for arn in request.get(member, ()):
            parts = arn.split(":")
            if len(parts) < 6 or parts[0] != "arn":  # noqa: PLR2004 - an ARN has six
                raise invalid(f"Invalid arn syntax: {arn}")
            if parts[2] not in ("sns", "autoscaling") or (parts[2] == "autoscaling" and not _is_policy(arn)):
                if request.get("ActionsEnabled", True):
                    raise not_implemented(
                        f"alarm actions but SNS topics and scaling policies ({arn}); with ActionsEnabled=False they "
                        "are kept as text"
                    )
            elif parts[3] != service.region:
                raise invalid(f"Invalid region {parts[3]} specified. Only {service.region} is supported.")


def message(service: Service, alarm: Alarm, before: str, now: float) -> dict[str, Any]:
    """Return what a topic is told."""
    document: dict[str, Any] = {
        "AlarmName": alarm["AlarmName"],
        "AlarmDescription": alarm.get("AlarmDescription"),
        "AWSAccountId": service.account,
        "AlarmConfigurationUpdatedTimestamp": _instant(alarm["AlarmConfigurationUpdatedTimestamp"]),
        "NewStateValue": alarm["StateValue"],
        "NewStateReason": alarm["StateReason"],
        "StateChangeTime": _instant(now),
        "Region": region_name(service.region),
        "AlarmArn": alarm["AlarmArn"],
        "OldStateValue": before,
        **{member: alarm.get(member, []) for member in ("OKActions", "AlarmActions", "InsufficientDataActions")},
    }
    if "AlarmRule" in alarm:
        return document | {"AlarmRule": alarm["AlarmRule"]}
    return document | {"Trigger": _trigger(alarm)}


@cache
def region_name(region: str) -> str:
    """Return a region as CloudWatch writes it to people."""
    for partition in Session().get_data("endpoints")["partitions"]:
        if region in partition["regions"]:
            return str(partition["regions"][region]["description"])
    return region


def _trigger(alarm: Alarm) -> dict[str, Any]:
    if "Metrics" in alarm:
        measured: dict[str, Any] = {"Metrics": [_query(query) for query in alarm["Metrics"]]}
    else:
        measured = {member: alarm[member] for member in METRIC_MEMBERS}
        measured |= {"Unit": alarm.get("Unit"), "Dimensions": _dimensions(alarm.get("Dimensions", ()))}
        kind = "Statistic" if "Statistic" in alarm else "ExtendedStatistic"
        name = alarm[kind]
        measured |= {"StatisticType": kind, kind: _upper(name) if kind == "Statistic" else name}
    return {
        **measured,
        **{member: alarm[member] for member in JUDGED_BY if member in alarm},
        "TreatMissingData": alarm.get("TreatMissingData", "missing"),
        "EvaluateLowSampleCountPercentile": alarm.get("EvaluateLowSampleCountPercentile", ""),
    }


def _query(query: dict[str, Any]) -> dict[str, Any]:
    if "MetricStat" not in query:
        return query
    stat = query["MetricStat"]
    metric = stat["Metric"] | {"Dimensions": _dimensions(stat["Metric"].get("Dimensions", ()))}
    return query | {"MetricStat": stat | {"Metric": metric}}


def _dimensions(given: Any) -> list[dict[str, str]]:
    return [{"value": each["Value"], "name": each["Name"]} for each in given]


def _upper(statistic: str) -> str:
    return "SAMPLE_COUNT" if statistic == "SampleCount" else statistic.upper()


def _instant(timestamp: float) -> str:
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"


def _is_policy(arn: str) -> bool:
    return arn.startswith("arn:aws:autoscaling:") and ":scalingPolicy:" in arn
