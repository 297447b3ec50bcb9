"""EventBridge's event patterns: which events a rule asks for. Pure.

Every filter that EventBridge documents, but ``cidr``. Matching is on JSON values as they are: case counts, ``"300"``
is no 300, while 300 is 300.0. In an array one matching element is enough.
"""

import re
from collections.abc import Callable
from typing import Any

MISSING = object()
"""The event has no such field, which is not the same as null."""
COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "=": lambda value, bound: value == bound,
    "<": lambda value, bound: value < bound,
    "<=": lambda value, bound: value <= bound,
    ">": lambda value, bound: value > bound,
    ">=": lambda value, bound: value >= bound,
}


class PatternError(Exception):
    """The pattern is none that EventBridge would take, or holds a filter that is not served."""


def matches(pattern: Any, event: Any) -> bool:
    """Whether an event, or a part of one, is what a pattern asks for.

    Raises:
        PatternError: When the pattern cannot be understood.
    """
    if not isinstance(pattern, dict):
        raise PatternError(f"a pattern is an object, not {pattern!r}")
    # An array of objects: one of them has to be what is asked for.
    candidates = event if isinstance(event, list) else [event]
    return any(_object_matches(pattern, each) for each in candidates)


def _object_matches(pattern: dict[str, Any], event: Any) -> bool:
    fields = event if isinstance(event, dict) else {}
    for name, wanted in pattern.items():
        if name == "$or":
            if not any(_object_matches(each, event) for each in wanted):
                return False
        elif isinstance(wanted, dict):
            if not matches(wanted, fields.get(name, {})):
                return False
        elif isinstance(wanted, list):
            if not _field_matches(wanted, fields.get(name, MISSING)):
                return False
        else:
            raise PatternError(f"the pattern of {name!r} is a list, not {wanted!r}")
    return True


def _field_matches(wanted: list[Any], value: Any) -> bool:
    values = value if isinstance(value, list) and value else [value]
    return any(_value_matches(each, one) for each in wanted for one in values)


def _value_matches(wanted: Any, value: Any) -> bool:
    if not isinstance(wanted, dict):
        return _equal(wanted, value)
    if len(wanted) != 1:
        raise PatternError(f"a filter has one name, not {sorted(wanted)}")
    [(name, argument)] = wanted.items()
    filter_ = FILTERS.get(name)
    if filter_ is None:
        raise PatternError(f"the filter {name!r} is not served")
    return filter_(argument, value)


def _equal(wanted: Any, value: Any) -> bool:
    # To Python True is 1; to JSON it is not.
    if isinstance(wanted, bool) or isinstance(value, bool):
        return wanted is value
    return bool(wanted == value)


def _exists(wanted: Any, value: Any) -> bool:
    return bool(wanted) is (value is not MISSING)


def _numeric(argument: Any, value: Any) -> bool:
    if not isinstance(argument, list) or len(argument) % 2 or not all(sign in COMPARISONS for sign in argument[::2]):
        raise PatternError(f"numeric takes a list such as ['>', 0, '<=', 5], not {argument!r}")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return all(COMPARISONS[sign](value, bound) for sign, bound in zip(argument[::2], argument[1::2], strict=True))


def _anything_but(argument: Any, value: Any) -> bool:
    if value is MISSING:
        return False
    unwanted = argument if isinstance(argument, list) else [argument]
    return not any(_value_matches(each, value) for each in _spread(unwanted))


def _spread(unwanted: list[Any]) -> list[Any]:
    """``{"prefix": ["a", "b"]}`` inside anything-but stands for two filters."""
    return [
        {name: each} if isinstance(one, dict) else one
        for one in unwanted
        for name, argument in (one.items() if isinstance(one, dict) else [("", None)])
        for each in (argument if isinstance(argument, list) else [argument])
    ]


def _text(test: Callable[[str, str], bool]) -> Callable[[Any, Any], bool]:
    def matches_text(argument: Any, value: Any) -> bool:
        if not isinstance(value, str):
            return False
        if isinstance(argument, dict) and isinstance(other := argument.get("equals-ignore-case"), str):
            return test(other.lower(), value.lower())
        if not isinstance(argument, str):
            raise PatternError(f"a text filter takes a string, not {argument!r}")
        return test(argument, value)

    return matches_text


def _wildcard(argument: str, value: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, argument.split("*"))), value, re.DOTALL) is not None


FILTERS: dict[str, Callable[[Any, Any], bool]] = {
    "prefix": _text(lambda wanted, value: value.startswith(wanted)),
    "suffix": _text(lambda wanted, value: value.endswith(wanted)),
    "equals-ignore-case": _text(lambda wanted, value: wanted.lower() == value.lower()),
    "wildcard": _text(_wildcard),
    "exists": _exists,
    "numeric": _numeric,
    "anything-but": _anything_but,
}
