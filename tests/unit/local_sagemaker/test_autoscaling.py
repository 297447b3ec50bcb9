"""How many instances scaling policies ask for, and when schedules are due."""

from datetime import datetime
from typing import Any

import pytest

from ml_platform.local_sagemaker.autoscaling.schedules import Schedule, ScheduleError
from ml_platform.local_sagemaker.autoscaling.steps import adjusted, require_steps
from ml_platform.local_sagemaker.autoscaling.tracking import wanted


@pytest.mark.parametrize(
    ("per_instance", "instances", "count"),
    [
        ([None] * 12 + [30.0, 25.0, 25.0], 2, 5),
        ([30.0, 9.0, 30.0], 2, 2),
        ([30.0, None, 30.0], 2, 2),
        ([2.0] * 15, 5, 1),
        ([2.0] * 14 + [9.5], 5, 5),
        ([2.0] * 14, 5, 5),
        ([None] + [2.0] * 14, 5, 5),
        ([0.0] * 15, 5, 0),
    ],
)
def test_it_scales_out_on_three_minutes_and_in_on_fifteen(
    per_instance: list[float | None], instances: int, count: int
) -> None:
    assert wanted(per_instance, instances, 10.0) == count


def test_it_does_not_scale_in_when_told_not_to() -> None:
    assert wanted([2.0] * 15, 5, 10.0, scale_in=False) == 5


UP = {
    "AdjustmentType": "ChangeInCapacity",
    "StepAdjustments": [
        {"MetricIntervalLowerBound": 0, "MetricIntervalUpperBound": 10, "ScalingAdjustment": 1},
        {"MetricIntervalLowerBound": 10, "ScalingAdjustment": 3},
    ],
}
DOWN = {
    "AdjustmentType": "PercentChangeInCapacity",
    "MinAdjustmentMagnitude": 2,
    "StepAdjustments": [{"MetricIntervalUpperBound": 0, "ScalingAdjustment": -10}],
}


@pytest.mark.parametrize(
    ("policy", "instances", "breach", "asked"),
    [
        (UP, 2, 0, 3),
        (UP, 2, 9.9, 3),
        (UP, 2, 10, 5),
        (UP, 2, -1, 2),
        (UP | {"AdjustmentType": "ExactCapacity"}, 2, 12, 3),
        (UP | {"AdjustmentType": "PercentChangeInCapacity"}, 2, 12, 3),
        (DOWN, 10, -5, 8),
        (DOWN, 10, 0, 8),
        (DOWN, 100, -5, 90),
    ],
)
def test_a_step_is_chosen_by_how_far_the_metric_is_beyond(
    policy: Any, instances: int, breach: float, asked: int
) -> None:
    require_steps(policy)
    assert adjusted(policy, instances, breach) == asked


def moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("expression", "zone", "last", "now", "due"),
    [
        ("at(2026-11-22T08:00:00)", None, "2026-11-22T07:59:00Z", "2026-11-22T08:00:00Z", True),
        ("at(2026-11-22T08:00:00)", None, "2026-11-22T08:00:30Z", "2026-11-22T08:01:00Z", False),
        ("at(2026-11-22T08:00:00)", "Europe/Berlin", "2026-11-22T06:59:00Z", "2026-11-22T07:00:00Z", True),
        ("rate(2 hours)", None, "2026-11-22T06:00:00Z", "2026-11-22T08:00:00Z", True),
        ("rate(2 hours)", None, "2026-11-22T06:00:01Z", "2026-11-22T08:00:00Z", False),
        ("cron(0 8 * * ? *)", None, "2026-11-22T07:59:50Z", "2026-11-22T08:00:20Z", True),
        ("cron(0 8 * * ? *)", None, "2026-11-22T08:00:20Z", "2026-11-22T08:00:50Z", False),
        ("cron(0 8 ? * MON-FRI *)", None, "2026-11-22T07:00:00Z", "2026-11-22T08:00:00Z", False),
        ("cron(0/20 8-9 ? NOV SUN 2026)", None, "2026-11-22T08:00:00Z", "2026-11-22T09:40:10Z", True),
        ("cron(0 9 * * ? *)", "Europe/Berlin", "2026-11-22T07:00:00Z", "2026-11-22T08:00:00Z", True),
    ],
)
def test_a_schedule_is_due_once_at_its_time(
    expression: str,
    zone: str | None,
    last: str,
    now: str,
    due: bool,  # noqa: FBT001 - the expected answer
) -> None:
    assert Schedule(expression, zone).due(moment(last), moment(now)) is due


@pytest.mark.parametrize(("gone", "due"), [(7199.0, False), (7200.0, True)])
def test_a_rate_counts_the_seconds_of_the_clock(gone: float, due: bool) -> None:  # noqa: FBT001 - the expected answer
    assert Schedule("rate(2 hours)").due(0.0, 1.0, gone) is due


@pytest.mark.parametrize(
    "expression",
    [
        "noon",
        "rate(0 minutes)",
        "rate(1 year)",
        "at(2026-13-01T00:00:00)",
        "cron(0 8 * * ?)",
        "cron(61 8 * * ? *)",
        "cron(0 8 L * ? *)",
        "cron(0 8 ? * 2#1 *)",
        "cron(0 8 * * ? */0)",
        "cron()",
    ],
)
def test_a_schedule_that_is_not_understood_is_refused(expression: str) -> None:
    with pytest.raises(ScheduleError):
        Schedule(expression)


def test_a_time_zone_that_does_not_exist_is_refused() -> None:
    for zone in ("Mars/Olympus", "../etc/passwd"):
        with pytest.raises(ScheduleError):
            Schedule("cron(0 8 * * ? *)", zone)
