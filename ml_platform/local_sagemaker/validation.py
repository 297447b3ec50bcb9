"""Checks a request against botocore's service model, with AWS's wording.

botocore's own client checks required members and types only; enums, patterns and ranges are refused by AWS itself,
so they are refused here. Rules the model does not hold (names that exist, states) are the operations' business.
"""

import json
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import cache
from typing import Any

# botocore's shapes differ by kind (members, value, member) and are told apart by ``type_name``.
Shape = Any
# A pattern is not tried on longer values: length limits catch those, and patterns may backtrack.
MAX_PATTERN_CHARACTERS = 10_000
JSON_NAMES = {str: "STRING_VALUE", bool: "TRUE_VALUE", int: "NUMBER_VALUE", float: "NUMBER_VALUE"}
PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "boolean": (bool,),
    "timestamp": (int, float, str),
    "blob": (str,),
    "structure": (dict,),
    "map": (dict,),
    "list": (list,),
}
NOUNS = {"integer": "an Integer", "long": "a Long", "boolean": "a Boolean", "string": "a String", "list": "a List"}


class WrongTypeError(Exception):
    """A JSON value cannot be read as its member's type: AWS calls this a SerializationException."""


def parse(shape: Shape, value: Any) -> Any:
    """Return a request's value with only the members the model knows, times as epoch seconds and nulls dropped.

    Raises:
        WrongTypeError: When a value has the wrong JSON type.
    """
    kind = shape.type_name
    _require_type(kind, value)
    if kind == "structure":
        members = shape.members.items()
        return {name: parse(member, value[name]) for name, member in members if value.get(name) is not None}
    if kind == "map":
        return {key: parse(shape.value, item) for key, item in value.items() if item is not None}
    if kind == "list":
        return [parse(shape.member, item) for item in value]
    if kind == "timestamp":
        return _epoch(value)
    return value


def _require_type(kind: str, value: Any) -> None:
    expected = PYTHON_TYPES[kind]
    if not isinstance(value, expected) or (isinstance(value, bool) and bool not in expected):
        noun = NOUNS.get(kind, f"a {kind.capitalize()}")
        raise WrongTypeError(f"{JSON_NAMES.get(type(value), 'START_OBJECT')} can not be converted to {noun}")


def _epoch(value: float | str) -> float:
    if not isinstance(value, str):
        return float(value)
    try:
        return datetime.fromisoformat(value).timestamp()
    except ValueError as error:
        raise WrongTypeError(f"{value} can not be converted to a Timestamp") from error


def refusal(problems: Sequence[str]) -> str:
    """Return AWS's sentence for one problem or more."""
    noun = "error" if len(problems) == 1 else "errors"
    return f"{len(problems)} validation {noun} detected: {'; '.join(problems)}"


def violations(shape: Shape, value: Any, path: str = "") -> Iterator[str]:
    """Yield AWS's sentence for each rule of the model that a parsed value breaks."""
    kind = shape.type_name
    for rule in _broken_rules(shape, value):
        yield f"Value {_shown(value)} at '{path}' failed to satisfy constraint: {rule}"
    if kind == "structure":
        for name, member in shape.members.items():
            inner = f"{path}.{_lower_first(name)}" if path else _lower_first(name)
            if name in value:
                yield from violations(member, value[name], inner)
            elif name in shape.required_members:
                yield f"Value null at '{inner}' failed to satisfy constraint: Member must not be null"
    elif kind == "list" and shape.member.type_name == "structure":
        for number, item in enumerate(value, start=1):
            yield from violations(shape.member, item, f"{path}.{number}.member")


def _broken_rules(shape: Shape, value: Any) -> Iterator[str]:
    """Rules on the value itself. AWS reports items of scalar lists and maps at the list or map."""
    kind = shape.type_name
    if kind in ("string", "list", "map", "blob"):
        yield from _range_rules(shape, len(value), "length")
    elif kind in ("integer", "long", "float", "double"):
        yield from _range_rules(shape, value, "value")
    if kind == "string":
        yield from _text_rules(shape, value)
    elif kind == "list" and shape.member.type_name != "structure":
        yield from _nested("Member", shape.member, value)
    elif kind == "map":
        yield from _nested("Map keys", shape.key, value)
        yield from _nested("Map value", shape.value, value.values())


def _range_rules(shape: Shape, measure: float, noun: str) -> Iterator[str]:
    smallest, largest = shape.metadata.get("min"), shape.metadata.get("max")
    if smallest is not None and measure < smallest:
        yield f"Member must have {noun} greater than or equal to {smallest}"
    if largest is not None and measure > largest:
        yield f"Member must have {noun} less than or equal to {largest}"


def _text_rules(shape: Shape, value: str) -> Iterator[str]:
    enum = shape.metadata.get("enum")
    if enum and value not in enum:
        yield f"Member must satisfy enum value set: [{', '.join(enum)}]"
    pattern = shape.metadata.get("pattern")
    compiled = _compiled(pattern) if pattern else None
    if compiled and len(value) <= MAX_PATTERN_CHARACTERS and not compiled.fullmatch(value):
        yield f"Member must satisfy regular expression pattern: {pattern}"


def _nested(subject: str, shape: Shape, values: Any) -> Iterator[str]:
    rules = list(dict.fromkeys(rule for value in values for rule in _broken_rules(shape, value)))
    if rules:
        yield f"{subject} must satisfy constraint: [{', '.join(rules)}]"


@cache
def _compiled(pattern: str) -> re.Pattern[str] | None:
    """Some patterns are written for Java's engine and do not compile here: those are not checked."""
    try:
        return re.compile(pattern)
    except re.error:
        return None


def _shown(value: Any) -> str:
    return f"'{value}'" if isinstance(value, str) else f"'{json.dumps(value)}'"


def _lower_first(name: str) -> str:
    return name[:1].lower() + name[1:]
