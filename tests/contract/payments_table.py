"""A table of payments in a database of its own, and what the platform lands of it."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg

from ml_platform.aws.tables import DailyTable
from ml_platform.core.settings import Settings
from ml_platform.ingestion.changes.change_source import ChangeSource
from ml_platform.ingestion.source import open_source
from tests.contract.postgres_server import PostgresServer

MONDAY = date(2026, 1, 5)
CREATE = """
CREATE TABLE payments (
  transaction_id text PRIMARY KEY, event_time timestamptz NOT NULL, customer_id text, terminal_id int,
  amount numeric(12, 2), label smallint, known_time timestamptz, updated_at timestamptz NOT NULL DEFAULT now())
"""


def noon(day: int, minutes: int = 0) -> datetime:
    return datetime(2026, 1, 5, 12, tzinfo=UTC) + timedelta(days=day, minutes=minutes)


def insert(connection: psycopg.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows of id, event time and amount."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO payments (transaction_id, event_time, customer_id, terminal_id, amount)"
            " VALUES (%s, %s, 'c1', 7, %s)",
            rows,
        )


def many(prefix: str, count: int, days: int = 3) -> list[tuple[str, datetime, float]]:
    return [(f"{prefix}{n}", noon(n % days, n), 1 + n % 50) for n in range(count)]


def address(server: PostgresServer, database: str, **ours: str) -> str:
    query = "".join(f"&{name}={value}" for name, value in {"table": "public.payments", **ours}.items())
    return server.conninfo(database) + query


def source_at(settings: Settings, where: str, **changes: Any) -> ChangeSource:
    source = open_source(settings.model_copy(update={"source": where, **changes}))
    assert isinstance(source, ChangeSource)
    return source


def filed(source: ChangeSource, days: int = 31) -> list[tuple[str, str, str]]:
    """Id, day and amount of every payment that the source offers, in order."""
    rows = source.transactions(MONDAY - timedelta(days=1), MONDAY + timedelta(days=days))
    return sorted(rows.select("transaction_id", "partition_day", "amount").cast({"partition_day": str}).rows())  # type: ignore[arg-type]


def stored(connection: psycopg.Connection) -> list[tuple[str, str, str]]:
    """The same of every payment in the table."""
    rows = connection.execute(
        "SELECT transaction_id, (event_time AT TIME ZONE 'UTC')::date::text, amount::text FROM payments"
    )
    return sorted(rows.fetchall())


def landed_ids(source: ChangeSource) -> list[str]:
    """Ids of all landed payments."""
    landed = DailyTable(source.inbox.store, "payments/transactions").read(MONDAY, MONDAY + timedelta(days=31))
    return sorted(landed["transaction_id"])
