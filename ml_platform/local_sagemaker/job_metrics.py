"""Metrics that a training job prints: regular expressions on its log lines become ``FinalMetricDataList``."""

import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from ml_platform.local_sagemaker.clock import Clock
from ml_platform.local_sagemaker.service import validation

# Enough to tell how a job does over time; a job that prints a metric for every row must not fill the memory.
LONGEST_SERIES = 1_000


class MetricReader:
    """The last value of each metric definition that matched a line so far."""

    def __init__(self, definitions: Sequence[dict[str, str]], clock: Clock) -> None:
        self._patterns = [(definition["Name"], _compile(definition)) for definition in definitions]
        self._last: dict[str, dict[str, Any]] = {}
        self._series: dict[str, list[float]] = {}
        self._clock = clock

    def read(self, line: str) -> None:
        """Look for every metric in a log line."""
        for name, pattern in self._patterns:
            for match in pattern.finditer(line):
                with suppress(ValueError, TypeError):
                    value = float(match.group(1))
                    series = self._series.setdefault(name, [])
                    if len(series) < LONGEST_SERIES:
                        series.append(value)
                    self._last[name] = {"MetricName": name, "Value": value, "Timestamp": self._clock.timestamp()}

    def series(self, name: str) -> list[float]:
        """Return the values of a metric in the order in which they were printed."""
        return list(self._series.get(name, []))

    def final(self) -> list[dict[str, Any]]:
        """Return the last value of each metric that was seen."""
        return list(self._last.values())


def check_definitions(definitions: Sequence[dict[str, str]]) -> None:
    """Refuse metric definitions that cannot work.

    Raises:
        AwsError: When a pattern does not compile or captures nothing.
    """
    for definition in definitions:
        _compile(definition)


def _compile(definition: dict[str, str]) -> re.Pattern[str]:
    try:
        pattern = re.compile(definition["Regex"])
    except re.error as error:
        raise validation(f"Invalid regular expression in metric {definition['Name']}: {error}") from error
    if not pattern.groups:
        raise validation(f"The regular expression of metric {definition['Name']} must capture the value in a group.")
    return pattern
