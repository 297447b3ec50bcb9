"""A Kinesis stream as a source: one JSON object a record, a payment or what became known of one.

A record is a payment as it is now; the later one for the same transaction wins. With ``label`` and without anything of
a payment but its id and time it is a label. The envelope of AWS DMS (``data`` and ``metadata``) is opened: so a delete
can be sent. What cannot be read is kept as it came, and quarantined.

Each shard is read after the last sequence number that the inbox has. When a stream is split or merged, the children of
a shard are read when the shard is: that keeps the order of a key, which lives in one shard at a time.
"""

import base64
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ml_platform.aws import streams
from ml_platform.ingestion.changes.change import Batch, Change, Operation, Row, State, as_text
from ml_platform.ingestion.source_columns import names_of

_PAYMENT_COLUMNS = ("customer_id", "terminal_id", "amount")
_SEQUENCE_DIGITS = 64


@dataclass(frozen=True)
class KinesisOrigin:
    """Changes as a stream has them. See ``change_source.Origin``."""

    region: str
    stream: str
    columns: Mapping[str, str] = field(default_factory=dict)
    records_at_once: int = 5_000

    @property
    def name(self) -> str:
        """The name of this source's inbox."""
        return f"kinesis-{self.region}-{self.stream}"

    def batches(self, state: State) -> Iterator[Batch]:
        """Yield the records of shard after shard, parents before their children; see ``Origin``."""
        read: dict[str, str | None] = dict(state.get("shards", {}))
        finished: set[str] = set(state.get("finished", ()))
        visited: set[str] = set()
        shards = streams.list_shards(self.region, self.stream)
        kept = {shard.shard_id for shard in shards}
        while ready := [shard for shard in readable(shards, finished) if shard.shard_id not in visited]:
            for shard in ready:
                visited.add(shard.shard_id)
                for records, drained in self._read(shard.shard_id, read.get(shard.shard_id)):
                    if records:
                        read[shard.shard_id] = records[-1].sequence_number
                    closes = drained and shard.closed
                    if closes:
                        finished.add(shard.shard_id)
                    if records or closes:
                        yield Batch([self._change(record) for record in records], _state(read, finished, kept))

    def acknowledge(self, state: State) -> None:
        """Do nothing: a stream keeps its records for as long as it is told to."""

    def _read(self, shard: str, after: str | None) -> Iterator[tuple[list[streams.Record], bool]]:
        return streams.read_shard(self.region, self.stream, shard, after, self.records_at_once)

    def _change(self, record: streams.Record) -> Change:
        position = record.sequence_number.zfill(_SEQUENCE_DIGITS)
        try:
            operation, row = _open(json.loads(record.content, parse_float=str, parse_int=str))
        except ValueError:
            return Change("unreadable", position, record.arrived_at, payload=_as_it_came(record.content))
        event_time, label = self._value(row, "event_time"), self._value(row, "label")
        known_time = self._value(row, "known_time") or record.arrived_at.isoformat()
        if operation == "upsert" and label is not None and not any(self._value(row, name) for name in _PAYMENT_COLUMNS):
            operation = "label"
        return Change(
            operation=operation,
            position=position,
            arrived_at=record.arrived_at,
            key=self._value(row, "transaction_id"),
            row=row,
            event_time=event_time,
            old_event_time=event_time if operation == "delete" else None,
            label=label,
            known_time=known_time if label is not None else None,
        )

    def _value(self, row: Row, column: str) -> str | None:
        return next((row[name] for name in names_of(column, self.columns) if row.get(name) is not None), None)


def _state(read: Mapping[str, str | None], finished: set[str], kept: set[str]) -> State:
    """Return where each shard was read up to; what the stream has forgotten need not be remembered."""
    return {
        "shards": {shard: number for shard, number in read.items() if shard in kept and shard not in finished},
        "finished": sorted(finished & kept),
    }


def readable(shards: Sequence[streams.Shard], finished: Collection[str]) -> list[streams.Shard]:
    """Return the shards to read now: not read to their end, and no parent that is still listed has more to give."""
    waiting = {shard.shard_id for shard in shards} - set(finished)
    ready = [shard for shard in shards if shard.shard_id in waiting and not waiting & set(shard.parents)]
    return sorted(ready, key=lambda shard: shard.shard_id)


def _open(content: Any) -> tuple[Operation, Row]:
    """Return what a record says, out of DMS's envelope if it is in one.

    Raises:
        ValueError: When it is no JSON object.
    """
    if (
        isinstance(content, dict)
        and isinstance(content.get("data"), dict)
        and isinstance(content.get("metadata"), dict)
    ):
        deletes = content["metadata"].get("operation") == "delete"
        return ("delete" if deletes else "upsert"), as_text(content["data"])
    if not isinstance(content, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - json's own error for what is no JSON is a ValueError
    return "upsert", as_text(content)


def _as_it_came(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return f"base64:{base64.b64encode(content).decode()}"
