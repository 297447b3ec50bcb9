"""Decoding of PostgreSQL's logical replication messages, protocol version 1. Pure.

The format is in PostgreSQL's manual, "Logical Replication Message Formats". Values come as text (`binary 'false'`).
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ml_platform.core.errors import SourceDataError
from ml_platform.ingestion.changes.change import Row

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_OPERATIONS = {"I": "insert", "U": "update", "D": "delete"}


@dataclass(frozen=True, slots=True)
class Relation:
    """A table as it was when a row was written: names of its columns, in lower case."""

    name: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RowMessage:
    """One row inserted, updated or deleted; ``old`` is as much of the row before as its replica identity keeps."""

    operation: str
    relation: Relation
    new: Row | None
    old: Row | None


@dataclass(frozen=True, slots=True)
class Transaction:
    """The rows of one committed transaction; ``end_lsn`` is where the next one may begin."""

    commit_lsn: int
    end_lsn: int
    committed_at: datetime
    rows: tuple[RowMessage, ...]


def parse_lsn(text: str) -> int:
    """Return a place in the write-ahead log, such as ``0/1726E30``, as a number."""
    high, low = text.split("/")
    return (int(high, 16) << 32) + int(low, 16)


def format_lsn(lsn: int) -> str:
    """Return a number as a place in the write-ahead log."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def transactions(messages: Iterable[bytes]) -> Iterator[Transaction]:
    """Yield the whole transactions among messages, in the order of their commits.

    Raises:
        SourceDataError: When a message is not of this protocol.
    """
    relations: dict[int, Relation] = {}
    rows: list[RowMessage] = []
    committed_at = _EPOCH
    for message in messages:
        kind, reader = chr(message[0]), _Reader(message, 1)
        if kind == "B":
            rows = []
            _, micros, _ = reader.unpack(">QqI")
            committed_at = _EPOCH + timedelta(microseconds=micros)
        elif kind == "R":
            oid, relation = _relation(reader)
            relations[oid] = relation
        elif kind in _OPERATIONS:
            (oid,) = reader.unpack(">I")
            rows.append(_row(kind, relations[oid], reader))
        elif kind == "C":
            _, commit_lsn, end_lsn, _ = reader.unpack(">BQQq")
            yield Transaction(commit_lsn, end_lsn, committed_at, tuple(rows))
        elif kind not in "OTYM":  # origin, truncate, type and logical messages hold no rows
            raise SourceDataError(f"PostgreSQL sent a replication message of unknown kind {kind!r}. Is it protocol 1?")


def _relation(reader: "_Reader") -> tuple[int, Relation]:
    (oid,) = reader.unpack(">I")
    schema, table = reader.text(), reader.text()
    _, count = reader.unpack(">cH")
    columns = []
    for _ in range(count):
        reader.unpack(">B")
        columns.append(reader.text().lower())
        reader.unpack(">Ii")
    return oid, Relation(f"{schema}.{table}", tuple(columns))


def _row(kind: str, relation: Relation, reader: "_Reader") -> RowMessage:
    old: Row | None = None
    (part,) = reader.unpack(">c")
    if part in (b"K", b"O"):
        old = _tuple(relation, reader, key_only=part == b"K")
        part = reader.unpack(">c")[0] if kind == "U" else b""
    new = _tuple(relation, reader) if part == b"N" else None
    if new is not None and old is not None:
        # A long value that did not change is not sent again.
        new = {**{name: old[name] for name in relation.columns if name not in new and name in old}, **new}
    return RowMessage(_OPERATIONS[kind], relation, new, old)


def _tuple(relation: Relation, reader: "_Reader", *, key_only: bool = False) -> Row:
    """Return a row's values; of a key, columns that do not belong to it come as nulls and are left out."""
    (count,) = reader.unpack(">H")
    values: dict[str, str | None] = {}
    for name in relation.columns[:count]:
        (kind,) = reader.unpack(">c")
        if kind == b"t":
            (length,) = reader.unpack(">I")
            values[name] = reader.take(length).decode()
        elif kind == b"n" and not key_only:
            values[name] = None
    return values


class _Reader:
    """Reads a message from a place on."""

    def __init__(self, message: bytes, at: int) -> None:
        self._message, self._at = message, at

    def unpack(self, form: str) -> tuple:
        values = struct.unpack_from(form, self._message, self._at)
        self._at += struct.calcsize(form)
        return values

    def take(self, length: int) -> bytes:
        value = self._message[self._at : self._at + length]
        self._at += length
        return value

    def text(self) -> str:
        end = self._message.index(b"\0", self._at)
        value = self._message[self._at : end].decode()
        self._at = end + 1
        return value
