"""One screen that tells what exists, what was judged, and what does not exist yet."""

import io
from datetime import UTC, datetime

from rich.console import Console

from ml_platform.aws.endpoints import EndpointState
from ml_platform.aws.objects import ObjectStore
from ml_platform.cli import model_status as gathering
from ml_platform.cli.model_status import Live, ModelStatus, Package
from ml_platform.cli.status import render
from ml_platform.resources.deciding_policy import DecidingPolicy


def screen(status: ModelStatus) -> str:
    shown = io.StringIO()
    Console(width=110, file=shown).print(render(status))
    return shown.getvalue()


def manifests(store: ObjectStore) -> gathering.Manifests:
    return gathering.Manifests(store, "card_fraud")


def test_a_platform_where_nothing_happened_says_how_each_thing_comes_to_be() -> None:
    shown = screen(ModelStatus(model="card_fraud"))
    for asset in ("live_endpoint", "model_package", "evaluation_report", "drift_report", "operating_decision"):
        assert f"not yet: materialize card_fraud/{asset}" in shown


def test_what_is_live_and_what_waits_is_shown() -> None:
    first = Package(version=1, approval="Approved", reason="Approved by ada: fine", arn="arn:1")
    second = Package(version=2, approval="PendingManualApproval", arn="arn:2")
    live = Live(
        endpoint="card-fraud",
        endpoint_status="InService",
        since=datetime(2026, 3, 30, 22, 15, tzinfo=UTC),
        package=first,
    )
    shown = screen(ModelStatus(model="card_fraud", live=live, newest_package=second, pending_versions=[2]))
    assert "version 1 (Approved) since 2026-03-30 22:15 UTC on endpoint card-fraud, InService" in shown
    assert "ml-platform approve card_fraud" in shown


def test_a_policy_that_was_fitted_for_another_version_is_said() -> None:
    policy = DecidingPolicy(version="1a2b3c", fits=False, said="1a2b3c, fitted on another model's scores: fit it")
    assert "1a2b3c, fitted on another model's scores" in screen(ModelStatus(model="card_fraud", policy=policy))


def test_evidence_that_does_not_hold_any_more_is_said() -> None:
    pending = Package(version=2, approval="PendingManualApproval", arn="arn:2")
    said = ["Its evidence is stale: training code changed."]
    shown = screen(ModelStatus(model="card_fraud", newest_package=pending, doubts={2: said}))
    assert "version 2: Its evidence is stale: training code changed." in shown


def test_a_stopped_candidate_shows_every_reason_and_both_figures(store: ObjectStore) -> None:
    store.put_json(
        manifests(store).key("evaluation_report"),
        {
            "challenger": {"average_precision": 0.01, "roc_auc": None},
            "champion": {"average_precision": 0.6},
            "failures": ["average precision 0.0100 < 0.2500", "ROC AUC unavailable"],
            "decided_at": "2026-03-30T22:15:00Z",
        },
    )
    gate = gathering._gate(gathering._document(manifests(store), "evaluation_report"))
    assert gate is not None
    assert gate.outcome == "stopped"
    shown = screen(ModelStatus(model="card_fraud", last_gate=gate))
    for text in ("2026-03-30 22:15 UTC", "average_precision 0.0100  against 0.6000", "- ROC AUC unavailable"):
        assert text in shown


def test_a_model_that_declares_other_metrics_shows_those() -> None:
    report = {"rows": 9, "roc_auc": 0.7, "log_loss": 0.5, "calibration_error": None}
    assert gathering._headline(report) == {"roc_auc": 0.7}
    assert gathering._headline({"rows": 9, "log_loss": 0.5}) == {"log_loss": 0.5}


def test_a_judgement_of_the_version_before_says_so() -> None:
    live = Live(
        endpoint="card-fraud",
        endpoint_status="InService",
        since=datetime(2026, 3, 30, tzinfo=UTC),
        package=Package(version=2, approval="Approved", arn="arn:2"),
    )
    for version, said in ((1, True), (2, False)):
        arn = f"arn:aws:sagemaker:us-east-1:000000000000:model-package/card-fraud/{version}"
        decision = gathering._decision({"action": "retrain", "package_arn": arn})
        shown = screen(ModelStatus(model="card_fraud", live=live, last_decision=decision))
        assert ("about version 1, which is not live now" in shown) is said


def test_too_little_traffic_is_neither_good_nor_bad() -> None:
    drift = gathering._drift({"judged": False, "failures": ["only 3 rows were captured"]})
    assert drift is not None
    assert drift.outcome == "could not be judged"


def test_a_document_of_another_version_does_not_break_the_screen(store: ObjectStore) -> None:
    store.put_json(manifests(store).key("operating_decision"), {"unheard": "of"})
    decision = gathering._decision(gathering._document(manifests(store), "operating_decision"))
    assert decision is not None
    assert decision.outcome == "unknown"
    assert gathering._document(manifests(store), "drift_report") is None


def test_live_since_is_when_this_config_was_deployed_not_when_it_was_last_touched() -> None:
    deployed, touched = datetime(2026, 3, 30, 22, 15, tzinfo=UTC), datetime(2026, 4, 2, tzinfo=UTC)
    state = EndpointState("card-fraud", "arn", "InService", "card-fraud-v1", deployed, touched)
    recorded = {"config": "card-fraud-v1", "since": "2026-03-30T22:15:00Z"}
    assert gathering._since(state, recorded) == deployed
    assert gathering._since(state, {**recorded, "config": "card-fraud-v2"}) == touched
    assert gathering._since(state, None) == touched
