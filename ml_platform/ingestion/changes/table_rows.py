"""What the columns of a source's table are to us, and how one of its rows becomes a change. Pure.

A column that decides where a row is filed must not be lost unnoticed: without it reading stops, and the source keeps
what is to come. Any other column may be renamed or change its type: its rows are quarantined and can be read again.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from ml_platform.core.errors import SourceDataError
from ml_platform.ingestion.changes.change import Change, Operation, Row
from ml_platform.ingestion.schema import parse_times
from ml_platform.ingestion.source_columns import names_of

_REQUIRED = ("transaction_id", "event_time")
_OPTIONAL = ("label", "known_time")
_SOURCE = "source"


@dataclass(frozen=True, slots=True)
class TableColumns:
    """Names of the columns that decide where a row is filed, in lower case."""

    transaction_id: str
    event_time: str
    label: str | None = None
    known_time: str | None = None
    source: str | None = None
    """Says who said the label. Where a row is filed does not depend on it, so it may come and go."""

    @property
    def seen(self) -> list[str]:
        """Those of ours that may be there and are."""
        return [ours for ours in _OPTIONAL if getattr(self, ours)]


def find_columns(
    found: Collection[str], mapping: Mapping[str, str], seen_before: Collection[str], where: str
) -> TableColumns:
    """Return which columns decide where rows are filed.

    Raises:
        SourceDataError: When one is missing that is required, or was there before.
    """
    names = {name.lower() for name in found}
    ours = {
        column: next((name for name in names_of(column, mapping) if name in names), None) for column in (*_ALL, _SOURCE)
    }
    missing = [column for column in _ALL if ours[column] is None and column in {*_REQUIRED, *seen_before}]
    if missing:
        raise SourceDataError(
            f"{where} has no column for {', '.join(missing)} any more. Its columns are {', '.join(sorted(names))}. "
            "Reading has stopped before the first such row, and the source keeps what is to come. Say what the column "
            f'is called now: export ML_PLATFORM_SOURCE_COLUMNS=\'{{"{missing[0]}": "<its name>"}}\''
        )
    return TableColumns(**{column: name for column, name in ours.items() if name is not None})


_ALL = (*_REQUIRED, *_OPTIONAL)


@dataclass(frozen=True, slots=True)
class TableReader:
    """Turns rows of a table into changes.

    A label without a known time became known when its row changed; in the first copy of a table, which does not say
    when that was, ``label_delay`` after the event.
    """

    columns: TableColumns
    label_delay: timedelta

    def change(
        self,
        operation: Operation,
        position: str,
        changed_at: datetime,
        row: Row,
        old: Row | None = None,
        *,
        first_copy: bool = False,
    ) -> Change:
        """Return one change to the table; ``old`` is the row as it was, as far as the source says."""
        now = row if operation != "delete" else (old or {})
        label = self._of(now, self.columns.label)
        if old is not None and operation == "upsert" and not self.columns.known_time:
            # Something else about the payment changed; nothing became known.
            label = None if self._said(now) == self._said(old) else label
        return Change(
            operation=operation,
            position=position,
            arrived_at=changed_at,
            key=now.get(self.columns.transaction_id),
            row=now,
            event_time=now.get(self.columns.event_time),
            old_event_time=self._of(old or {}, self.columns.event_time),
            label=label,
            known_time=self._known_time(now, changed_at, first_copy) if label is not None else None,
        )

    def _said(self, row: Row) -> tuple[str | None, str | None]:
        return self._of(row, self.columns.label), self._of(row, self.columns.source)

    def _known_time(self, row: Row, changed_at: datetime, first_copy: bool) -> str | None:  # noqa: FBT001
        if self.columns.known_time:
            return row.get(self.columns.known_time)
        if not first_copy:
            return changed_at.isoformat()
        import polars as pl

        event = parse_times(pl.Series([row.get(self.columns.event_time)], dtype=pl.String)).item()
        return (event + self.label_delay).isoformat() if event else None

    @staticmethod
    def _of(row: Row, column: str | None) -> str | None:
        return row.get(column) if column else None
