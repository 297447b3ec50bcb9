"""A PostgreSQL table read by an incremental cursor: the rows whose ``updated_at`` moved, in order, page by page.

The trap: ``updated_at`` is set when a transaction writes, and seen when it commits. One that began earlier may commit
later, behind a cursor that has moved on. So the cursor stops at the start of the oldest transaction that is still
open, and rows of the last ``overlap`` are read again, for clocks that are not the database's. Not seen at all are
deletions, and that a row moved to another day: ``replication`` sees both.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ml_platform.core.errors import SourceDataError
from ml_platform.ingestion.changes.change import Batch, Change, State, as_text
from ml_platform.ingestion.changes.postgres import Database, parse_row
from ml_platform.ingestion.changes.table_rows import TableReader, find_columns

if TYPE_CHECKING:
    import psycopg
    from psycopg import sql

_MOST_REMEMBERED = 50_000
"""Rows read again and known by heart; beyond this they are filed again, which wastes room and changes nothing."""

_HORIZON = """
SELECT least(now(), min(xact_start)) FROM pg_stat_activity
WHERE backend_type = 'client backend' AND datname = current_database() AND pid <> pg_backend_pid()
"""


@dataclass(frozen=True)
class CursorOrigin:
    """Changes found by their ``updated_at``. See ``change_source.Origin``."""

    database: Database
    columns: Mapping[str, str] = field(default_factory=dict)
    label_delay: timedelta = timedelta(days=7)
    page_rows: int = 20_000

    def batches(self, state: State) -> Iterator[Batch]:
        """Yield page after page of the rows that changed since; see ``Origin``."""
        with self.database.connect() as connection:
            self._refuse_gaps(connection)
            horizon = connection.execute(_HORIZON).fetchone()
            until: datetime = (horizon or (None,))[0] or datetime.now(UTC)
            state = self._begin(state)
            while page := self._page(connection, state, until):
                state = self._after(state, page)
                yield Batch(self._changes(state, page), state)
            yield Batch([], {**state, "at": None, "key": None, "complete_until": until.isoformat()})

    def acknowledge(self, state: State) -> None:
        """Do nothing: a table keeps its rows."""

    def _begin(self, state: State) -> State:
        """Return the state to go on from: inside a page run, or a little before the end of the last one."""
        if state.get("at") or not state.get("complete_until"):
            return {"recent": {}, "columns": [], **state}
        start = datetime.fromisoformat(state["complete_until"]) - self.database.address.overlap
        recent = {key: at for key, at in state["recent"].items() if at >= _micros(start)}
        return {**state, "at": start.isoformat(), "key": "", "recent": recent}

    def _page(
        self, connection: "psycopg.Connection[tuple[Any, ...]]", state: State, until: datetime
    ) -> list[tuple[str, datetime, str]]:
        from psycopg import sql

        address = self.database.address
        names = {"table": _identifier(address.table), "at": sql.Identifier(address.updated_at)}
        names["key"] = sql.Identifier(address.key)
        after: sql.Composable = sql.SQL("")
        if state.get("at"):
            after = sql.SQL("AND ({at} > {seen_at} OR ({at} = {seen_at} AND {key}::text > {seen_key}))").format(
                **names, seen_at=sql.Literal(state["at"]), seen_key=sql.Literal(state["key"])
            )
        query = sql.SQL(
            "SELECT {key}::text, {at}::timestamptz, to_jsonb(t)::text FROM {table} t "
            "WHERE {at} < {until} {after} ORDER BY {at}, {key}::text LIMIT {rows}"
        ).format(**names, until=sql.Literal(until), after=after, rows=sql.Literal(self.page_rows))
        return connection.execute(query).fetchall()

    def _after(self, state: State, page: list[tuple[str, datetime, str]]) -> State:
        remembered = state["recent"] | {key: _micros(at) for key, at, _ in page}
        # A page run may be long: only what the overlap can bring again needs remembering.
        since = _micros(page[-1][1] - self.database.address.overlap)
        recent = {key: at for key, at in remembered.items() if at >= since}
        key, at, _ = page[-1]
        known = {"at": at.isoformat(), "key": key, "recent": recent if len(recent) <= _MOST_REMEMBERED else {}}
        return {**state, **known, "before": state["recent"], "copied": True}

    def _changes(self, state: State, page: list[tuple[str, datetime, str]]) -> list[Change]:
        """Return what is new on a page, and note which of the optional columns are there."""
        before: dict[str, int] = state.pop("before")
        rows = [as_text(parse_row(text)) for _, _, text in page]
        address = self.database.address
        columns = find_columns(rows[0].keys(), self.columns, state["columns"], address.table)
        state["columns"] = columns.seen
        reader = TableReader(columns, self.label_delay)
        return [
            reader.change("upsert", f"{_micros(at):020d}", at, row, first_copy=not state.get("complete_until"))
            for (key, at, _), row in zip(page, rows, strict=True)
            if before.get(key) != _micros(at)
        ]

    def _refuse_gaps(self, connection: "psycopg.Connection[tuple[Any, ...]]") -> None:
        address = self.database.address
        found = connection.execute(
            "SELECT attnotnull FROM pg_attribute WHERE attrelid = %s::regclass AND attname = %s",
            (address.table, address.updated_at),
        ).fetchone()
        if found is None or not found[0]:
            raise SourceDataError(
                f"{address.table}.{address.updated_at} is {'missing' if found is None else 'nullable'}: a row without "
                "it would never be read. Let a trigger set it at every write, and then: ALTER TABLE "
                f"{address.table} ALTER COLUMN {address.updated_at} SET NOT NULL. Another column: ?updated_at=…"
            )


def _identifier(table: str) -> "sql.Identifier":
    from psycopg import sql

    return sql.Identifier(*table.split("."))


def _micros(at: datetime) -> int:
    """Return microseconds since 1970; ``timestamp()`` is a float and rounds them."""
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
