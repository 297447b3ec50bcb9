"""Sums of metric values that can be added up: count, sum, extremes and a histogram for percentiles. Pure."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

SIMPLE = ("SampleCount", "Average", "Sum", "Minimum", "Maximum")
PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d{1,10})?|100)")
PERCENTILE_RANK = re.compile(r"PR\((-?[\d.]+)?:(-?[\d.]+)?\)")
SIGNIFICANT = 3


def is_statistic(name: str) -> bool:
    """Return whether ``Summary.value`` knows a statistic."""
    return name in SIMPLE or bool(PERCENTILE.fullmatch(name) or PERCENTILE_RANK.fullmatch(name))


@dataclass(slots=True)
class Summary:
    """Any number of values.

    Attributes:
        histogram: Value, to three significant digits, to how often it came. Percentiles are as exact as that.
        whole: Whether every value is in the histogram; a caller's own StatisticValues are not.
    """

    count: float = 0.0
    total: float = 0.0
    smallest: float = math.inf
    largest: float = -math.inf
    histogram: dict[float, float] = field(default_factory=dict)
    whole: bool = True

    def add(self, value: float, times: float = 1.0) -> None:
        """Add one value, or the same value several times."""
        self.count += times
        self.total += value * times
        self.smallest = min(self.smallest, value)
        self.largest = max(self.largest, value)
        rounded = _rounded(value)
        self.histogram[rounded] = self.histogram.get(rounded, 0.0) + times

    def merge(self, other: "Summary") -> None:
        """Add all values of another summary."""
        self.count += other.count
        self.total += other.total
        self.smallest = min(self.smallest, other.smallest)
        self.largest = max(self.largest, other.largest)
        self.whole = self.whole and other.whole
        for value, times in other.histogram.items():
            self.histogram[value] = self.histogram.get(value, 0.0) + times

    def value(self, statistic: str) -> float | None:
        """Return a statistic by CloudWatch's name for it; None when it cannot be told."""
        if self.count <= 0:
            return None
        if statistic in SIMPLE:
            simple: Mapping[str, float] = {
                "SampleCount": self.count,
                "Average": self.total / self.count,
                "Sum": self.total,
                "Minimum": self.smallest,
                "Maximum": self.largest,
            }
            return simple[statistic]
        if match := PERCENTILE.fullmatch(statistic):
            return self._percentile(float(match[1]))
        if match := PERCENTILE_RANK.fullmatch(statistic):
            return self._rank(float(match[1] or -math.inf), float(match[2] or math.inf))
        return None

    def _percentile(self, percent: float) -> float | None:
        if self.smallest == self.largest:
            return self.smallest
        if not self.whole:
            return None
        wanted, seen = self.count * percent / 100, 0.0
        for value in sorted(self.histogram):
            seen += self.histogram[value]
            # Sums of counts are floats: what is equal but for rounding counts as reached.
            if seen >= wanted - 1e-9 * self.count:
                return min(max(value, self.smallest), self.largest)
        return self.largest

    def _rank(self, above: float, up_to: float) -> float | None:
        if not self.whole:
            return None
        inside = sum(times for value, times in self.histogram.items() if above < value <= up_to)
        return 100 * inside / self.count


def _rounded(value: float) -> float:
    if value == 0 or not math.isfinite(value):
        return value
    return round(value, SIGNIFICANT - 1 - math.floor(math.log10(abs(value))))
