"""The inbox: everything that came from a source of changes, filed by day in the platform's bucket, exactly once.

The changes of a batch are written first, as one object for each day that they touch. Then the head is replaced, by
compare and swap: with one put they become visible and the source's state moves past them. A crash before it leaves
objects that nothing refers to, and the batch is read again; a second consumer that comes too late is told so.
"""

import io
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

from ml_platform.aws.heads import Head
from ml_platform.aws.objects import ObjectNotFoundError, ObjectStore
from ml_platform.core import names
from ml_platform.ingestion.changes.change import Batch, State
from ml_platform.ingestion.changes.filing import file_labels, file_transactions, newest

if TYPE_CHECKING:
    import polars as pl

_MOST_PIECES = 16
"""A day in so many objects is folded into one by the next batch that touches it."""
_READ_ATTEMPTS = 5


class FiledDay(BaseModel, frozen=True):
    """One day of a table: its objects, and the number of the batch that touched it last."""

    version: int = 0
    pieces: tuple[str, ...] = ()


class InboxHead(BaseModel, frozen=True):
    """What the inbox holds."""

    sequence: int = 0
    state: State = Field(default_factory=dict)
    complete_until: datetime | None = None
    """The source had nothing more to give at this instant."""
    transactions: dict[date, FiledDay] = Field(default_factory=dict)
    labels: dict[date, FiledDay] = Field(default_factory=dict)


@dataclass(frozen=True)
class Inbox:
    """The inbox of one source; ``source`` is its name in the bucket, ``columns`` the names of its columns."""

    store: ObjectStore
    source: str
    columns: Mapping[str, str] = field(default_factory=dict)

    @property
    def head(self) -> Head[InboxHead]:
        """The document that says what the inbox holds."""
        return Head(self.store, f"{names.inbox_prefix(self.source)}head.json", InboxHead)

    def append(self, batch: Batch, before: InboxHead, etag: str | None) -> tuple[InboxHead, str]:
        """File a batch and move the state past it, and return the head as it is then.

        Raises:
            HeadMovedError: When another consumer filed a batch since ``before`` was read; this one was not filed.
        """
        token = uuid.uuid4().hex[:8]
        sequence = before.sequence + 1
        transactions, replaced = self._file("transactions", file_transactions(batch.changes), before, sequence, token)
        labels, also_replaced = self._file("labels", file_labels(batch.changes), before, sequence, token)
        after = before.model_copy(
            update={
                "sequence": sequence,
                "state": batch.state,
                "transactions": before.transactions | transactions,
                "labels": before.labels | labels,
            }
        )
        written = self.head.replace(after, etag)
        # Readers that hold the old head find these gone, and read the head again.
        self.store.delete([*replaced, *also_replaced])
        return after, written

    def rows(self, table: str, days: Sequence[date]) -> "pl.DataFrame | None":
        """Return the newest change to each row of these days, deleted ones included; None when there is none."""
        for attempt in range(_READ_ATTEMPTS):
            filed = _table(self.head.read()[0], table)
            try:
                return self._rows({day: filed[day].pieces for day in days if day in filed})
            except ObjectNotFoundError:
                # Folded into another object since the head was read.
                if attempt == _READ_ATTEMPTS - 1:
                    raise
        return None

    def _rows(self, pieces: Mapping[date, Sequence[str]]) -> "pl.DataFrame | None":
        import polars as pl

        frames = [
            newest(pl.concat([self._read(piece) for piece in pieces[day]]), self.columns).with_columns(
                pl.lit(day).alias("day")
            )
            for day in sorted(pieces)
        ]
        return pl.concat(frames) if frames else None

    def _file(
        self, table: str, days: "Mapping[date, pl.DataFrame]", before: InboxHead, sequence: int, token: str
    ) -> tuple[dict[date, FiledDay], list[str]]:
        """Write the rows of each day, and return the days' entries and the objects that they replace."""
        import polars as pl

        filed: dict[date, FiledDay] = {}
        replaced: list[str] = []
        for day, rows in days.items():
            known = _table(before, table).get(day, FiledDay())
            piece = f"{names.inbox_prefix(self.source)}{table}/date={day}/{sequence:09d}-{token}.parquet"
            folds = len(known.pieces) >= _MOST_PIECES
            kept = newest(pl.concat([*map(self._read, known.pieces), rows]), self.columns) if folds else rows
            self._write(piece, kept)
            filed[day] = FiledDay(version=sequence, pieces=(piece,) if folds else (*known.pieces, piece))
            replaced += known.pieces if folds else []
        return filed, replaced

    def _read(self, key: str) -> "pl.DataFrame":
        import polars as pl

        return pl.read_parquet(io.BytesIO(self.store.get(key)))

    def _write(self, key: str, rows: "pl.DataFrame") -> None:
        buffer = io.BytesIO()
        rows.write_parquet(buffer, compression="zstd")
        self.store.put(key, buffer.getvalue())


def _table(head: InboxHead, table: str) -> dict[date, FiledDay]:
    return head.transactions if table == "transactions" else head.labels
