"""PostgreSQL by an incremental cursor: nothing lost to transactions that commit late. Against a real server."""

from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

from ml_platform.core.errors import SourceDataError
from ml_platform.core.settings import Settings
from ml_platform.ingestion.changes.change_source import ChangeSource
from ml_platform.ingestion.changes.cursor import CursorOrigin
from tests.contract.payments_table import MONDAY, address, filed, insert, many, noon, source_at, stored
from tests.contract.postgres_server import PostgresServer

TOUCH = """
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.updated_at := now(); RETURN NEW; END';
CREATE TRIGGER touch BEFORE UPDATE ON payments FOR EACH ROW EXECUTE FUNCTION touch();
"""


@pytest.fixture
def source(settings: Settings, postgres: PostgresServer, database: str, shop: psycopg.Connection) -> ChangeSource:
    shop.execute(TOUCH)
    return pages(source_at(settings, address(postgres, database, read="cursor")), 7)


def pages(source: ChangeSource, rows: int) -> ChangeSource:
    assert isinstance(source.origin, CursorOrigin)
    return replace(source, origin=replace(source.origin, page_rows=rows))


def test_rows_that_changed_are_read_once_page_by_page(source: ChangeSource, shop: psycopg.Connection) -> None:
    with shop.transaction():  # all with one updated_at, more than fit on a page
        insert(shop, many("a", 50))
    assert source.refresh() == 50
    assert filed(source) == stored(shop)
    assert source.refresh() == 0
    insert(shop, many("b", 20))
    shop.execute("UPDATE payments SET amount = 99.5 WHERE transaction_id IN ('a1', 'a2')")
    assert source.refresh() == 22
    assert source.refresh() == 0
    assert filed(source) == stored(shop)


def test_a_transaction_that_commits_behind_the_cursor_is_not_lost(
    source: ChangeSource, shop: psycopg.Connection, postgres: PostgresServer, database: str
) -> None:
    """Its rows are older than rows that were read before it committed; here even by more than the overlap."""
    assert isinstance(source.origin, CursorOrigin)
    database_at = source.origin.database
    without_overlap = replace(database_at, address=replace(database_at.address, overlap=timedelta(0)))
    source = replace(source, origin=replace(source.origin, database=without_overlap))
    with postgres.connect(database) as slow:
        with slow.transaction():
            slow.execute("SELECT 1")  # updated_at of its rows will be this moment
            insert(shop, many("fast", 10))
            source.refresh()
            insert(slow, many("slow", 5))
            insert(shop, many("later", 3))
            source.refresh()
        source.refresh()
    assert filed(source) == stored(shop)
    assert len(filed(source)) == 18


def test_a_row_whose_clock_was_behind_is_found_in_the_overlap(source: ChangeSource, shop: psycopg.Connection) -> None:
    insert(shop, many("a", 5))
    source.refresh()
    insert(shop, many("b", 5))
    shop.execute("ALTER TABLE payments DISABLE TRIGGER touch")
    shop.execute("UPDATE payments SET updated_at = now() - interval '30 seconds' WHERE transaction_id = 'b1'")
    assert source.refresh() == 5
    assert filed(source) == stored(shop)


class Killed(BaseException):
    """Stands for the end of the process, which nothing catches."""


def test_a_crash_after_any_page_neither_loses_nor_doubles(source: ChangeSource, shop: psycopg.Connection) -> None:
    def die() -> None:
        raise Killed

    insert(shop, many("a", 40))
    for _ in range(3):
        with pytest.raises(Killed):
            replace(source, after_filing=die).refresh()
    insert(shop, many("b", 10))
    source.refresh()
    assert filed(source) == stored(shop)
    rows = source.inbox.rows("transactions", [MONDAY + timedelta(days=n) for n in range(5)])
    assert rows is not None
    assert rows["key"].n_unique() == len(rows) == 50


def test_only_the_day_of_a_late_row_gets_another_version(source: ChangeSource, shop: psycopg.Connection) -> None:
    insert(shop, many("a", 30))
    source.refresh()
    days = (MONDAY, MONDAY + timedelta(days=9))
    before = source.versions(*days).transactions
    insert(shop, [("late", noon(1), 5)])
    source.refresh()
    after = source.versions(*days).transactions
    assert [day for day in after if after[day] != before[day]] == [MONDAY + timedelta(days=1)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("ALTER updated_at DROP NOT NULL", "updated_at is nullable"),
        ("DROP updated_at", "updated_at is missing"),
    ],
)
def test_a_column_that_would_hide_rows_is_refused(
    source: ChangeSource, shop: psycopg.Connection, change: str, message: str
) -> None:
    shop.execute(f"ALTER TABLE payments {change}")  # type: ignore[call-overload]
    with pytest.raises(SourceDataError, match=message):
        source.refresh()
