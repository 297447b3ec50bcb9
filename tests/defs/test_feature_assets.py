"""The assets people look at: label arrival and the catalogue, materialized on a small world."""

from collections.abc import Mapping

import dagster as dg
import pytest

from ml_platform.aws.objects import ObjectStore
from ml_platform.components import payments
from ml_platform.components.feature_columns import training_set_lineage
from ml_platform.core.settings import Settings
from ml_platform.features.tables import CARD_FEATURES, TERMINAL_FEATURES
from ml_platform.features.windows.compute import compute_features
from tests.unit.features import worlds


@pytest.fixture
def materialized(
    definitions: dg.Definitions, settings: Settings, store: ObjectStore, instance: dg.DagsterInstance
) -> dg.ExecuteInProcessResult:
    transactions = worlds.payments(days=20, per_day=10)
    worlds.land(store, transactions, worlds.labels(transactions))
    compute_features(store, worlds.FIRST_DAY, worlds.FIRST_DAY.replace(day=worlds.FIRST_DAY.day + 19))
    return dg.materialize(
        [definitions.resolve_assets_def(key) for key in (payments.LABEL_ARRIVAL, payments.FEATURE_CATALOGUE)],
        instance=instance,
    )


def metadata(result: dg.ExecuteInProcessResult, key: dg.AssetKey) -> Mapping[str, dg.MetadataValue]:
    (event,) = [event for event in result.get_asset_materialization_events() if event.asset_key == key]
    return event.materialization.metadata


def test_both_show_figures_plots_and_tables(materialized: dg.ExecuteInProcessResult) -> None:
    arrival = metadata(materialized, payments.LABEL_ARRIVAL)
    assert {"arrival_any_label", "arrival_says_fraud", "maturity_by_day", "matured_until"} <= set(arrival)
    (check,) = materialized.get_asset_check_evaluations()
    assert (check.check_name, check.passed) == ("labels_mature_in_time", True)
    catalogue = metadata(materialized, payments.FEATURE_CATALOGUE)
    assert {*CARD_FEATURES, *TERMINAL_FEATURES, "amount", "tables", "features_of_card_activity"} <= set(catalogue)
    assert isinstance(catalogue["features_of_terminal_risk"], dg.MarkdownMetadataValue)
    assert str(catalogue["card_tx_count_7d"].value).startswith("![card_tx_count_7d")


def test_columns_lead_from_source_to_feature_to_training_set(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    lineage = graph.get(payments.TERMINAL_RISK).metadata["dagster/column_lineage"]
    assert isinstance(lineage, dg.TableColumnLineage)
    sources = {(dep.asset_key, dep.column_name) for dep in lineage.deps_by_column["terminal_fraud_rate_7d"]}
    assert {(payments.TRANSACTIONS, "terminal_id"), (payments.FRAUD_LABELS, "known_time")} <= sources
    known = graph.get_all_asset_keys()
    model = training_set_lineage(["amount", "terminal_fraud_rate_7d"])["dagster/column_lineage"].deps_by_column
    assert [dep.asset_key for dep in model["terminal_fraud_rate_7d"]] == [payments.TERMINAL_RISK]
    assert {dep.asset_key for deps in model.values() for dep in deps} <= known
