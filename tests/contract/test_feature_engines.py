"""Offline stores and registries chosen by settings alone: parsed, planned and applied; the registry on PostgreSQL.

No query runs on Redshift or Athena here: there is neither without an account.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ml_platform.core.errors import ConfigurationError
from ml_platform.core.settings import Settings
from ml_platform.features.offline.engines import offline_store_config, with_sources_of
from ml_platform.features.store import apply, feature_store
from tests.contract.pipes_runs import wait_until
from tests.contract.postgres_server import postgres_server

OTHERS = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
WAREHOUSES = {
    "redshift://fraud/features": ("redshift", "RedshiftSource", "RedshiftOfflineStore"),
    "athena://primary/features": ("athena", "AthenaSource", "AthenaOfflineStore"),
}


def with_home(tmp_path: Path, **changed: Any) -> Settings:
    return Settings.load().model_copy(update={"home": tmp_path, **changed})


@pytest.mark.parametrize("address", WAREHOUSES)
def test_a_warehouse_needs_one_setting_and_no_other_definitions(tmp_path: Path, address: str) -> None:
    kind, source, store_class = WAREHOUSES[address]
    settings = with_home(tmp_path, offline_store=address)
    store = feature_store(settings)
    assert store.config.offline_store.type == kind
    assert store.config.offline_store.database == "features"
    assert type(store._get_provider().offline_store).__name__ == store_class
    views = {view.name: view for view in store.list_feature_views()}
    for name in ("card_activity", "terminal_risk"):
        assert type(views[name].batch_source).__name__ == source
        assert f"payments_{name}" in views[name].batch_source.get_table_query_string()
        assert views[name].batch_source.created_timestamp_column == "created_time"
    assert not apply(settings)


@pytest.mark.parametrize("address", ["s3", *WAREHOUSES])
def test_what_was_applied_is_planned_to_be_neither_made_nor_removed(tmp_path: Path, address: str) -> None:
    from feast import Entity, FeatureView, Project
    from feast.data_source import DataSource
    from feast.repo_contents import RepoContents

    from feature_repo.definitions import DEFINITIONS

    settings = with_home(tmp_path, offline_store=address)
    store = feature_store(settings)
    definitions = with_sources_of(settings, DEFINITIONS)

    def of(kind: type) -> list[Any]:
        return [definition for definition in definitions if isinstance(definition, kind)]

    contents = RepoContents(
        data_sources=of(DataSource),
        feature_views=of(FeatureView),
        on_demand_feature_views=[],  # applying changes these objects themselves, so they cannot be planned again
        stream_feature_views=[],
        entities=of(Entity),
        feature_services=[],
        permissions=[],
        label_views=[],
        projects=[Project(name="ml_platform")],
    )
    changes, _, _ = store.plan(contents)
    planned = {definition.name for definition in (*of(DataSource), *of(FeatureView), *of(Entity))}
    diffs = {diff.name: diff.transition_type.name for diff in changes.feast_object_diffs if diff.name in planned}
    assert set(diffs) == planned
    assert not {"CREATE", "DELETE"} & set(diffs.values())


def test_the_default_is_our_store_on_s3(tmp_path: Path) -> None:
    config = offline_store_config(with_home(tmp_path, bucket="a-bucket"))
    assert config["location"] == "s3://a-bucket"
    assert config["type"].endswith("AsofOfflineStore")


@pytest.mark.parametrize("address", ["dask", "redshift://", "redshift://workgroup", "athena:///database"])
def test_an_offline_store_that_cannot_be_is_told(tmp_path: Path, address: str) -> None:
    with pytest.raises(ConfigurationError, match="is no offline store"):
        offline_store_config(with_home(tmp_path, offline_store=address))


@pytest.fixture(scope="module")
def registry() -> Iterator[str]:
    with postgres_server() as server:
        yield server.conninfo("postgres").replace("postgresql://", "postgresql+psycopg://")


def test_a_registry_in_postgresql_is_one_for_all_homes(tmp_path: Path, registry: str) -> None:
    """Two homes apply at once, as two machines would; neither loses what the other wrote."""
    program = (
        "import sys; from ml_platform.core.settings import Settings; from ml_platform.features.store import apply;"
        "apply(Settings.load().model_copy(update={'home': __import__('pathlib').Path(sys.argv[1]),"
        "'feature_registry': sys.argv[2]}))"
    )
    homes = [tmp_path / "a", tmp_path / "b"]
    running = [subprocess.Popen([sys.executable, "-W", "ignore", "-c", program, home, registry]) for home in homes]
    assert [process.wait(120) for process in running] == [0, 0]
    stores = [feature_store(with_home(home, feature_registry=registry)) for home in homes]
    views = [sorted(view.name for view in store.list_feature_views()) for store in stores]
    assert views[0] == views[1]
    assert {"card_activity", "terminal_risk"} <= set(views[0])
    assert not (homes[0] / "feast" / "registry.db").exists()
    assert not apply(with_home(homes[0], feature_registry=registry))
    with psycopg.connect(registry.replace("+psycopg", "")) as connection:
        connection.autocommit = True  # each look is a new one
        # Both stores are still there, and what they asked has been answered: nothing stays connected.
        wait_until(lambda: connection.execute(OTHERS).fetchone() == (0,))
