"""One feature row as bytes: a header, the numbers in fixed places, then texts and bytes.

Feast's own layout is one protobuf message per value; packing and parsing those is most of what its online reads and
writes cost. A row here is one value of the online store. Its header says when the row is about and under which
schema it was written, so that a newer row is told from an older one without parsing it, and rows outlive a change of
schema: they are read by the schema that wrote them. Where rows are kept is ``features.online.values``.
"""

import json
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa
    from feast import FeatureView

HEADER = struct.Struct("<QII")
"""Event time in microseconds, revision, schema. The first eight bytes are compared inside the stores."""

_LENGTH = struct.Struct("<I")
_ABSENT = 0xFFFFFFFF
_CODES = {"INT64": "q", "INT32": "q", "BOOL": "q", "DOUBLE": "d", "FLOAT": "d", "BYTES": "b", "STRING": "s"}
_PROTO = "p"
"""Kind of every other type: Feast's own message, as bytes."""

Row = tuple[int, Sequence[Any]]
"""Event time in microseconds, and the values in the schema's order."""


@dataclass(frozen=True)
class RowSchema:
    """Names and types of a feature view's values, and how they lie in a row."""

    fields: tuple[tuple[str, str], ...]
    """Name and Feast value type of each."""

    @classmethod
    def of(cls, view: "FeatureView") -> "RowSchema":
        """Return the schema of a feature view."""
        return cls(tuple((field.name, field.dtype.to_value_type().name) for field in view.features))

    @classmethod
    def from_json(cls, text: str | bytes) -> "RowSchema":
        """Read what ``to_json`` wrote."""
        return cls(tuple((str(name), str(kind)) for name, kind in json.loads(text)))

    def to_json(self) -> str:
        """Return the schema as text; equal schemas give equal texts."""
        return json.dumps(self.fields)

    @cached_property
    def id(self) -> int:
        """Number that rows of this schema carry."""
        return zlib.crc32(self.to_json().encode())

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names in order."""
        return tuple(name for name, _ in self.fields)

    @cached_property
    def _kinds(self) -> tuple[str, ...]:
        return tuple(_CODES.get(kind, _PROTO) for _, kind in self.fields)

    @cached_property
    def _null_bytes(self) -> int:
        return (len(self.fields) + 7) // 8

    @cached_property
    def _layout(self) -> struct.Struct:
        numbers = "".join(kind for kind in self._kinds if kind in "qd")
        return struct.Struct(f"<QII{self._null_bytes}s{numbers}")

    @cached_property
    def _only_numbers(self) -> bool:
        return all(kind in "qd" for kind in self._kinds)

    @cached_property
    def _no_nulls(self) -> bytes:
        return bytes(self._null_bytes)

    def pack(self, event_us: int, values: Mapping[str, Any], revision: int = 0) -> bytes:
        """Return one row; a missing name or None is null."""
        nulls = 0
        numbers: list[Any] = []
        rest = b""
        for position, (name, kind) in enumerate(zip(self.names, self._kinds, strict=True)):
            value = values.get(name)
            nulls |= (value is None) << position
            if kind in "qd":
                numbers.append(0 if value is None else value)
            else:
                rest += _with_length(value)
        header = self._layout.pack(event_us, revision, self.id, nulls.to_bytes(self._null_bytes, "little"), *numbers)
        return header + rest

    def unpack(self, row: bytes) -> Row:
        """Return event time and values of a row of this schema."""
        if self._only_numbers:
            event_us, _, _, nulls, *values = self._layout.unpack(row)
            if nulls == self._no_nulls:
                return event_us, values
            empty = int.from_bytes(nulls, "little")
            return event_us, [None if empty >> position & 1 else value for position, value in enumerate(values)]
        event_us, _, _, nulls, *numbers = self._layout.unpack_from(row)
        empty = int.from_bytes(nulls, "little")
        fixed, rest = iter(numbers), _texts(row, self._layout.size)
        found = [next(fixed) if kind in "qd" else _value(next(rest), kind) for kind in self._kinds]
        return event_us, [None if empty >> position & 1 else value for position, value in enumerate(found)]

    def pack_table(self, table: "pa.Table", event_us: "pa.Array") -> list[bytes]:
        """Return one row for each of a table, with revision 0."""
        import numpy as np

        packed = np.zeros(table.num_rows, self._record_type())
        packed["event"], packed["schema"] = event_us.to_numpy(zero_copy_only=False), self.id
        rest: list[list[bytes]] = []
        for position, (name, value_type) in enumerate(self.fields):
            column, kind = table.column(name).combine_chunks(), self._kinds[position]
            missing = column.is_null().to_numpy(zero_copy_only=False)
            packed["nulls"][:, position // 8] |= missing.astype("u1") << (position % 8)
            if kind in "qd":
                packed[f"f{position}"] = column.cast(_arrow_type(kind)).fill_null(0).to_numpy(zero_copy_only=False)
            else:
                rest.append([_with_length(value) for value in _stored(column.to_pylist(), kind, value_type)])
        return _split(packed.tobytes(), packed.dtype.itemsize, rest)

    def _record_type(self) -> Any:
        import numpy as np

        numbers = [
            (f"f{position}", f"<{'i8' if k == 'q' else 'f8'}") for position, k in enumerate(self._kinds) if k in "qd"
        ]
        return np.dtype(
            [("event", "<u8"), ("revision", "<u4"), ("schema", "<u4"), ("nulls", "u1", (self._null_bytes,)), *numbers]
        )


def event_us_of(row: bytes) -> int:
    """Return the event time of any row, in microseconds."""
    return int.from_bytes(row[:8], "little")


def schema_of(row: bytes) -> int:
    """Return which schema a row was written under."""
    return int.from_bytes(row[12:16], "little")


def entity_key(values: Iterable[object]) -> bytes:
    """Return the bytes that stand for a key of one or several columns.

    Raises:
        TypeError: When a value can be no key.
    """
    parts = [_key_part(value) for value in values]
    return parts[0] if len(parts) == 1 else b"".join(_LENGTH.pack(len(part)) + part for part in parts)


def _key_part(value: object) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes):
        return value
    if isinstance(value, int):
        return str(value).encode()
    raise TypeError(f"{value!r} cannot be part of an entity key; keys are texts, whole numbers or bytes.")


def _with_length(value: str | bytes | None) -> bytes:
    if value is None:
        return _LENGTH.pack(_ABSENT)
    content = value.encode() if isinstance(value, str) else value
    return _LENGTH.pack(len(content)) + content


def _texts(row: bytes, start: int) -> Iterator[bytes | None]:
    while start < len(row):
        (length,) = _LENGTH.unpack_from(row, start)
        start += _LENGTH.size
        if length == _ABSENT:
            yield None
        else:
            yield row[start : start + length]
            start += length


def _value(content: bytes | None, kind: str) -> Any:
    return content.decode() if kind == "s" and content is not None else content


def _stored(values: list[Any], kind: str, value_type: str) -> list[Any]:
    """Return values of a column as they are kept; what has no place of its own as Feast's message."""
    if kind != _PROTO:
        return values
    from feast.type_map import python_values_to_proto_values
    from feast.value_type import ValueType

    messages = python_values_to_proto_values(values, ValueType[value_type])
    return [
        None if value is None else message.SerializeToString() for value, message in zip(values, messages, strict=True)
    ]


def _arrow_type(kind: str) -> "pa.DataType":
    import pyarrow as pa

    return pa.int64() if kind == "q" else pa.float64()


def _split(content: bytes, size: int, rest: list[list[bytes]]) -> list[bytes]:
    rows = [content[start : start + size] for start in range(0, len(content), size)]
    return [row + b"".join(parts) for row, *parts in zip(rows, *rest, strict=True)] if rest else rows
