"""Requests made from botocore's shapes: what a client could mean, and the same with one thing broken.

Names are this fuzz's own, and the image it knows only serves: nothing of other tests is touched, no job runs.
"""

import re
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from tests.contract.hosting_account import IMAGE

KNOWN = "fuzz-known"
ROLE = "arn:aws:iam::000000000000:role/fuzz"
ARN = "arn:aws:sagemaker:us-east-1:000000000000"
TEXTS = (
    "fuzz-absent",
    KNOWN,
    "0",
    "1",
    "m",
    "a/b",
    ROLE,
    f"{ARN}:model-package-group/{KNOWN}",
    f"{ARN}:model-package/{KNOWN}/1",
    f"{ARN}:endpoint/{KNOWN}",
    "s3://fuzz-absent/some/key",
    IMAGE,
    "/opt/ml/processing/input/1",
    "ml.m5.large",
    "2026-11-22T00:00:00Z",
    "{}",
)
JUNK: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    2**63,
    1e308,
    "",
    "x" * 3000,
    "../../etc/passwd",
    "a\x00b",
    "\N{PILE OF POO}",
    "s3://",
    "$(id)",
    "'; DROP TABLE resources; --",
    [],
    [[]],
    {},
    {"a": {"b": None}},
)


def valid_requests(shape: Any, depth: int = 0) -> st.SearchStrategy[Any]:
    """Values that satisfy the model's rules, as far as these pools reach."""
    kind = shape.type_name
    if kind == "structure":
        members = {name: valid_requests(member, depth + 1) for name, member in _kept(shape, depth)}
        required = {name: members.pop(name) for name in shape.required_members}
        return st.fixed_dictionaries(required, optional=members)
    if kind == "list":
        smallest = min(shape.metadata.get("min", 0), 2)
        return st.lists(valid_requests(shape.member, depth + 1), min_size=smallest, max_size=max(smallest, 1))
    if kind == "map":
        return st.dictionaries(valid_requests(shape.key), valid_requests(shape.value, depth + 1), max_size=1)
    return _scalars(shape)


def _scalars(shape: Any) -> st.SearchStrategy[Any]:
    kind = shape.type_name
    if kind == "boolean":
        return st.booleans()
    if kind == "timestamp":
        return st.floats(1.6e9, 1.9e9)
    if kind in ("integer", "long", "float", "double"):
        smallest = int(shape.metadata.get("min", 0))
        return st.integers(smallest, min(smallest + 3, int(shape.metadata.get("max", smallest + 3))))
    return st.sampled_from(_texts(shape))


def _kept(shape: Any, depth: int) -> Iterator[tuple[str, Any]]:
    for name, member in shape.members.items():
        # Optional members of deep structures would make most requests huge.
        if name in shape.required_members or depth < 2:
            yield name, member


def _texts(shape: Any) -> list[str]:
    if enum := shape.metadata.get("enum"):
        return list(enum)
    pattern = shape.metadata.get("pattern")
    fitting = [text for text in TEXTS if not pattern or _matches(pattern, text)]
    return fitting or [KNOWN]


def _matches(pattern: str, text: str) -> bool:
    try:
        return re.fullmatch(pattern, text) is not None
    except re.error:
        return True


@st.composite
def broken_requests(draw: st.DrawFn, shape: Any) -> Any:
    """A valid request in which one member, at any depth, is replaced by something else."""
    request = draw(valid_requests(shape))
    places = list(_places(request))
    if not places:
        return draw(st.sampled_from(JUNK))
    holder, key = draw(st.sampled_from(places))
    holder[key] = draw(st.sampled_from(JUNK))
    return request


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield value, key
        yield from _places(inner)
