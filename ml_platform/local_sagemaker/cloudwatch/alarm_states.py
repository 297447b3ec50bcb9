"""The state of a metric alarm from its last data points: M out of N, and what is made of missing ones. Pure.

After "Configuring how CloudWatch alarms treat missing data" in the CloudWatch user guide, whose tables are the tests.
"""

import operator
from collections.abc import Callable, Mapping, Sequence

COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}
OK, ALARM, INSUFFICIENT = "OK", "ALARM", "INSUFFICIENT_DATA"
# More periods than the alarm evaluates are looked at, so that late or sparse values still count.
EXTRA_PERIODS = 2


def judge(breaching: Sequence[bool | None], periods: int, to_alarm: int, treat_missing: str) -> str | None:
    """Return the state that the data points ask for, or None to keep the current one.

    Args:
        breaching: One value per period, oldest first; None where the metric has none. Longer than ``periods``.
        periods: N, EvaluationPeriods.
        to_alarm: M, DatapointsToAlarm.
        treat_missing: TreatMissingData.
    """
    existing = [each for each in breaching if each is not None]
    if len(existing) >= periods:
        return ALARM if sum(existing[-periods:]) >= to_alarm else OK
    count = sum(existing)
    if treat_missing == "breaching":
        return ALARM if count + periods - len(existing) >= to_alarm else OK
    if treat_missing == "notBreaching" or count >= to_alarm:
        return ALARM if count >= to_alarm else OK
    if not existing:
        return None if treat_missing == "ignore" else INSUFFICIENT
    if not all(existing):
        return OK
    # All that exists is breaching, yet it is too little: too early to tell while the oldest is young.
    age = len(breaching) - next(index for index, each in enumerate(breaching) if each)
    return ALARM if treat_missing == "missing" and age >= to_alarm else None
