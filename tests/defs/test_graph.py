"""The asset graph: what it holds, how it hangs together, and what every asset says about itself."""

import dagster as dg
import pytest
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph

EXTERNAL_SOURCES: set[str] = set()

CARD_FRAUD = "card_fraud"
SNAPSHOT = {
    "payments/transactions": ("ingestion", set()),
    "payments/fraud_labels": ("ingestion", set()),
    "payments/card_activity": ("features", {"payments/transactions"}),
    "payments/terminal_risk": ("features", {"payments/transactions", "payments/fraud_labels"}),
    "payments/online_features": ("features", {"payments/card_activity", "payments/terminal_risk"}),
    "payments/label_arrival": ("features", {"payments/transactions", "payments/fraud_labels"}),
    "payments/feature_catalogue": (
        "features",
        {"payments/transactions", "payments/card_activity", "payments/terminal_risk"},
    ),
    "card_fraud/training_set": (
        "training",
        {"payments/transactions", "payments/fraud_labels", "payments/card_activity", "payments/terminal_risk"},
    ),
    "card_fraud/hyperparameter_search": ("training", {"card_fraud/training_set"}),
    "card_fraud/model_candidate": ("training", {"card_fraud/training_set"}),
    "card_fraud/evaluation_report": ("evaluation", {"card_fraud/model_candidate"}),
    "card_fraud/model_package": ("registry", {"card_fraud/evaluation_report"}),
    "card_fraud/experiment_run": ("evaluation", {"card_fraud/evaluation_report", "card_fraud/model_package"}),
    "card_fraud/live_endpoint": ("deployment", {"card_fraud/model_package"}),
    "card_fraud/batch_scores": ("batch", {"card_fraud/model_package"}),
    "card_fraud/decision_policy": ("deployment", {"card_fraud/live_endpoint"}),
    "card_fraud/captured_traffic": ("monitoring", {"card_fraud/live_endpoint"}),
    "card_fraud/drift_report": ("monitoring", {"card_fraud/captured_traffic"}),
    "card_fraud/skew_report": (
        "monitoring",
        {"card_fraud/captured_traffic", "payments/card_activity", "payments/terminal_risk"},
    ),
    "card_fraud/performance_report": ("monitoring", {"card_fraud/captured_traffic", "payments/fraud_labels"}),
    "card_fraud/operating_decision": (
        "monitoring",
        {"card_fraud/drift_report", "card_fraud/skew_report", "card_fraud/performance_report"},
    ),
}
"""Group and dependencies of every asset. A change of the graph is a change of this table."""

CHECKS = {
    ("payments/transactions", "volume_is_usual"): False,
    ("payments/transactions", "newest_day_is_fresh"): False,
    ("payments/transactions", "schema_is_as_declared"): False,
    ("payments/transactions", "quarantine_is_small"): False,
    ("payments/fraud_labels", "schema_is_as_declared"): False,
    ("payments/fraud_labels", "quarantine_is_small"): False,
    ("payments/online_features", "online_equals_offline"): False,
    ("payments/label_arrival", "labels_mature_in_time"): False,
    ("card_fraud/evaluation_report", "challenger_earns_promotion"): True,
    ("card_fraud/evaluation_report", "reasons_are_stable"): False,
    ("card_fraud/captured_traffic", "captured_requests_can_be_read"): False,
    ("card_fraud/drift_report", "live_traffic_resembles_the_baseline"): False,
    ("card_fraud/skew_report", "served_features_equal_the_offline_store"): False,
    ("card_fraud/performance_report", "performance_holds_on_matured_labels"): False,
    ("card_fraud/experiment_run", "mlflow_has_every_candidate"): False,
}
"""Every check, and whether it blocks."""

RUNS_BY_ITSELF = {
    "payments/label_arrival": "another night's payments are there",
    "payments/feature_catalogue": "another night's payments are there",
    "card_fraud/model_candidate": "upstream changed and is good",
    "card_fraud/evaluation_report": "upstream changed and is good",
    "card_fraud/model_package": "upstream changed and is good",
    "card_fraud/batch_scores": "upstream changed and is good",
    "card_fraud/experiment_run": "a candidate was judged or registered",
    "card_fraud/decision_policy": "upstream changed and is good",
    "card_fraud/captured_traffic": "another hour of traffic has been captured",
}
"""Label of each automation condition: what the UI names as the cause of a run."""


@pytest.fixture(scope="module")
def graph(definitions: dg.Definitions) -> AssetGraph:
    return definitions.resolve_asset_graph()


def test_every_dependency_is_defined(graph: AssetGraph) -> None:
    """A misspelt dependency loads silently as an external asset; name the ones we mean."""
    external = graph.get_all_asset_keys() - graph.materializable_asset_keys
    assert {key.to_user_string() for key in external} == EXTERNAL_SOURCES


def test_the_graph_is_the_one_we_mean(graph: AssetGraph) -> None:
    found = {
        key.to_user_string(): (
            graph.get(key).group_name,
            {parent.to_user_string() for parent in graph.get(key).parent_keys},
        )
        for key in graph.get_all_asset_keys()
    }
    assert found == SNAPSHOT


def test_the_checks_are_the_ones_we_mean_and_only_the_gate_blocks(graph: AssetGraph) -> None:
    found = {
        (key.asset_key.to_user_string(), key.name): graph.get_check_spec(key).blocking for key in graph.asset_check_keys
    }
    assert found == CHECKS


@pytest.mark.parametrize("asset", SNAPSHOT)
def test_an_asset_says_who_owns_it_what_it_is_and_what_it_is_made_with(graph: AssetGraph, asset: str) -> None:
    node = graph.get(dg.AssetKey(asset.split("/")))
    assert node.owners
    assert len(node.description or "") > 20
    # A decision is made of nothing but our own rules.
    assert bool(node.kinds) == (not asset.endswith("/operating_decision"))
    assert node.tags.get("model") == (CARD_FRAUD if asset.startswith(CARD_FRAUD) else None)


def test_every_automation_condition_has_a_label(graph: AssetGraph) -> None:
    conditions = {
        key.to_user_string(): graph.get(key).automation_condition
        for key in graph.get_all_asset_keys()
        if graph.get(key).automation_condition is not None
    }
    assert {asset: condition.get_label() for asset, condition in conditions.items()} == RUNS_BY_ITSELF


def test_the_parts_of_a_promotion_condition_are_named_too(graph: AssetGraph) -> None:
    """The UI shows the tree of an evaluation; its first level must read as a sentence."""
    condition = graph.get(dg.AssetKey([CARD_FRAUD, "model_package"])).automation_condition
    assert condition is not None
    assert [child.get_label() for child in condition.children] == [
        "upstream changed",
        "upstream passed its blocking checks",
    ]


def test_jobs_that_cost_money_share_a_pool_per_kind(graph: AssetGraph) -> None:
    pools = {key.path[-1]: graph.get(key).pools for key in graph.get_all_asset_keys() if graph.get(key).pools}
    assert pools == {
        "hyperparameter_search": {"sagemaker_training"},
        "model_candidate": {"sagemaker_training"},
        "batch_scores": {"sagemaker_transform"},
        "live_endpoint": {"sagemaker_endpoint"},
    }
