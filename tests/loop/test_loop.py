"""The main job on a small world: from raw payments to a monitored endpoint, and once around.

Each stage is a fixture that runs it; the tests say what must be so afterwards. Stages build on each other.
"""

from datetime import timedelta

import pytest

from ml_platform.aws import clients
from ml_platform.cli.runs import Run
from ml_platform.cli.traffic import Tally, features_of_day, replay_day
from ml_platform.components.model_pipeline import ModelPipeline
from ml_platform.core import names
from ml_platform.core.clock import utc_now
from ml_platform.defs.model_graph import MONITORING_STAGE, TRAINING_STAGE
from ml_platform.evaluation.evidence import PromotionEvidence
from ml_platform.modeling.decision_policy import DecisionPolicy
from ml_platform.monitoring.decision import OperatingDecision
from ml_platform.monitoring.drift import DriftReport
from ml_platform.monitoring.performance import PerformanceReport
from ml_platform.registry import lookup, model_package
from ml_platform.registry.lookup import LivePackage
from ml_platform.resources.artifacts import load_model
from ml_platform.resources.deciding_policy import deciding_policy
from ml_platform.resources.feature_store import FeatureStore
from ml_platform.resources.payment_decisions import FittedPolicy
from ml_platform.scoring.transaction import Scorer
from tests.builders import a_model
from tests.loop.conftest import DAILY_ASSETS, LIVE_FROM, World

LIVE_DAYS = 1
MATURED = LIVE_FROM + LIVE_DAYS + 14
MODEL = "loop_fraud"
GROUP = names.model_package_group(MODEL)
ENDPOINT = names.endpoint(MODEL)
APPROVAL, DECISION = "approved_package_goes_live", "operating_decision_retrains"


def live(world: World) -> LivePackage:
    """Return what the endpoint serves, as SageMaker says."""
    package = lookup.live_package(world.settings.region, ENDPOINT)
    assert package is not None
    return package


def versions(world: World) -> list[tuple[int, str]]:
    """Return version and status of the registry's packages, newest first."""
    return [(package.version, package.status) for package in lookup.list_packages(world.settings.region, GROUP)]


def approve_newest(world: World) -> None:
    region = world.settings.region
    newest = lookup.list_packages(region, GROUP)[0]
    model_package.approve(region, newest.arn, by="reviewer", reason="figures hold")


def training_jobs(world: World) -> set[str]:
    """Return the names of the model's training jobs in this world: the stand-in has seen others of this name."""
    sagemaker = clients.sagemaker(world.settings.region)
    answer = sagemaker.list_training_jobs(NameContains=names.sagemaker_name(MODEL, "train"))
    found = [job["TrainingJobName"] for job in answer["TrainingJobSummaries"]]
    outputs = {
        name: sagemaker.describe_training_job(TrainingJobName=name)["OutputDataConfig"]["S3OutputPath"]
        for name in found
    }
    return {name for name, output in outputs.items() if output.startswith(world.store.uri(""))}


# History to champion


@pytest.fixture(scope="module")
def models() -> list[ModelPipeline]:
    return [a_model(MODEL)]


@pytest.fixture(scope="module")
def history(world: World) -> Run:
    return world.land(0, LIVE_FROM - 1)


@pytest.fixture(scope="module")
def first_training(world: World, history: Run) -> Run:
    return world.train()


@pytest.fixture(scope="module")
def tick_before_approval(world: World, first_training: Run) -> tuple[list[Run], str | None]:
    return world.runs.tick(APPROVAL)


@pytest.fixture(scope="module")
def first_deployment(world: World, tick_before_approval: tuple[list[Run], str | None]) -> list[Run]:
    approve_newest(world)
    runs, _ = world.runs.tick(APPROVAL)
    return runs


def test_a_history_lands_in_one_run_and_online_equals_offline(history: Run) -> None:
    assert history.materialized == set(DAILY_ASSETS)
    assert {check.check_name: check.passed for check in history.checks} == {
        "volume_is_usual": True,
        "newest_day_is_fresh": True,
        "schema_is_as_declared": True,
        "quarantine_is_small": True,
        "online_equals_offline": True,
    }


def test_the_first_model_passes_the_gate_and_waits_for_a_person(
    world: World, first_training: Run, tick_before_approval: tuple[list[Run], str | None]
) -> None:
    assert world.manifests.read("evaluation_report", PromotionEvidence).failures == ()
    assert first_training.materialized == {f"{MODEL}/{asset}" for asset in TRAINING_STAGE}
    assert first_training.blocked_by() == ()
    runs, skipped = tick_before_approval
    assert runs == []
    assert skipped is not None


def test_an_approved_package_goes_live_once(world: World, first_deployment: list[Run]) -> None:
    assert [run.materialized for run in first_deployment] == [{f"{MODEL}/live_endpoint"}]
    assert live(world).package.version == 1
    assert world.runs.tick(APPROVAL)[0] == []


# What must not get through


@pytest.fixture(scope="module")
def bad_candidate(world: World, first_deployment: list[Run]) -> Run:
    return world.run_stage(TRAINING_STAGE[1:], shuffle_labels=True)


def test_a_candidate_with_shuffled_labels_is_stopped_with_reasons(world: World, bad_candidate: Run) -> None:
    (check,) = bad_candidate.blocked_by()
    evidence = world.manifests.read("evaluation_report", PromotionEvidence)
    assert check.check_name == "challenger_earns_promotion"
    assert any(reason.startswith("ROC AUC") for reason in evidence.failures)
    assert all(reason in str(check.metadata["reasons"].value) for reason in evidence.failures)
    assert f"{MODEL}/model_package" not in bad_candidate.materialized


def test_a_stopped_candidate_leaves_registry_and_endpoint_alone(world: World, bad_candidate: Run) -> None:
    assert versions(world) == [(1, "Approved")]
    assert live(world).package.version == 1
    assert world.manifests.read("evaluation_report", PromotionEvidence).champion_version == 1


def test_training_again_with_the_same_inputs_starts_no_second_job(world: World, bad_candidate: Run) -> None:
    before = training_jobs(world)
    again = world.train()
    assert again.blocked_by() == ()
    assert training_jobs(world) == before
    assert len(before) == 2  # the champion's and the bad candidate's
    assert versions(world) == [(1, "Approved")]


# Live traffic


def test_payments_are_decided_at_the_least_expected_cost_of_the_live_model(
    world: World, first_deployment: list[Run], bad_candidate: Run
) -> None:
    run = world.runs.materialize([f"{MODEL}/decision_policy"])
    fitted = world.manifests.read("decision_policy", FittedPolicy)
    assert run.materialized == {f"{MODEL}/decision_policy"}
    assert fitted.package_version == live(world).package.version
    assert sum(fitted.shares.values()) == pytest.approx(1)
    assert fitted.policy.reviews_per_day <= fitted.policy.money.reviews_per_day
    kept = world.store.get(names.decision_policy(MODEL, fitted.policy.version))
    assert DecisionPolicy.model_validate_json(kept) == fitted.policy


@pytest.fixture(scope="module")
def traffic(world: World, bad_candidate: Run) -> Tally:
    """Payments are scored as they come; the night lands them."""
    tally = Tally()
    for number in range(LIVE_FROM, LIVE_FROM + LIVE_DAYS):
        replay_day(world.settings, Scorer(world.settings, ENDPOINT), world.day(number), tally)
        world.land(number, number)
    return tally


@pytest.fixture(scope="module")
def monitoring(world: World, traffic: Tally) -> Run:
    """The labels of the traffic become known; then it is looked at."""
    world.land(LIVE_FROM + LIVE_DAYS, MATURED - 1)
    hour = utc_now().replace(minute=0, second=0, microsecond=0)
    for captured in (hour - timedelta(hours=1), hour):
        world.runs.materialize([f"{MODEL}/captured_traffic"], partition=captured.strftime("%Y-%m-%d-%H:%M"))
    return world.run_stage(MONITORING_STAGE)


def test_every_request_is_answered_and_captured(world: World, traffic: Tally, monitoring: Run) -> None:
    assert traffic.sent > 200
    assert traffic.errors == []
    drift = world.manifests.read("drift_report", DriftReport)
    assert drift.rows >= traffic.sent


def test_served_scores_are_joined_to_labels_that_matured(world: World, traffic: Tally, monitoring: Run) -> None:
    performance = world.manifests.read("performance_report", PerformanceReport)
    assert performance.served == traffic.sent
    assert performance.matured_share > 0.95
    assert performance.matured.positives > 0


def test_a_shift_of_prices_is_seen_and_leads_to_a_decision_to_retrain(world: World, monitoring: Run) -> None:
    assert monitoring.materialized == {f"{MODEL}/{asset}" for asset in MONITORING_STAGE}
    assert "amount" in world.manifests.read("drift_report", DriftReport).alerts
    decision = world.manifests.read("operating_decision", OperatingDecision)
    assert decision.action == "retrain"
    assert decision.reasons


# Once around


@pytest.fixture(scope="module")
def retraining(world: World, monitoring: Run) -> list[Run]:
    runs, _ = world.runs.tick(DECISION)
    return runs


@pytest.fixture(scope="module")
def second_deployment(world: World, retraining: list[Run]) -> list[Run]:
    approve_newest(world)
    runs, _ = world.runs.tick(APPROVAL)
    return runs


def test_the_decision_retrains_once(world: World, retraining: list[Run]) -> None:
    assert world.manifests.read("evaluation_report", PromotionEvidence).failures == ()
    assert [run.materialized for run in retraining] == [{f"{MODEL}/{asset}" for asset in TRAINING_STAGE}]
    assert world.runs.tick(DECISION)[0] == []


def test_the_challenger_goes_live_after_approval(world: World, second_deployment: list[Run]) -> None:
    assert len(second_deployment) == 1
    assert live(world).package.version == 2


def test_a_policy_of_the_version_before_is_said_to_be_one_until_it_is_fitted_again(
    world: World, second_deployment: list[Run]
) -> None:
    before = deciding_policy(world.store, MODEL, live(world).package)
    assert before is not None
    assert not before.fits
    assert "fitted on another model's scores" in before.said
    world.runs.materialize([f"{MODEL}/decision_policy"])
    after = deciding_policy(world.store, MODEL, live(world).package)
    assert after is not None
    assert after.fits
    assert after.said.endswith("fitted on version 2's scores")


def test_rejecting_what_is_live_brings_the_version_before_back(world: World, second_deployment: list[Run]) -> None:
    model_package.reject(world.settings.region, live(world).package.arn, by="on-call", reason="too many complaints")
    runs, _ = world.runs.tick(APPROVAL)
    assert len(runs) == 1
    assert live(world).package.version == 1
    assert world.runs.tick(APPROVAL)[0] == []


def test_the_endpoint_answers_what_the_offline_pipeline_says_of_offline_features(
    world: World, second_deployment: list[Run]
) -> None:
    """Online features through the endpoint; the same payments through Feast's offline store and the artifact.

    On a day of its own: landing a day before its traffic would serve that traffic features from its own future.
    """
    served = features_of_day(world.settings, world.day(MATURED), 50)
    scorer = Scorer(world.settings, ENDPOINT)
    online = [scorer.score(features, f"parity-{number}").score for number, features in enumerate(served)]
    world.land(MATURED, MATURED)
    signature = load_model(world.store, live(world).package.artifact_uri).pipeline
    payments = FeatureStore().newest_payments("fraud_v1", signature.signature.features, "daily", 1)
    offline = signature.score(payments.to_pandas())[: len(online)].tolist()
    assert online == pytest.approx(offline, abs=1e-9)
    assert len(set(online)) > 10
