"""The loop that stores what endpoints emitted and evaluates alarms, on the service's clock.

An alarm is evaluated when one of its periods is complete. Periods are waits that AWS imposes, so they are scaled like
every other: with a scale of 0.01, an alarm on 60 s looks at 0.6 s of values, as a bake of 600 s takes 6 s. A step of
the clock brings all periods that lie in it to their end, one after the other.
"""

import asyncio
import json
import logging
import time
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from ml_platform.local_sagemaker.cloudwatch.actions import Actions
from ml_platform.local_sagemaker.cloudwatch.alarm_states import COMPARISONS, EXTRA_PERIODS, judge
from ml_platform.local_sagemaker.cloudwatch.composite_rules import RuleError, parse_rule
from ml_platform.local_sagemaker.cloudwatch.metric_store import RETENTION_SECONDS, MetricStore, Point
from ml_platform.local_sagemaker.cloudwatch.queries import run
from ml_platform.local_sagemaker.endpoint_metrics import EndpointMetrics
from ml_platform.local_sagemaker.service import AwsError, Service

logger = logging.getLogger(__name__)

KIND = "alarm"
METRIC_ALARM, COMPOSITE_ALARM = "MetricAlarm", "CompositeAlarm"
SHORTEST_TICK, LONGEST_TICK = 0.1, 1.0
TICK_SECONDS = 10
SHORTEST_PERIOD_MILLISECONDS = 50
FORGET_SECONDS = 3600

Alarm = dict[str, Any]


class Monitoring:
    """Metrics and alarms of a service."""

    def __init__(self, service: Service) -> None:
        self.store = MetricStore(service.home / "metrics.sqlite")
        service.clock.go_on(self.store.ahead)
        service.clock.followers.append(self._follow)
        self.endpoints = EndpointMetrics(service.clock)
        self._service = service
        self.actions = Actions(service, self.remember)
        self._alarmed: Counter[str] = Counter()
        self._evaluated: dict[str, tuple[float, int]] = {}
        self._children: dict[str, tuple[str | None, ...]] = {}
        self._forget_at = 0.0
        service.spawn(self._run(), "metrics and alarms")

    def milliseconds(self, seconds: float) -> int:
        """Return how long so many AWS seconds are here, never so short that values could not be told apart."""
        return max(round(self._service.clock.real_seconds(seconds) * 1000), SHORTEST_PERIOD_MILLISECONDS)

    def flush(self) -> None:
        """Store what endpoints have emitted so far."""
        resolution = self.milliseconds(60)
        emitted = self.endpoints.drain(resolution)
        if emitted:
            self.store.add(Point(metric, at, unit, summary) for (metric, at, unit), summary in emitted.items())

    def state(self, name: str) -> str | None:
        """Return an alarm's state, or None when there is no such alarm."""
        alarm = self._service.store.get(KIND, name)
        return None if alarm is None else str(alarm["StateValue"])

    def times_in_alarm(self, name: str) -> int:
        """Return how often an alarm has gone into ALARM since the start of the stand-in."""
        return self._alarmed[name]

    def set_state(
        self,
        alarm: Alarm,
        state: str,
        reason: str,
        data: dict[str, Any] | str | None = None,
        value: float | None = None,
    ) -> None:
        """Move an alarm to a state, remember that and do what the alarm asks for then."""
        now = self._service.clock.timestamp()
        text = data if isinstance(data, str) else json.dumps(data) if data is not None else None
        changes: dict[str, Any] = {"StateReason": reason, "StateReasonData": text, "StateUpdatedTimestamp": now}
        before = alarm["StateValue"]
        if state != before:
            changes |= {"StateValue": state, "StateTransitionedTimestamp": now}
        changed = self._service.store.update(KIND, alarm["AlarmName"], **changes)
        if state != before:
            self._alarmed[alarm["AlarmName"]] += state == "ALARM"
            logger.info("alarm %s is %s (was %s): %s", alarm["AlarmName"], state, before, reason)
            self.remember(alarm, "StateUpdate", f"Alarm updated from {before} to {state}", {"newState": reason})
            self.actions.run(changed, before, now, value)

    def remember(self, alarm: Alarm, kind: str, summary: str, data: dict[str, Any]) -> None:
        """Add to an alarm's history."""
        now = self._service.clock.timestamp()
        item = {
            "AlarmName": alarm["AlarmName"],
            "AlarmType": alarm["Type"],
            "Timestamp": now,
            "HistoryItemType": kind,
            "HistorySummary": summary,
            "HistoryData": json.dumps(data),
        }
        self.store.remember(alarm["AlarmName"], now, item)

    def evaluate(self) -> None:
        """Evaluate every alarm that has a new complete period; then the composite ones, on the others' states."""
        alarms = self._service.store.list(KIND)
        for alarm in alarms:
            if alarm["Type"] == METRIC_ALARM:
                self._evaluate_metric(alarm)
        if composites := [alarm for alarm in alarms if alarm["Type"] == COMPOSITE_ALARM]:
            states = {alarm["AlarmName"]: alarm["StateValue"] for alarm in self._service.store.list(KIND)}
            for alarm in composites:
                self._evaluate_composite(alarm, states)

    async def _follow(self) -> None:
        """Look after a step of the clock, which a restart must not undo."""
        self.store.ahead = self._service.clock.ahead
        self._look()

    async def _run(self) -> None:
        tick = min(max(self._service.clock.real_seconds(TICK_SECONDS), SHORTEST_TICK), LONGEST_TICK)
        try:
            while True:
                await asyncio.sleep(tick)
                self._look()
        finally:
            self.flush()
            self.store.close()

    def _look(self) -> None:
        try:
            self.flush()
            self.evaluate()
            self._forget()
        except Exception:
            # One alarm that cannot be evaluated must not end the watch over all the others.
            logger.exception("metrics and alarms: a round failed inside the stand-in")

    def _forget(self) -> None:
        if time.monotonic() >= self._forget_at:
            self.store.forget(round((time.time() - RETENTION_SECONDS) * 1000))
            self._forget_at = time.monotonic() + FORGET_SECONDS

    def _evaluate_metric(self, alarm: Alarm) -> None:
        period = self.milliseconds(alarm_period(alarm))
        boundary = int(self._service.clock.position * 1000) // period * period
        # A changed alarm is evaluated at once.
        due = (alarm["AlarmConfigurationUpdatedTimestamp"], boundary)
        if self._evaluated.get(alarm["AlarmName"]) == due:
            return
        self._evaluated[alarm["AlarmName"]] = due
        try:
            points = self._points(alarm, boundary, period)
        except AwsError as error:
            logger.warning("alarm %s cannot be evaluated: %s", alarm["AlarmName"], error)
            return
        breaches = COMPARISONS[alarm["ComparisonOperator"]]
        threshold, periods = alarm["Threshold"], alarm["EvaluationPeriods"]
        to_alarm: int = alarm.get("DatapointsToAlarm") or periods
        state = judge(
            [None if point is None else breaches(point, threshold) for point in points],
            periods,
            to_alarm,
            alarm.get("TreatMissingData", "missing"),
        )
        if state is not None and state != alarm["StateValue"]:
            recent = [point for point in points[-periods:] if point is not None]
            value = recent[-1] if recent else None
            self.set_state(alarm, state, _reason(alarm, state, recent), _reason_data(alarm, recent), value)
        elif state is not None:
            self.actions.run_again(alarm, next((point for point in points[::-1] if point is not None), None))

    def _points(self, alarm: Alarm, boundary: int, period: int) -> list[float | None]:
        """Return the alarm's last values, oldest first: a few more than it evaluates."""
        start = boundary - period * (alarm["EvaluationPeriods"] + EXTRA_PERIODS)
        queries = alarm_queries(alarm)
        returned = next(query["Id"] for query in queries if query.get("ReturnData", True))
        series = run(self.store, queries, start, boundary, self.milliseconds, by="position")[returned]
        return [series.get(at) for at in range(start, boundary, period)]

    def _evaluate_composite(self, alarm: Alarm, states: dict[str, str]) -> None:
        try:
            rule = parse_rule(alarm["AlarmRule"])
        except RuleError as error:
            logger.warning("alarm %s cannot be evaluated: %s", alarm["AlarmName"], error)
            return
        children = (str(alarm["AlarmConfigurationUpdatedTimestamp"]), *(states.get(name) for name in rule.alarms))
        if self._children.get(alarm["AlarmName"]) == children:
            return
        self._children[alarm["AlarmName"]] = children
        state = "ALARM" if rule.holds(states.get) else "OK"
        if state != alarm["StateValue"]:
            named = ", ".join(f"{name}: {states.get(name, 'does not exist')}" for name in rule.alarms)
            self.set_state(
                alarm, state, f"{alarm['AlarmName']} transitioned to {state} because of {named or 'its rule'}"
            )
            states[alarm["AlarmName"]] = state


def alarm_queries(alarm: Alarm) -> list[dict[str, Any]]:
    """Return the queries of an alarm, which may be given as one metric."""
    if "Metrics" in alarm:
        queries: list[dict[str, Any]] = alarm["Metrics"]
        return queries
    metric = {
        "Namespace": alarm["Namespace"],
        "MetricName": alarm["MetricName"],
        "Dimensions": alarm.get("Dimensions", []),
    }
    stat = {
        "Metric": metric,
        "Period": alarm["Period"],
        "Stat": alarm.get("Statistic") or alarm["ExtendedStatistic"],
        "Unit": alarm.get("Unit"),
    }
    return [{"Id": "m1", "MetricStat": stat}]


def alarm_period(alarm: Alarm) -> int:
    """Return an alarm's period in AWS seconds."""
    queries = alarm_queries(alarm)
    return int(next(query["MetricStat"]["Period"] for query in queries if "MetricStat" in query))


def monitoring_of(service: Service) -> Monitoring:
    """Return the service's metrics and alarms; made on first use."""
    if service.monitoring is None:
        service.monitoring = Monitoring(service)
    return service.monitoring


def _reason(alarm: Alarm, state: str, recent: list[float]) -> str:
    if not recent:
        missing = alarm.get("TreatMissingData", "missing")
        if state == "INSUFFICIENT_DATA":
            return "Insufficient Data: no data was received."
        return f"Threshold Crossed: no datapoints were received, missing data is treated as [{missing}]."
    values = ", ".join(str(value) for value in recent)
    verb = "were" if len(recent) > 1 else "was"
    not_ = "" if state == "ALARM" else "not "
    words = {
        "GreaterThanOrEqualToThreshold": "greater than or equal to",
        "GreaterThanThreshold": "greater than",
        "LessThanThreshold": "less than",
        "LessThanOrEqualToThreshold": "less than or equal to",
    }[alarm["ComparisonOperator"]]
    return (
        f"Threshold Crossed: {len(recent)} datapoint{'s' if len(recent) > 1 else ''} [{values}] {verb} {not_}{words} "
        f"the threshold ({float(alarm['Threshold'])})."
    )


def _reason_data(alarm: Alarm, recent: list[float]) -> dict[str, Any]:
    return {
        "version": "1.0",
        "queryDate": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f+0000"),
        "period": alarm_period(alarm),
        "recentDatapoints": recent,
        "threshold": alarm["Threshold"],
    }
