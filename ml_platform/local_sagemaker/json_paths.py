"""The part of JSONPath that AWS documents for filters of transform jobs. Pure.

Root, names (also several in one bracket), numbers, ranges, lists of both, and the wildcard. Results have the shape that
json-path, which AWS points to, gives them: several names make an object, several positions or a wildcard a list. The
libraries for Python follow RFC 9535, which knows lists of matches only.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

ROOT = "$"
NAME = r"'[^']*'"
POSITION = r"(?:-?\d*:-?\d*|-?\d+)"
STEP = re.compile(
    rf"\.(?P<plain>[A-Za-z_][\w-]*)|(?P<any>\.\*|\.?\[\s*\*\s*\])"
    rf"|\.?\[\s*(?P<names>{NAME}(?:\s*,\s*{NAME})*)\s*\]|\[\s*(?P<positions>{POSITION}(?:\s*,\s*{POSITION})*)\s*\]"
)


class JsonPathError(ValueError):
    """A path is outside the documented part of JSONPath, or names what a record lacks."""


@dataclass(frozen=True)
class JsonPath:
    """A path that was read, and how it was written."""

    text: str
    steps: tuple["_Step", ...]

    @classmethod
    def parse(cls, text: str) -> "JsonPath":
        """Read a path; raises ``JsonPathError`` where AWS documents no such operator."""
        return cls(text, tuple(_read_steps(text)))

    @property
    def for_columns(self) -> bool:
        """Whether it selects from a row of CSV, which is a list without names."""
        return not self.steps or (len(self.steps) == 1 and not self.steps[0].names)

    def select(self, document: Any) -> Any:
        """Return the part of a document that the path names; raises ``JsonPathError`` where it is not there."""
        return self._select(self.steps, document)

    def _select(self, steps: tuple["_Step", ...], document: Any) -> Any:
        if not steps:
            return document
        step, *rest = steps
        if step.names:
            found = {name: self._member(document, name) for name in step.names}
            if step.single:
                return self._select((*rest,), found[step.names[0]])
            # As json-path does: an object of the members where they end the path, else one match for each.
            return found if not rest else [self._select((*rest,), value) for value in found.values()]
        values = self._positions(document, step)
        return self._select((*rest,), values[0]) if step.single else [self._select((*rest,), one) for one in values]

    def _member(self, document: Any, name: str) -> Any:
        if not isinstance(document, dict) or name not in document:
            raise JsonPathError(f"The filter {self.text!r} names {name!r}, which a record lacks.")
        return document[name]

    def _positions(self, document: Any, step: "_Step") -> list[Any]:
        if step.everything and isinstance(document, dict):
            return [*document.values()]
        if not isinstance(document, list):
            raise JsonPathError(f"The filter {self.text!r} asks for elements of what is no list in a record.")
        if step.everything:
            return document
        found: list[Any] = []
        for position in step.positions:
            if isinstance(position, slice):
                found += document[position]
            elif -len(document) <= position < len(document):
                found.append(document[position])
            else:
                raise JsonPathError(
                    f"The filter {self.text!r} names a column or element {position} that a row of "
                    f"{len(document)} lacks."
                )
        return found


@dataclass(frozen=True)
class _Step:
    """One operator: names, or positions, or neither, which is the wildcard."""

    names: tuple[str, ...] = ()
    positions: tuple[int | slice, ...] = ()

    @property
    def everything(self) -> bool:
        return not self.names and not self.positions

    @property
    def single(self) -> bool:
        """Whether it leads to exactly one value."""
        return len(self.names) == 1 or (len(self.positions) == 1 and isinstance(self.positions[0], int))


def _read_steps(text: str) -> Iterator[_Step]:
    at = len(ROOT)
    while text.startswith(ROOT) and at < len(text) and (match := STEP.match(text, at)):
        at = match.end()
        if match["any"]:
            yield _Step()
        elif match["positions"]:
            yield _Step(positions=tuple(_position(part) for part in match["positions"].split(",")))
        else:
            names = (match["plain"],) if match["plain"] else re.findall(NAME, match["names"])
            yield _Step(names=tuple(name.strip("'") for name in names))
    if not text.startswith(ROOT) or at < len(text):
        raise JsonPathError(
            f"The filter {text!r} is not supported. Known are $, .name, ['name','name'], *, [1,-1] and [2:5]."
        )


def _position(text: str) -> int | slice:
    if ":" not in text:
        return int(text)
    first, last = (int(part) if part.strip() else None for part in text.split(":"))
    return slice(first, last)
