"""A PostgreSQL table read by logical replication: every insert, update and delete, in the order of the commits.

A replication slot keeps the write-ahead log until we say that we have it. Changes are peeked at, filed, and only then
is the slot moved on: a crash between the two brings the same changes again, and those that the inbox has are skipped.
The first time, the slot is made before the table is copied: what happens in between is in both, and the later wins.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ml_platform.core.errors import SourceDataError
from ml_platform.ingestion.changes.change import Batch, Change, State, as_text
from ml_platform.ingestion.changes.pgoutput import RowMessage, Transaction, format_lsn, parse_lsn, transactions
from ml_platform.ingestion.changes.postgres import Database, parse_row
from ml_platform.ingestion.changes.replication_setup import check_table, ensure_publication, ensure_slot
from ml_platform.ingestion.changes.table_rows import TableColumns, TableReader, find_columns

if TYPE_CHECKING:
    import psycopg

_PEEK = """
SELECT data FROM pg_logical_slot_peek_binary_changes(
  %s, NULL, %s, 'proto_version', '1', 'publication_names', %s)
"""


@dataclass(frozen=True)
class ReplicationOrigin:
    """Changes as PostgreSQL's log has them. See ``change_source.Origin``."""

    database: Database
    columns: Mapping[str, str] = field(default_factory=dict)
    label_delay: timedelta = timedelta(days=7)
    batch_rows: int = 20_000
    """A batch ends with the first commit after so many rows: a transaction is never split."""

    def batches(self, state: State) -> Iterator[Batch]:
        """Yield the copy of the table if there is none yet, and then what has been committed; see ``Origin``."""
        import psycopg

        try:
            with self.database.connect() as connection:
                if not state:
                    check_table(connection, self.database.address, self.columns)
                    ensure_publication(connection, self.database.address)
                    state = {"lsn": ensure_slot(connection, self.database.address), "columns": []}
                self._advance(connection, 0)
                if not state.get("copied"):
                    for batch in self._copy(connection, state):
                        state = batch.state
                        yield batch
                yield from self._stream(connection, state)
        except psycopg.errors.ObjectInUse:
            # Another consumer is reading from the slot; what it files is there for all.
            return

    def acknowledge(self, state: State) -> None:
        """Move the slot past what is filed, so that the database may drop its log."""
        if not state.get("copied"):
            return
        import psycopg

        try:
            with self.database.connect() as connection:
                self._advance(connection, state["lsn"])
        except psycopg.errors.ObjectInUse:
            # The consumer that is reading now will move it at least as far.
            return

    def _advance(self, connection: "psycopg.Connection[tuple[Any, ...]]", lsn: int) -> None:
        slot = self.database.address.slot
        found = connection.execute(
            "SELECT confirmed_flush_lsn::text, wal_status FROM pg_replication_slots WHERE slot_name = %s", (slot,)
        ).fetchone()
        if found is None or found[1] == "lost":
            raise SourceDataError(
                f"The replication slot {slot} is {'lost' if found else 'gone'}, and with it the changes that it kept. "
                "Name a new one in ML_PLATFORM_SOURCE (&slot=…): the table is copied anew and what differs is landed. "
                "Rows deleted meanwhile are gone from the copy, too."
            )
        if parse_lsn(found[0]) < lsn:
            connection.execute("SELECT pg_replication_slot_advance(%s, %s)", (slot, format_lsn(lsn)))

    def _copy(self, connection: "psycopg.Connection[tuple[Any, ...]]", state: State) -> Iterator[Batch]:
        """Yield the table page by page, in the order of its key, from where the last copy was cut short.

        Pages are of different moments. What changed since the slot was made comes after them, and wins.
        """
        from psycopg import sql

        address = self.database.address
        names = {"table": sql.Identifier(*address.table.split(".")), "key": sql.Identifier(address.key)}
        while True:
            after = sql.SQL("WHERE {key} > {last}").format(**names, last=sql.Literal(state.get("copied_to")))
            query = sql.SQL(
                "SELECT {key}::text, now(), to_jsonb(t)::text FROM {table} t {after} ORDER BY {key} LIMIT {rows}"
            ).format(**names, after=after if "copied_to" in state else sql.SQL(""), rows=sql.Literal(self.batch_rows))
            page = connection.execute(query).fetchall()
            if not page:
                yield Batch([], {"lsn": state["lsn"], "columns": state["columns"], "copied": True})
                return
            rows = [as_text(parse_row(text)) for _, _, text in page]
            columns = find_columns(rows[0].keys(), self.columns, state["columns"], address.table)
            reader = TableReader(columns, self.label_delay)
            position = f"{state['lsn']:020d}"
            changes = [
                reader.change("upsert", position, at, row, first_copy=True)
                for (_, at, _), row in zip(page, rows, strict=True)
            ]
            state = {**state, "columns": columns.seen, "copied_to": page[-1][0]}
            yield Batch(changes, state)

    def _stream(self, connection: "psycopg.Connection[tuple[Any, ...]]", state: State) -> Iterator[Batch]:
        address = self.database.address
        while True:
            (written,) = connection.execute("SELECT pg_current_wal_lsn()::text").fetchone() or ("0/0",)
            peeked = connection.execute(_PEEK, (address.slot, self.batch_rows, address.publication))
            found = [commit for commit in transactions(data for (data,) in peeked) if commit.end_lsn > state["lsn"]]
            if not found:
                # Only other tables were written: the database need not keep that for us.
                self._advance(connection, max(state["lsn"], parse_lsn(written)))
                return
            changes, seen = self._changes(found, state["columns"])
            state = {**state, "lsn": found[-1].end_lsn, "columns": seen}
            yield Batch(changes, state)

    def _changes(self, commits: Iterable[Transaction], seen: Sequence[str]) -> tuple[list[Change], list[str]]:
        changes: list[Change] = []
        known: dict[tuple[str, ...], TableColumns] = {}
        now_seen = list(seen)
        for commit in commits:
            for number, row in enumerate(commit.rows):
                if row.relation.columns not in known:
                    columns = find_columns(row.relation.columns, self.columns, now_seen, row.relation.name)
                    known[row.relation.columns] = columns
                    now_seen = sorted({*now_seen, *columns.seen})
                changes += self._of_row(row, known[row.relation.columns], commit, number)
        return changes, now_seen

    def _of_row(self, row: RowMessage, columns: TableColumns, commit: Transaction, number: int) -> Iterator[Change]:
        """Yield what a row became, and that it is gone from where its key was if the key changed."""
        reader = TableReader(columns, self.label_delay)
        position = f"{commit.commit_lsn:020d}.{number:010d}"
        at = min(commit.committed_at, datetime.now(UTC))
        key = columns.transaction_id
        if row.new is None or (row.old and row.old.get(key) != row.new.get(key)):
            yield reader.change("delete", position, at, {}, row.old)
        if row.new is not None:
            moved = row.old if row.old and row.old.get(key) == row.new.get(key) else None
            yield reader.change("upsert", position, at, row.new, moved)
