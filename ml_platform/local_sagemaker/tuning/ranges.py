"""The space that a tuning job searches: every range as an interval of numbers or a choice, with its scale. Pure.

A point is a number in [0, 1) for each parameter; ``values_at`` turns it into hyper-parameters, which are text.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

Point = tuple[float, ...]
MAX_RANGES = 30
ALMOST_ONE = math.nextafter(1.0, 0.0)


class RangeError(Exception):
    """A range that holds no values, or cannot have its scale."""


@dataclass(frozen=True)
class Scale:
    """A way from values to evenly spread ones, and back."""

    forward: Callable[[float], float]
    back: Callable[[float], float]


LINEAR = Scale(lambda value: value, lambda value: value)
SCALES = {
    # AWS chooses one by itself and does not say how.
    "Auto": LINEAR,
    "Linear": LINEAR,
    "Logarithmic": Scale(math.log, math.exp),
    "ReverseLogarithmic": Scale(lambda value: -math.log1p(-value), lambda value: -math.expm1(-value)),
}


@dataclass(frozen=True)
class Interval:
    """Numbers from ``low`` to ``high``, both included."""

    name: str
    low: float
    high: float
    scale: str
    whole: bool

    def value_at(self, position: float) -> str:
        """Return the value at a position in [0, 1)."""
        low, high = self._ends()
        value = min(max(SCALES[self.scale].back(low + position * (high - low)), self.low), self.high)
        return str(math.floor(value + 0.5)) if self.whole else repr(float(value))

    def position_of(self, text: str) -> float | None:
        """Return where in [0, 1) a value is, or None when it is outside."""
        try:
            value = float(text)
        except ValueError:
            return None
        if not self.low <= value <= self.high:
            return None
        low, high = self._ends()
        return min((SCALES[self.scale].forward(value) - low) / (high - low), ALMOST_ONE) if high > low else 0.0

    def coordinates(self, position: float) -> tuple[float, ...]:
        """Return where a model of the objective sees a position."""
        return (position,)

    def _ends(self) -> tuple[float, float]:
        """Return the ends on the scale."""
        # Whole numbers get equal shares: the first and last ones not half of the others'.
        margin = 0.5 if self.whole and self.scale not in ("Logarithmic", "ReverseLogarithmic") else 0.0
        forward = SCALES[self.scale].forward
        return forward(self.low - margin), forward(self.high + margin)


@dataclass(frozen=True)
class Choice:
    """One of several texts."""

    name: str
    values: tuple[str, ...]

    def value_at(self, position: float) -> str:
        """Return the value at a position in [0, 1)."""
        return self.values[min(int(position * len(self.values)), len(self.values) - 1)]

    def position_of(self, text: str) -> float | None:
        """Return where in [0, 1) a value is, or None when it is none of the choices."""
        return (self.values.index(text) + 0.5) / len(self.values) if text in self.values else None

    def coordinates(self, position: float) -> tuple[float, ...]:
        """Return one coordinate for each value: no two choices are nearer to each other than others."""
        chosen = self.value_at(position)
        return tuple(float(value == chosen) for value in self.values)


@dataclass(frozen=True)
class Space:
    """All ranges of a tuning job."""

    parameters: tuple[Interval | Choice, ...]

    def values_at(self, point: Point) -> dict[str, str]:
        """Return the hyper-parameters at a point."""
        pairs = zip(self.parameters, point, strict=True)
        return {parameter.name: parameter.value_at(position) for parameter, position in pairs}

    def point_of(self, values: Mapping[str, str]) -> Point | None:
        """Return the point with these hyper-parameters, or None when one is missing or outside of its range."""
        positions = [parameter.position_of(values.get(parameter.name, "")) for parameter in self.parameters]
        return None if None in positions else tuple(position for position in positions if position is not None)

    def coordinates(self, point: Point) -> list[float]:
        """Return the point as a model of the objective sees it."""
        pairs = zip(self.parameters, point, strict=True)
        return [each for parameter, position in pairs for each in parameter.coordinates(position)]

    def grid(self) -> list[Point]:
        """Return a point for every combination of choices."""
        choices = [parameter for parameter in self.parameters if isinstance(parameter, Choice)]
        counts = [len(choice.values) for choice in choices]
        return [
            tuple((number + 0.5) / count for number, count in zip(numbers, counts, strict=True))
            for numbers in product(*map(range, counts))
        ]

    @property
    def grid_size(self) -> int:
        """How many points the grid has; told without making it."""
        return math.prod(len(each.values) for each in self.parameters if isinstance(each, Choice))

    @property
    def only_choices(self) -> bool:
        """Whether a grid covers the space."""
        return all(isinstance(parameter, Choice) for parameter in self.parameters)


def read_space(ranges: Mapping[str, Sequence[Mapping[str, object]]]) -> Space:
    """Return the space of a request's ``ParameterRanges``.

    Raises:
        RangeError: When a range makes no sense, two have one name, or there is none.
    """
    parameters: list[Interval | Choice] = [
        *(_interval(each, whole=True) for each in ranges.get("IntegerParameterRanges", [])),
        *(_interval(each, whole=False) for each in ranges.get("ContinuousParameterRanges", [])),
        *(_choice(each) for each in ranges.get("CategoricalParameterRanges", [])),
    ]
    names = [parameter.name for parameter in parameters]
    if not 1 <= len(names) <= MAX_RANGES:
        raise RangeError(f"A tuning job needs 1 to {MAX_RANGES} parameter ranges.")
    if len(set(names)) < len(names):
        raise RangeError("Each hyper-parameter can have only one range.")
    return Space(tuple(parameters))


def _choice(each: Mapping[str, object]) -> Choice:
    values = each["Values"]
    texts = tuple(str(value) for value in values) if isinstance(values, list) else ()
    if len(set(texts)) < len(texts):
        raise RangeError(f"The values of {each['Name']} must be unique.")
    return Choice(str(each["Name"]), texts)


def _interval(each: Mapping[str, object], *, whole: bool) -> Interval:
    name, scale = str(each["Name"]), str(each.get("ScalingType", "Auto"))
    try:
        low, high = (float(int(str(each[end])) if whole else float(str(each[end]))) for end in ("MinValue", "MaxValue"))
    except (ValueError, OverflowError) as error:
        raise RangeError(f"The bounds of {name} must be {'whole ' if whole else ''}numbers.") from error
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise RangeError(f"MinValue of {name} must be less than or equal to its MaxValue.")
    if scale == "Logarithmic" and low <= 0:
        raise RangeError(f"{name} cannot have ScalingType Logarithmic: its MinValue must be greater than 0.")
    if scale == "ReverseLogarithmic" and (whole or not 0 <= low <= high < 1):
        raise RangeError(f"{name} cannot have ScalingType ReverseLogarithmic: only continuous values in [0, 1) can.")
    return Interval(name, low, high, scale, whole)
