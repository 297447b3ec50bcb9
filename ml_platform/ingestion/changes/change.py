"""A change: one row that a source inserted, updated or deleted, with its place in the source's own order. Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import polars as pl

Operation = Literal["upsert", "delete", "label", "unreadable"]
"""``label`` says something about a payment without being one; ``unreadable`` is kept as it came."""

Row = Mapping[str, str | None]
"""A source's own columns, their names in lower case, each value as text."""

State = dict[str, Any]
"""Where a source was read up to, as JSON: only the origin that wrote it understands it."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change.

    ``position`` sorts as text: of two changes to a row the one with the greater position is the later. Times and label
    are as the source wrote them; ``old_event_time`` says where a row was before it moved or was deleted.
    """

    operation: Operation
    position: str
    arrived_at: datetime
    key: str | None = None
    row: Row = field(default_factory=dict)
    event_time: str | None = None
    old_event_time: str | None = None
    label: str | None = None
    known_time: str | None = None
    payload: str | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Changes that belong together, and the state once they are durable."""

    changes: Sequence[Change]
    state: State


def as_text(row: Mapping[str, Any]) -> dict[str, str | None]:
    """Return a JSON object's values as text, as a CSV file would have them, under names in lower case."""
    return {str(name).strip().lower(): _text(value) for name, value in row.items()}


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value)


def change_frame(changes: Sequence[Change]) -> "pl.DataFrame":
    """Return changes as a frame; the row is JSON."""
    import polars as pl

    text = ("operation", "position", "key", "event_time", "old_event_time", "label", "known_time", "payload")
    columns: dict[str, Any] = {name: [getattr(change, name) for change in changes] for name in text}
    columns["arrived_at"] = [change.arrived_at for change in changes]
    columns["row"] = [json.dumps(dict(change.row)) for change in changes]
    types = {name: pl.String() for name in columns} | {"arrived_at": pl.Datetime("us", "UTC")}
    return pl.DataFrame(columns, schema=types)
