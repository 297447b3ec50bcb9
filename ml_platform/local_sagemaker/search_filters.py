"""Search expressions: which records satisfy them, by which property they sort. Pure; the records are ``search``'s.

A property is a path through the record's shape in botocore's model, so that a name that does not exist is refused.
Below a list every element counts; ``Tags.<key>``, ``HyperParameters.<name>`` and ``Metrics.<name>`` take the rest of
the path as a key, dots included.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ml_platform.local_sagemaker.service import validation

Record = dict[str, Any]
# botocore's shapes differ by kind and are told apart by ``type_name``.
Shape = Any
MAX_CONDITIONS = 50
NUMBERS = ("integer", "long", "float", "double")
ORDERED = ("GreaterThan", "GreaterThanOrEqualTo", "LessThan", "LessThanOrEqualTo")
TEXT_ONLY = ("Contains", "In")
# Keyed properties hold text that may be a number: both kinds of comparison make sense.
KEYED = "keyed"


@dataclass(frozen=True)
class Property:
    """One property of a kind of record: the way to it, and the type of what is there."""

    path: tuple[str, ...]
    type_name: str

    def values(self, record: Any) -> list[Any]:
        """Return what a record has there; nothing when it lacks the property."""
        return list(_follow(record, self.path))


def find_property(shape: Shape, name: str) -> Property:
    """Return a property of records of a shape.

    Raises:
        AwsError: When such records have no such property.
    """
    head, _, rest = name.partition(".")
    if head == "Metrics" and "FinalMetricDataList" in shape.members and rest:
        return Property(("FinalMetricDataList", f"MetricName={rest}", "Value"), "double")
    if head == "Tags" and "Tags" in shape.members and rest:
        return Property(("Tags", f"Key={rest}", "Value"), KEYED)
    path: list[str] = []
    left = name
    while left:
        while shape.type_name == "list":
            shape = shape.member
        if shape.type_name == "map":
            return Property((*path, left), KEYED)
        head, _, left = left.partition(".")
        if shape.type_name != "structure" or head not in shape.members:
            raise validation(f"Unknown property name: {name}.")
        path.append(head)
        shape = shape.members[head]
    return Property(tuple(path), shape.type_name)


def _follow(value: Any, path: tuple[str, ...]) -> Iterator[Any]:
    if isinstance(value, list):
        for item in value:
            yield from _follow(item, path)
    elif not path:
        yield value
    elif isinstance(value, dict):
        key, equals, wanted = path[0].partition("=")
        if path[0] in value:
            yield from _follow(value[path[0]], path[1:])
        elif equals and value.get(key) == wanted:
            yield from _follow(value, path[1:])


def check(expression: dict[str, Any]) -> None:
    """Refuse expressions that AWS would not evaluate.

    Raises:
        AwsError: When it is empty, too large, or uses ``Contains`` twice.
    """
    conditions = list(_conditions(expression))
    if len(conditions) > MAX_CONDITIONS:
        raise validation(f"A SearchExpression can have at most {MAX_CONDITIONS} conditions.")
    if sum(condition.get("Operator") == "Contains" for condition in conditions) > 1:
        raise validation("'CONTAINS' operator usage limit of 1 exceeded.")


def _conditions(expression: dict[str, Any]) -> Iterator[dict[str, Any]]:
    groups = [expression.get(member, []) for member in ("Filters", "NestedFilters", "SubExpressions")]
    if not any(groups):
        raise validation("A SearchExpression needs at least one filter, nested filter or subexpression.")
    yield from groups[0]
    for nested in groups[1]:
        yield from nested["Filters"]
    for inner in groups[2]:
        yield from _conditions(inner)


def satisfies(record: Record, expression: dict[str, Any], shape: Shape) -> bool:
    """Return whether a record satisfies an expression."""
    results = [
        *(_passes(record, condition, shape) for condition in expression.get("Filters", [])),
        *(_passes_nested(record, nested, shape) for nested in expression.get("NestedFilters", [])),
        *(satisfies(record, inner, shape) for inner in expression.get("SubExpressions", [])),
    ]
    return any(results) if expression.get("Operator") == "Or" else all(results)


def _passes_nested(record: Record, nested: dict[str, Any], shape: Shape) -> bool:
    """One element of a list must satisfy all the filters."""
    name = nested["NestedPropertyName"]
    element = shape.members.get(name)
    if element is None or element.type_name != "list" or element.member.type_name != "structure":
        raise validation(f"{name} is not a nested property.")
    conditions = [_below(condition, name) for condition in nested["Filters"]]
    # A wrong filter is refused also when the list is empty.
    elements = record.get(name, [])
    for condition in conditions:
        _passes({}, condition, element.member)
    return any(all(_passes(item, condition, element.member) for condition in conditions) for item in elements)


def _below(condition: dict[str, Any], name: str) -> dict[str, Any]:
    if not condition["Name"].startswith(f"{name}."):
        raise validation(f"The name of a nested filter must start with {name}., not be {condition['Name']}.")
    return {**condition, "Name": condition["Name"].removeprefix(f"{name}.")}


def _passes(record: Record, condition: dict[str, Any], shape: Shape) -> bool:
    wanted = find_property(shape, condition["Name"])
    operator = condition.get("Operator", "Equals")
    found = wanted.values(record)
    if operator in ("Exists", "NotExists"):
        if "Value" in condition:
            raise validation(f"Operator {operator} takes no Value.")
        return bool(found) if operator == "Exists" else not found
    if "Value" not in condition:
        raise validation(f"Operator {operator} needs a Value.")
    text = condition["Value"]
    _check_operator(wanted, operator)
    if operator not in TEXT_ONLY:
        # A value of the wrong kind is refused also when there is nothing to compare it with.
        _operands(None, text, wanted.type_name)
    if operator == "NotEquals":
        return all(not _compare(value, "Equals", text, wanted.type_name) for value in found)
    return any(_compare(value, operator, text, wanted.type_name) for value in found)


def _check_operator(wanted: Property, operator: str) -> None:
    if operator in ORDERED and wanted.type_name not in (*NUMBERS, "timestamp", KEYED):
        raise validation(f"Operator {operator} is not supported for text property {'.'.join(wanted.path)}.")
    if operator in TEXT_ONLY and wanted.type_name not in ("string", KEYED):
        raise validation(f"Operator {operator} is only supported for text properties.")


def _compare(value: Any, operator: str, text: str, type_name: str) -> bool:
    if operator == "Contains":
        return text in str(value)
    if operator == "In":
        return str(value) in (each.strip() for each in text.split(","))
    left, right = _operands(value, text, type_name)
    if operator == "Equals":
        return bool(left == right)
    try:
        return bool(
            {
                "GreaterThan": lambda: left > right,
                "GreaterThanOrEqualTo": lambda: left >= right,
                "LessThan": lambda: left < right,
                "LessThanOrEqualTo": lambda: left <= right,
            }[operator]()
        )
    except TypeError:
        return False


def _operands(value: Any, text: str, type_name: str) -> tuple[Any, Any]:
    if type_name == "timestamp":
        return value, _instant(text)
    if type_name in NUMBERS:
        number = _number(text)
        if number is None:
            raise validation(f"Value {text} is not a number.")
        return value, number
    if type_name == "boolean":
        return value, text.lower() == "true"
    if type_name == KEYED and (left := _number(value)) is not None and (right := _number(text)) is not None:
        return left, right
    return value, text


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _instant(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError) as error:
        raise validation(f"Value {text} is not an ISO 8601 date and time.") from error


def sort_key(record: Record, by: Property) -> tuple[int, float, str]:
    """Return what a record is sorted by: numbers before text, and what lacks the property first."""
    values = by.values(record)
    if not values or isinstance(values[0], dict):
        return 0, 0.0, ""
    number = _number(values[0])
    return (2, 0.0, str(values[0])) if number is None else (1, number, "")
