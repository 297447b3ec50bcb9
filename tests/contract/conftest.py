"""A real database for the tests of sources that are one."""

import os
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from tests.contract.payments_table import CREATE
from tests.contract.postgres_server import PostgresServer, postgres_server


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL for all tests; each has a database of its own."""
    with postgres_server() as server:
        yield server


@pytest.fixture
def database(postgres: PostgresServer) -> Iterator[str]:
    """A database of the test's own, with a table of payments whose old rows are logged."""
    name = f"shop{os.urandom(4).hex()}"
    with postgres.connect() as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    with postgres.connect(name) as connection:
        connection.execute(CREATE)
        connection.execute("ALTER TABLE payments REPLICA IDENTITY FULL")
    yield name
    with postgres.connect() as connection:
        # A database with a slot cannot be dropped, and a slot keeps the log of the whole server.
        for (slot,) in connection.execute(
            "SELECT slot_name FROM pg_replication_slots WHERE database = %s", (name,)
        ).fetchall():
            connection.execute("SELECT pg_drop_replication_slot(%s)", (slot,))
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def shop(postgres: PostgresServer, database: str) -> Iterator[psycopg.Connection]:
    """A connection to the database."""
    with postgres.connect(database) as connection:
        yield connection
