"""Alarm states after the tables of the CloudWatch user guide, metric math and the rules of composite alarms."""

import pytest

from ml_platform.local_sagemaker.cloudwatch import expressions
from ml_platform.local_sagemaker.cloudwatch.alarm_states import judge
from ml_platform.local_sagemaker.cloudwatch.composite_rules import RuleError, parse_rule
from ml_platform.local_sagemaker.cloudwatch.expressions import ExpressionError
from ml_platform.local_sagemaker.cloudwatch.statistics import Summary

READ = {"0": False, "X": True, "-": None}
OK, ALARM, UNKNOWN, KEEP = "OK", "ALARM", "INSUFFICIENT_DATA", None
TREATMENTS = ("missing", "ignore", "breaching", "notBreaching")


@pytest.mark.parametrize(
    ("points", "to_alarm", "states"),
    [
        # Three breaches of three alarm.
        ("0-X-X", 3, (OK, OK, OK, OK)),
        ("0----", 3, (OK, OK, OK, OK)),
        ("-----", 3, (UNKNOWN, KEEP, ALARM, OK)),
        ("0XX-X", 3, (ALARM, ALARM, ALARM, ALARM)),
        ("--X--", 3, (ALARM, KEEP, ALARM, OK)),
        # Two breaches of three alarm.
        ("0-X-X", 2, (ALARM, ALARM, ALARM, ALARM)),
        ("00X0X", 2, (ALARM, ALARM, ALARM, ALARM)),
        ("0-X--", 2, (OK, OK, ALARM, OK)),
        ("----0", 2, (OK, OK, ALARM, OK)),
        ("---X-", 2, (ALARM, KEEP, ALARM, OK)),
        # Too young to alarm on
        ("----X", 3, (KEEP, KEEP, ALARM, OK)),
    ],
)
def test_missing_data_is_treated_as_the_guide_says(points: str, to_alarm: int, states: tuple[str | None, ...]) -> None:
    read = [READ[point] for point in points]
    assert tuple(judge(read, 3, to_alarm, each) for each in TREATMENTS) == states


@pytest.mark.parametrize(
    ("expression", "series"),
    [
        ("a + b", {1: 4.0, 3: 9.0}),
        ("a / (a - 2)", {1: -1.0, 3: 1.5}),
        ("-a ^ 2", {1: -1.0, 2: -4.0, 3: -36.0}),
        ("FILL(b, 0)", {1: 3.0, 2: 0.0, 3: 3.0}),
        ("FILL(b, REPEAT)", {1: 3.0, 2: 3.0, 3: 3.0}),
        ("IF(a > 1, a)", {2: 2.0, 3: 6.0}),
        ("a > 1 AND a < 6", {1: 0.0, 2: 1.0, 3: 0.0}),
        ("SUM([a, b])", {1: 4.0, 2: 2.0, 3: 9.0}),
        ("MAX(METRICS())", {1: 3.0, 2: 2.0, 3: 6.0}),
        ("AVG(a)", {1: 3.0, 2: 3.0, 3: 3.0}),
        ("2 * 3", {1: 6.0, 2: 6.0, 3: 6.0}),
    ],
)
def test_metric_math(expression: str, series: dict[int, float]) -> None:
    known = {"a": {1: 1.0, 2: 2.0, 3: 6.0}, "b": {1: 3.0, 3: 3.0}}
    tree = expressions.parse(expression)
    assert expressions.evaluate(tree, known, [1, 2, 3], list(known.values())) == series


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "a +",
        "SEARCH('x')",
        "__import__('os')",
        "a.b",
        "[a, b]",
        "1 / 0",
        "a if b else a",
        "x",
        "(" * 400,
        "9 ** 9 ** 9",
    ],
)
def test_what_is_no_metric_math_is_refused(expression: str) -> None:
    with pytest.raises(ExpressionError):
        expressions.evaluate(expressions.parse(expression), {"a": {1: 1.0}, "b": {}}, [1], [])


@pytest.mark.parametrize(
    ("rule", "holds"),
    [
        ('ALARM("a")', True),
        ("ALARM(a) AND OK(b)", True),
        ("NOT ALARM(a) OR OK(b)", True),
        ("NOT (ALARM(a) OR OK(b))", False),
        ("ALARM(b) OR ALARM(a) AND INSUFFICIENT_DATA('c d')", True),
        ("TRUE AND NOT FALSE", True),
        ('OK("arn:aws:cloudwatch:us-east-1:000000000000:alarm:b")', True),
    ],
)
def test_a_composite_rule_holds(rule: str, holds: bool) -> None:  # noqa: FBT001 - a parameter of the table
    states = {"a": "ALARM", "b": "OK", "c d": "INSUFFICIENT_DATA"}
    assert parse_rule(rule).holds(states.get) is holds


@pytest.mark.parametrize("rule", ["", "ALARM(", "ALARM(a) ALARM(b)", "AND", "(ALARM(a)", "a", "NOT " * 100 + "TRUE"])
def test_what_is_no_rule_is_refused(rule: str) -> None:
    with pytest.raises(RuleError):
        parse_rule(rule)


def test_sums_of_sums_are_sums_of_values() -> None:
    parts, whole = [Summary(), Summary()], Summary()
    for number in range(1, 1001):
        parts[number % 2].add(number)
        whole.add(number)
    parts[0].merge(parts[1])
    for statistic in ("Average", "Sum", "Minimum", "Maximum", "SampleCount", "p50", "p90", "p99.9", "PR(100:200)"):
        assert parts[0].value(statistic) == whole.value(statistic)
    assert whole.value("p90") == 900
    assert Summary().value("Average") is None
    assert Summary(2, 3, 1, 2, whole=False).value("p50") is None
