"""What logical replication needs of a database: checked, and made where we are allowed to."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ml_platform.core.errors import SourceDataError
from ml_platform.ingestion.changes.pgoutput import parse_lsn
from ml_platform.ingestion.changes.postgres import PostgresAddress
from ml_platform.ingestion.source_columns import names_of

if TYPE_CHECKING:
    import psycopg

_IDENTITY = """
SELECT c.relreplident::text, coalesce(array_agg(lower(a.attname)) FILTER (WHERE a.attname IS NOT NULL), '{}')
FROM pg_class c
LEFT JOIN pg_index i ON i.indrelid = c.oid
  AND ((c.relreplident = 'd' AND i.indisprimary) OR (c.relreplident = 'i' AND i.indisreplident))
LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey)
WHERE c.oid = %s::regclass GROUP BY c.relreplident
"""

_UNIQUE = """
SELECT a.attnotnull AND EXISTS (
  SELECT FROM pg_index i WHERE i.indrelid = a.attrelid AND i.indisunique AND i.indkey::text = a.attnum::text)
FROM pg_attribute a WHERE a.attrelid = %s::regclass AND a.attname = %s
"""


def check_table(
    connection: "psycopg.Connection[tuple[Any, ...]]", address: PostgresAddress, columns: Mapping[str, str]
) -> None:
    """Refuse a table whose deletes and moves could not be followed.

    Raises:
        SourceDataError: With the statement that helps.
    """
    (level,) = connection.execute("SHOW wal_level").fetchone() or ("",)
    if level != "logical":
        raise SourceDataError(
            f"wal_level of this PostgreSQL is {level}, and replication needs `logical`. Set it (on RDS: "
            "rds.logical_replication = 1 in the parameter group) and restart, or read with ?read=cursor."
        )
    unique = connection.execute(_UNIQUE, (address.table, address.key)).fetchone()
    if unique is None or not unique[0]:
        raise SourceDataError(
            f"{address.table}.{address.key} is no key: the table is copied in its order, so it must be there, NOT NULL "
            "and have a unique index of its own. Name another column in ML_PLATFORM_SOURCE: &key=…"
        )
    identity, kept = connection.execute(_IDENTITY, (address.table,)).fetchone() or ("n", [])
    if identity != "f" and not set(kept) & set(names_of("event_time", columns)):
        raise SourceDataError(
            f"A row that is deleted from {address.table} or moves to another day would not say where it was. "
            f"ALTER TABLE {address.table} REPLICA IDENTITY FULL, or USING INDEX with a unique index on the "
            "transaction's id and its event time."
        )


def ensure_publication(connection: "psycopg.Connection[tuple[Any, ...]]", address: PostgresAddress) -> None:
    """Publish the table's changes, unless that is done.

    Raises:
        SourceDataError: When this user may not; the message has the statement for somebody who may.
    """
    import psycopg
    from psycopg import sql

    if connection.execute("SELECT 1 FROM pg_publication WHERE pubname = %s", (address.publication,)).fetchone():
        return
    statement = sql.SQL("CREATE PUBLICATION {} FOR TABLE {} WITH (publish = 'insert, update, delete')").format(
        sql.Identifier(address.publication), sql.Identifier(*address.table.split("."))
    )
    try:
        connection.execute(statement)
    except psycopg.errors.InsufficientPrivilege as error:
        raise SourceDataError(
            f"The user in ML_PLATFORM_SOURCE may not publish {address.table}. Let its owner run: "
            f"{statement.as_string(connection)};"
        ) from error


def ensure_slot(connection: "psycopg.Connection[tuple[Any, ...]]", address: PostgresAddress) -> int:
    """Return the place in the log from which the slot keeps changes; the slot is made unless it is there."""
    found = connection.execute(
        "SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = %s", (address.slot,)
    ).fetchone()
    if found is None:
        found = connection.execute(
            "SELECT lsn::text FROM pg_create_logical_replication_slot(%s, 'pgoutput')", (address.slot,)
        ).fetchone()
    return parse_lsn((found or ("0/0",))[0])
