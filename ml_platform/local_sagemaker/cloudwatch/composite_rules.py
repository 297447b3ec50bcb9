"""Rules of composite alarms: ``ALARM("a") AND NOT (OK("b") OR TRUE)``. Pure."""

import re
from collections.abc import Callable
from dataclasses import dataclass

TOKEN = re.compile(
    r"""\s*(?:(?P<state>ALARM|OK|INSUFFICIENT_DATA)\s*\(\s*(?:"(?P<double>[^"]+)"|'(?P<single>[^']+)'|(?P<bare>[^\s()"',]+))\s*\)"""
    r"""|(?P<word>AND|OR|NOT|TRUE|FALSE)\b|(?P<parenthesis>[()]))"""
)
MAX_DEPTH = 50

StateOf = Callable[[str], str | None]


class RuleError(Exception):
    """The rule cannot be read."""


@dataclass(frozen=True)
class Rule:
    """A parsed rule: which alarms it names, and whether it holds."""

    alarms: tuple[str, ...]
    holds: Callable[[StateOf], bool]


def parse_rule(text: str) -> Rule:
    """Read a rule. NOT binds closest, then AND, then OR.

    Raises:
        RuleError: When it is no rule.
    """
    parser = _Parser(_tokens(text))
    holds = parser.either(0)
    if parser.left:
        raise RuleError(f"unexpected {parser.left[0][1]!r}")
    return Rule(tuple(dict.fromkeys(parser.alarms)), holds)


def alarm_name(reference: str) -> str:
    """Return the alarm that a rule names, by name or by ARN."""
    return reference.split(":alarm:", 1)[1] if reference.startswith("arn:") and ":alarm:" in reference else reference


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens, position, text = [], 0, text.strip()
    while position < len(text):
        match = TOKEN.match(text, position)
        if match is None:
            raise RuleError(f"cannot read {text[position : position + 40]!r}")
        name = match["double"] or match["single"] or match["bare"]
        tokens.append((match["state"], alarm_name(name)) if name else ("", match["word"] or match["parenthesis"]))
        position = match.end()
    return tokens


class _Parser:
    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self.left = tokens
        self.alarms: list[str] = []

    def either(self, depth: int) -> Callable[[StateOf], bool]:
        parts = [self._all(depth)]
        while self._take("OR"):
            parts.append(self._all(depth))
        return lambda state_of: any(part(state_of) for part in parts)

    def _all(self, depth: int) -> Callable[[StateOf], bool]:
        parts = [self._one(depth)]
        while self._take("AND"):
            parts.append(self._one(depth))
        return lambda state_of: all(part(state_of) for part in parts)

    def _one(self, depth: int) -> Callable[[StateOf], bool]:
        if depth > MAX_DEPTH:
            raise RuleError("nested too deeply")
        if self._take("NOT"):
            inner = self._one(depth + 1)
            return lambda state_of: not inner(state_of)
        if self._take("("):
            inner = self.either(depth + 1)
            if not self._take(")"):
                raise RuleError("a parenthesis is not closed")
            return inner
        if self._take("TRUE"):
            return lambda _: True
        if self._take("FALSE"):
            return lambda _: False
        if not self.left or not self.left[0][0]:
            raise RuleError(f"unexpected {self.left[0][1]!r}" if self.left else "the rule ends too early")
        state, name = self.left.pop(0)
        self.alarms.append(name)
        return lambda state_of: state_of(name) == state

    def _take(self, word: str) -> bool:
        if self.left and self.left[0] == ("", word):
            self.left.pop(0)
            return True
        return False
