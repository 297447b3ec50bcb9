"""PostgreSQL by logical replication: every change once, whatever dies and when. Against a real server."""

import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from ml_platform.core.errors import ServiceUnavailableError, SourceDataError
from ml_platform.core.settings import Settings
from ml_platform.ingestion.changes.change_source import ChangeSource
from ml_platform.ingestion.changes.replication import ReplicationOrigin
from ml_platform.ingestion.landing import ingest_transactions
from tests.conftest import killed_in_the_end
from tests.contract.payments_table import MONDAY, address, filed, insert, many, noon, source_at, stored
from tests.contract.postgres_server import PostgresServer


@pytest.fixture
def source(settings: Settings, postgres: PostgresServer, database: str) -> ChangeSource:
    return source_at(settings, address(postgres, database, slot=database))


def test_the_table_is_copied_and_then_followed(source: ChangeSource, shop: psycopg.Connection) -> None:
    insert(shop, many("a", 50))
    assert source.refresh() == 50
    assert filed(source) == stored(shop)
    insert(shop, many("b", 30))
    shop.execute("UPDATE payments SET amount = 99.5 WHERE transaction_id = 'a1'")
    shop.execute("DELETE FROM payments WHERE transaction_id = 'a2'")
    assert source.refresh() == 32
    assert filed(source) == stored(shop)
    assert source.refresh() == 0


def test_a_transaction_comes_whole_or_not_at_all(source: ChangeSource, shop: psycopg.Connection) -> None:
    source.refresh()
    with shop.transaction():
        insert(shop, many("a", 20))
        assert source.refresh() == 0
    assert source.refresh() == 20
    with shop.transaction(force_rollback=True):
        insert(shop, many("b", 20))
    assert source.refresh() == 0
    assert filed(source) == stored(shop)


def test_a_row_that_moves_to_another_day_is_in_one_of_them_only(source: ChangeSource, shop: psycopg.Connection) -> None:
    insert(shop, [("a", noon(0), 1), ("b", noon(0), 2)])
    source.refresh()
    before = source.versions(MONDAY, MONDAY + timedelta(days=9)).transactions
    shop.execute("UPDATE payments SET event_time = %s WHERE transaction_id = 'a'", (noon(4),))
    shop.execute("UPDATE payments SET transaction_id = 'c' WHERE transaction_id = 'b'")
    source.refresh()
    assert filed(source) == stored(shop) == [("a", "2026-01-09", "1.00"), ("c", "2026-01-05", "2.00")]
    after = source.versions(MONDAY, MONDAY + timedelta(days=9)).transactions
    assert set(after) == {MONDAY, MONDAY + timedelta(days=4)}
    assert before[MONDAY] != after[MONDAY]


class Killed(BaseException):
    """Stands for the end of the process, which nothing catches."""


def test_a_crash_between_filing_and_acknowledging_neither_loses_nor_doubles(
    source: ChangeSource, shop: psycopg.Connection
) -> None:
    def die() -> None:
        raise Killed

    source = small_batches(source)
    for round_number in range(4):
        insert(shop, many(f"r{round_number}-", 25))
        shop.execute("UPDATE payments SET amount = amount + 1 WHERE transaction_id = 'r0-1'")
        with pytest.raises(Killed):
            replace(source, after_filing=die).refresh()
    source.refresh()
    assert filed(source) == stored(shop)
    filed_changes = source.inbox.rows("transactions", [MONDAY + timedelta(days=n) for n in range(9)])
    assert filed_changes is not None
    assert filed_changes["key"].n_unique() == len(filed_changes) == 100


def small_batches(source: ChangeSource, rows: int = 10) -> ChangeSource:
    assert isinstance(source.origin, ReplicationOrigin)
    return replace(source, origin=replace(source.origin, batch_rows=rows))


CONSUMER = """
import sys
import time
from dataclasses import replace
from ml_platform.core.settings import Settings
from ml_platform.ingestion.source import open_source

source = open_source(Settings.load())
source = replace(source, origin=replace(source.origin, batch_rows=5), after_filing=lambda: print("filed", flush=True))
while True:
    source.refresh()
    print("idle", flush=True)
"""


def test_a_consumer_killed_again_and_again_files_every_change_once(
    source: ChangeSource,
    shop: psycopg.Connection,
    postgres: PostgresServer,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ML_PLATFORM_SOURCE", address(postgres, database, slot=database))
    insert(shop, many("a", 40))
    for number in range(3):
        started = subprocess.Popen([sys.executable, "-c", CONSUMER], stdout=subprocess.PIPE, text=True)
        with killed_in_the_end(started) as consumer:
            assert consumer.stdout is not None
            for _ in range(2 + number):
                assert consumer.stdout.readline() in ("filed\n", "idle\n")
                with shop.transaction():
                    insert(shop, many(f"k{number}-{_}-", 15))
                    shop.execute("UPDATE payments SET amount = amount + 1 WHERE transaction_id LIKE 'a%%7'")
                    shop.execute("DELETE FROM payments WHERE transaction_id = %s", (f"k{number}-{_}-3",))
    # The server notices that its client is gone when it next writes to it.
    shop.execute("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active_pid IS NOT NULL")
    until = time.monotonic() + 20
    while filed(source) != stored(shop) and time.monotonic() < until:
        source.refresh()
    assert filed(source) == stored(shop)
    assert len(stored(shop)) == 40 + 9 * 14


def test_a_second_consumer_that_comes_late_changes_nothing(source: ChangeSource, shop: psycopg.Connection) -> None:
    insert(shop, many("a", 10))
    source.refresh()
    insert(shop, many("b", 10))
    other: list[int] = []
    nested = replace(source, after_filing=lambda: other.append(source.refresh()) if not other else None)
    nested.refresh()
    assert filed(source) == stored(shop)
    assert source.refresh() == 0


def test_a_database_that_is_down_is_waited_for_and_reading_goes_on(
    source: ChangeSource, postgres: PostgresServer, database: str
) -> None:
    with postgres.connect(database) as connection:
        insert(connection, many("a", 10))
        source.refresh()
        insert(connection, many("b", 10))
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            postgres.start()

    postgres.stop()
    assert replace(source, sleep=pause).refresh() == 10
    assert pauses == [1.0, 2.0, 4.0]
    with postgres.connect(database) as connection:
        assert filed(source) == stored(connection)


def test_a_database_that_stays_down_is_a_clear_error_and_nothing_is_lost(
    source: ChangeSource, postgres: PostgresServer, database: str
) -> None:
    with postgres.connect(database) as connection:
        source.refresh()
        insert(connection, many("a", 10))
    postgres.stop()
    try:
        with pytest.raises(ServiceUnavailableError, match=r"(?s)public\.payments.*goes on where it stopped"):
            replace(source, patience=timedelta(0)).refresh()
    finally:
        postgres.start()
    assert source.refresh() == 10


def test_a_label_that_is_corrected_is_known_twice(source: ChangeSource, shop: psycopg.Connection) -> None:
    insert(shop, [("a", noon(0), 1)])
    source.refresh()
    for label, known in ((0, noon(5)), (1, noon(8))):
        shop.execute("UPDATE payments SET label = %s, known_time = %s", (label, known))
        source.refresh()
    labels = source.labels_known(MONDAY, MONDAY + timedelta(days=30))
    assert labels.select("transaction_id", "label", "partition_day").rows() == [
        ("a", "0", date(2026, 1, 10)),
        ("a", "1", date(2026, 1, 13)),
    ]


def test_a_label_without_a_known_time_became_known_when_it_was_written(
    source: ChangeSource, shop: psycopg.Connection
) -> None:
    shop.execute("ALTER TABLE payments DROP COLUMN known_time")
    insert(shop, [("old", noon(0), 1), ("new", noon(0), 1)])
    shop.execute("UPDATE payments SET label = 1 WHERE transaction_id = 'old'")
    source.refresh()
    shop.execute("UPDATE payments SET label = 0 WHERE transaction_id = 'new'")
    shop.execute("UPDATE payments SET amount = 5 WHERE transaction_id = 'new'")
    source.refresh()
    today = datetime.now(UTC).date()
    labels = source.labels_known(MONDAY, today + timedelta(days=1)).select("transaction_id", "label", "partition_day")
    # The first copy does not say when: seven days after the event, as with files. A change says it.
    assert labels.rows()[0] == ("old", "1", date(2026, 1, 12))
    assert labels.rows()[1][:2] == ("new", "0")
    assert abs((labels.rows()[1][2] - today).days) <= 1
    assert len(labels) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("ALTER TABLE payments RENAME event_time TO happened_at", "no column for event_time any more"),
        ("ALTER TABLE payments RENAME transaction_id TO id", "no column for transaction_id any more"),
        ("ALTER TABLE payments RENAME label TO verdict", "no column for label any more"),
    ],
)
def test_a_renamed_column_that_decides_where_rows_are_filed_stops_reading_and_loses_nothing(
    source: ChangeSource, shop: psycopg.Connection, change: str, message: str
) -> None:
    insert(shop, many("a", 10))
    source.refresh()
    before = filed(source)
    insert(shop, many("b", 5))
    shop.execute(change)
    shop.execute("UPDATE payments SET amount = 77 WHERE amount = 2")
    with pytest.raises(SourceDataError, match=message):
        source.refresh()
    assert filed(source) == before
    new_name = change.rsplit(maxsplit=1)[-1]
    ours = message.split()[3]
    assert isinstance(source.origin, ReplicationOrigin)
    mapped = replace(source, columns={ours: new_name}, origin=replace(source.origin, columns={ours: new_name}))
    assert mapped.refresh() > 0
    amounts = {key: amount for key, _, amount in filed(mapped)}
    assert len(amounts) == 15
    assert amounts["a1"] == amounts["b1"] == "77.00"


def test_another_renamed_column_is_quarantined_and_healed_by_the_mapping(
    source: ChangeSource, shop: psycopg.Connection, settings: Settings
) -> None:
    insert(shop, many("a", 30))
    source.refresh()
    shop.execute("ALTER TABLE payments RENAME customer_id TO card")
    shop.execute("UPDATE payments SET amount = 3 WHERE transaction_id = 'a0'")
    source.refresh()
    report = ingest_transactions(source, source.inbox.store, (MONDAY, MONDAY))
    assert (report.accepted, report.reasons) == (9, {"customer_id missing": 1})
    mapped = replace(source, columns={"customer_id": "card"})
    days = (MONDAY, MONDAY)
    assert mapped.versions(*days).transactions != source.versions(*days).transactions
    assert ingest_transactions(mapped, source.inbox.store, days).accepted == 10


def test_a_new_column_and_a_changed_type_are_followed(source: ChangeSource, shop: psycopg.Connection) -> None:
    insert(shop, many("a", 10))
    source.refresh()
    shop.execute("ALTER TABLE payments ADD COLUMN channel text DEFAULT 'web'")
    shop.execute("ALTER TABLE payments ALTER COLUMN amount TYPE text")
    shop.execute("UPDATE payments SET amount = 'much' WHERE transaction_id = 'a0'")
    insert(shop, many("b", 10))
    source.refresh()
    assert filed(source) == stored(shop)
    report = ingest_transactions(source, source.inbox.store, (MONDAY, MONDAY + timedelta(days=2)))
    assert (report.accepted, report.reasons) == (19, {"amount not a number": 1})


def test_a_table_whose_deletes_would_not_say_their_day_is_refused_with_the_statement_that_helps(
    source: ChangeSource, shop: psycopg.Connection
) -> None:
    shop.execute("ALTER TABLE payments REPLICA IDENTITY DEFAULT")
    with pytest.raises(SourceDataError, match=r"ALTER TABLE public\.payments REPLICA IDENTITY FULL"):
        source.refresh()
    shop.execute("CREATE UNIQUE INDEX identity ON payments (transaction_id, event_time)")
    shop.execute("ALTER TABLE payments ALTER transaction_id SET NOT NULL, REPLICA IDENTITY USING INDEX identity")
    insert(shop, many("a", 9))
    source.refresh()
    shop.execute("DELETE FROM payments WHERE transaction_id = 'a1'")
    shop.execute("UPDATE payments SET event_time = %s WHERE transaction_id = 'a2'", (noon(5),))
    shop.execute("UPDATE payments SET amount = 9 WHERE transaction_id = 'a3'")
    source.refresh()
    assert filed(source) == stored(shop)


def test_the_role_that_the_page_makes_may_read_both_ways(
    settings: Settings, postgres: PostgresServer, database: str, shop: psycopg.Connection
) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "sources.md").read_text()
    statements = page.split("```sql\n")[1].split("```")[0]
    shop.execute(statements)  # type: ignore[arg-type]
    try:
        insert(shop, many("a", 10))
        for way in ("changes", "cursor"):
            where = address(postgres, database, slot=database, read=way).replace("postgres@", "reader@")
            assert source_at(settings, where).refresh() == 10
    finally:
        shop.execute("DROP OWNED BY reader")
        shop.execute("DROP ROLE reader")


def test_a_slot_that_somebody_dropped_is_a_clear_error(source: ChangeSource, shop: psycopg.Connection) -> None:
    source.refresh()
    shop.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")
    with pytest.raises(SourceDataError, match=r"slot .* is gone.*Name a new one"):
        source.refresh()


def test_the_log_of_other_tables_is_not_kept_for_us(source: ChangeSource, shop: psycopg.Connection) -> None:
    source.refresh()
    shop.execute("CREATE TABLE other AS SELECT n FROM generate_series(1, 20000) n")
    source.refresh()
    (behind,) = shop.execute(
        "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn) FROM pg_replication_slots"
    ).fetchone() or (None,)
    assert behind is not None
    assert behind < 10_000
