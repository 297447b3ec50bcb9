"""One landed world with its features, shared by the tests that import Feast: both are slow to set up."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import boto3
import polars as pl
import pytest

from ml_platform.aws import clients
from ml_platform.aws.objects import ObjectStore
from ml_platform.core.settings import Settings
from ml_platform.features.windows.compute import compute_features
from tests.unit.features import worlds


@dataclass(frozen=True)
class World:
    """A platform with 60 days of payments, labels and features; nothing is materialized online at first."""

    settings: Settings
    store: ObjectStore
    transactions: pl.DataFrame
    labels: pl.DataFrame
    end: datetime
    """Midnight after the last payment."""


@pytest.fixture(scope="module")
def world(ground_services: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", ground_services)
        patch.setenv("ML_PLATFORM_BUCKET", f"world-{os.urandom(6).hex()}")
        patch.setenv("ML_PLATFORM_HOME", str(tmp_path_factory.mktemp("world")))
        clients.s3.cache_clear()
        settings = Settings.load()
        boto3.client("s3").create_bucket(Bucket=settings.bucket)
        store = ObjectStore.from_settings(settings)
        yield _filled(settings, store)
    clients.s3.cache_clear()


def _filled(settings: Settings, store: ObjectStore) -> World:
    days = 60
    transactions = worlds.payments(days=days, per_day=20, cards=25, terminals=15)
    # A card and a terminal that fall silent: in the online store they outlive their time to live.
    silent = (pl.col("customer_id") == "c0") | (pl.col("terminal_id") == "m0")
    early = pl.col("event_time") < datetime.combine(worlds.FIRST_DAY + timedelta(days=20), time(), UTC)
    transactions = transactions.filter(~silent | early)
    labels = worlds.labels(transactions)
    worlds.land(store, transactions, labels)
    last = worlds.FIRST_DAY + timedelta(days=days - 1)
    compute_features(store, worlds.FIRST_DAY, last)
    return World(settings, store, transactions, labels, datetime.combine(last + timedelta(days=1), time(), UTC))


@pytest.fixture
def checkout() -> Path:
    """The checkout these tests run in."""
    return Path(__file__).parents[3]
