"""Metric math of the simple kind: arithmetic, comparison and a few functions over time series.

Pure. An expression is parsed with Python's own parser, and only the nodes named here are ever evaluated. SEARCH, SELECT
(Metrics Insights), anomaly bands and what else CloudWatch has are refused by name.
"""

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

Series = dict[int, float]
"""Values by time in milliseconds; a time without a value is missing, which is not zero."""
Value = Series | float | list[Any]

BINARY: dict[type, Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
AGGREGATES: dict[str, Callable[[list[float]], float]] = {
    "SUM": math.fsum,
    "AVG": lambda values: math.fsum(values) / len(values),
    "MIN": min,
    "MAX": max,
}
ELEMENTWISE: dict[str, Callable[[float], float]] = {"ABS": abs, "CEIL": math.ceil, "FLOOR": math.floor}
FUNCTIONS = (*AGGREGATES, *ELEMENTWISE, "FILL", "IF", "METRICS")
MAX_CHARACTERS = 2048
MAX_DEPTH = 50


class ExpressionError(Exception):
    """The expression cannot be evaluated; the message says what is wrong with it."""


def parse(expression: str) -> ast.expr:
    """Return an expression's tree.

    Raises:
        ExpressionError: When it is no expression, or uses what is not implemented.
    """
    if len(expression) > MAX_CHARACTERS:
        raise ExpressionError(f"the expression is longer than {MAX_CHARACTERS} characters")
    text = expression.replace("^", "**").replace("&&", " and ").replace("||", " or ")
    text = re.sub(r"\b(AND|OR)\b", lambda match: match[0].lower(), text)
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ExpressionError(f"Error in expression: {expression}") from error
    _require_known(tree, 0)
    return tree


def names(tree: ast.expr) -> set[str]:
    """Return the ids of other queries that an expression refers to."""
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    return {
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and id(node) not in called and node.id != "REPEAT"
    }


def evaluate(tree: ast.expr, known: Mapping[str, Series], times: list[int], metrics: list[Series]) -> Series:
    """Return an expression's time series; a plain number is one at every time.

    Args:
        tree: What ``parse`` returned.
        known: Series by query id.
        times: All times of the query, oldest first.
        metrics: What METRICS() stands for.

    Raises:
        ExpressionError: When a name is unknown or a function gets what it cannot take.
    """
    value = _Evaluation(known, times, metrics).value(tree)
    if isinstance(value, list):
        raise ExpressionError("an expression must return one time series")
    if isinstance(value, dict):
        return value
    return dict.fromkeys(times, value)


class _Evaluation:
    def __init__(self, known: Mapping[str, Series], times: list[int], metrics: list[Series]) -> None:
        self._known = known
        self._times = times
        self._metrics = metrics

    def value(self, node: ast.expr) -> Value:  # noqa: PLR0911 - one per kind of node
        if isinstance(node, ast.Constant):
            return float(node.value)  # type: ignore[arg-type]
        if isinstance(node, ast.Name):
            if node.id not in self._known:
                raise ExpressionError(f"Unknown id in expression: {node.id}")
            return self._known[node.id]
        if isinstance(node, ast.UnaryOp):
            return _map(operator.neg, self._number(node.operand))
        if isinstance(node, ast.BinOp):
            return self._combine(BINARY[type(node.op)], node.left, node.right)
        if isinstance(node, ast.Compare):
            return self._combine(BINARY[type(node.ops[0])], node.left, node.comparators[0])
        if isinstance(node, ast.BoolOp):
            return self._logic(node)
        if isinstance(node, ast.List):
            return [self.value(item) for item in node.elts]
        assert isinstance(node, ast.Call)  # noqa: S101 - parse refused everything else
        return self._call(node.func.id, node.args)  # type: ignore[attr-defined]

    def _number(self, node: ast.expr) -> Series | float:
        value = self.value(node)
        if isinstance(value, list):
            raise ExpressionError("arithmetic on an array of time series is not implemented")
        return value

    def _combine(self, operate: Callable[[float, float], float], left: ast.expr, right: ast.expr) -> Series | float:
        return _zip(operate, self._number(left), self._number(right))

    def _logic(self, node: ast.BoolOp) -> Series | float:
        both = isinstance(node.op, ast.And)
        result = self._number(node.values[0])
        for operand in node.values[1:]:
            join = (lambda a, b: bool(a) and bool(b)) if both else (lambda a, b: bool(a) or bool(b))
            result = _zip(join, result, self._number(operand))
        return _map(float, result)

    def _call(self, name: str, arguments: list[ast.expr]) -> Value:
        if name == "METRICS":
            return list(self._metrics)
        if name == "FILL":
            return self._fill(arguments)
        if name == "IF":
            return self._choose(arguments)
        if len(arguments) != 1:
            raise ExpressionError(f"{name} takes one argument")
        if name in ELEMENTWISE:
            return _map(ELEMENTWISE[name], self._number(arguments[0]))
        return _aggregate(AGGREGATES[name], self.value(arguments[0]))

    def _fill(self, arguments: list[ast.expr]) -> Series:
        if len(arguments) != 2:  # noqa: PLR2004 - a series and what to fill with
            raise ExpressionError("FILL takes a time series and a value or REPEAT")
        series = self._number(arguments[0])
        if not isinstance(series, dict):
            raise ExpressionError("FILL takes a time series")
        if isinstance(arguments[1], ast.Name) and arguments[1].id == "REPEAT":
            return self._repeated(series)
        filler = self._number(arguments[1])
        other = filler if isinstance(filler, dict) else dict.fromkeys(self._times, filler)
        return {time: series[time] if time in series else other[time] for time in self._times if time in series | other}

    def _repeated(self, series: Series) -> Series:
        result: Series = {}
        last: float | None = None
        for time in self._times:
            last = series.get(time, last)
            if last is not None:
                result[time] = last
        return result

    def _choose(self, arguments: list[ast.expr]) -> Series | float:
        if len(arguments) not in (2, 3):
            raise ExpressionError("IF takes a condition and one or two values")
        condition = self._number(arguments[0])
        then = self._number(arguments[1])
        # Without a third value, what does not meet the condition has no value at all.
        otherwise = self._number(arguments[2]) if len(arguments) > 2 else {}  # noqa: PLR2004
        if not isinstance(condition, dict):
            return then if condition else otherwise
        chosen = {time: _at(then if holds else otherwise, time) for time, holds in condition.items()}
        return {time: value for time, value in chosen.items() if value is not None}


def _at(value: Series | float, time: int) -> float | None:
    return value.get(time) if isinstance(value, dict) else value


def _map(operate: Callable[[float], float], value: Series | float) -> Series | float:
    if isinstance(value, dict):
        return {time: float(operate(each)) for time, each in value.items()}
    return float(operate(value))


def _zip(operate: Callable[[float, float], float], left: Series | float, right: Series | float) -> Series | float:
    """Combine where both sides have a value; what cannot be computed (x / 0) has none."""
    if not isinstance(left, dict) and not isinstance(right, dict):
        result = _computed(operate, left, right)
        if result is None:
            raise ExpressionError("a constant part of the expression divides by zero or is too large")
        return result
    times = left if isinstance(left, dict) else right
    computed: Series = {}
    for time in times if isinstance(times, dict) else ():
        one, other = _at(left, time), _at(right, time)
        result = None if one is None or other is None else _computed(operate, one, other)
        if result is not None:
            computed[time] = result
    return computed


def _computed(operate: Callable[[float, float], float], left: float, right: float) -> float | None:
    try:
        result = operate(left, right)
    except (ZeroDivisionError, OverflowError):
        return None
    return float(result) if isinstance(result, int | float) and math.isfinite(result) else None


def _aggregate(reduce: Callable[[list[float]], float], value: Value) -> Series | float:
    """Across an array: a value per time. Over one series: a single number."""
    if isinstance(value, float):
        return value
    if isinstance(value, dict):
        return float(reduce(list(value.values()))) if value else {}
    if not all(isinstance(series, dict) for series in value):
        raise ExpressionError("an array must hold time series")
    times = sorted({time for series in value for time in series})
    return {time: float(reduce([series[time] for series in value if time in series])) for time in times}


def _require_known(node: ast.expr, depth: int) -> None:  # noqa: C901 - one case per kind of node
    if depth > MAX_DEPTH:
        raise ExpressionError("the expression is nested too deeply")
    children: list[ast.expr]
    match node:
        case ast.Constant(value=int() | float()) if not isinstance(node.value, bool):
            children = []
        case ast.Name():
            children = []
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            children = [operand]
        case ast.BinOp(op=op, left=left, right=right) if type(op) in BINARY:
            children = [left, right]
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in BINARY:
            children = [left, right]
        case ast.BoolOp(values=values):
            children = values
        case ast.List(elts=elements):
            children = elements
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
            if name not in FUNCTIONS:
                raise ExpressionError(
                    f"The local CloudWatch stand-in does not implement {name} in metric math; it has "
                    f"{', '.join(FUNCTIONS)}"
                )
            children = arguments
        case _:
            raise ExpressionError(f"Error in expression: {ast.unparse(node)}")
    for child in children:
        _require_known(child, depth + 1)
