"""What dies half way loses nothing: the same run again succeeds, and nothing is paid for twice."""

import pytest

from ml_platform.aws import clients
from ml_platform.aws.tables import DailyTable
from ml_platform.cli.runs import Run, RunFailedError
from ml_platform.components.model_pipeline import ModelPipeline
from ml_platform.core import names
from ml_platform.defs.model_graph import TRAINING_STAGE
from ml_platform.features.offline.training_set_spec import TrainingSetManifest
from ml_platform.training.run import Candidate
from tests.builders import a_model, some_training
from tests.loop.conftest import DAILY_ASSETS, LIVE_FROM, World
from tests.loop.killed_runs import killed_when

MODEL = "failing_fraud"
BROKEN = "loop_broken"


@pytest.fixture(scope="module")
def models() -> list[ModelPipeline]:
    wrong = some_training(model_parameters={"num_leaves": 1})
    return [a_model(MODEL), a_model(BROKEN, training=wrong)]


def training_jobs(world: World, model: str = MODEL) -> dict[str, str]:
    """Return the status of each of a model's training jobs."""
    prefix = names.sagemaker_name(model, "train")
    answer = clients.sagemaker(world.settings.region).list_training_jobs(NameContains=prefix)
    return {job["TrainingJobName"]: job["TrainingJobStatus"] for job in answer["TrainingJobSummaries"]}


@pytest.fixture(scope="module")
def history(world: World) -> Run:
    """A history whose first landing was killed when the first day of payments was written."""
    days = [world.day(0).isoformat(), world.day(LIVE_FROM - 1).isoformat()]
    killed_when(lambda: world.store.keys("tables/payments/transactions/"), MODEL, assets=DAILY_ASSETS, days=days)
    assert DailyTable(world.store, "payments/terminal_risk").days() == []
    return world.land(0, LIVE_FROM - 1)


@pytest.fixture(scope="module")
def candidate(world: World, history: Run) -> Candidate:
    """A candidate whose first run was killed while its training job ran."""
    killed_when(lambda: training_jobs(world), MODEL, assets=[f"{MODEL}/{asset}" for asset in TRAINING_STAGE[:2]])
    world.run_stage(TRAINING_STAGE[:2])
    return world.manifests.read("model_candidate", Candidate)


def test_a_landing_that_was_killed_is_whole_after_the_next_run(world: World, history: Run) -> None:
    assert history.materialized == set(DAILY_ASSETS)
    assert all(check.passed for check in history.checks)
    expected = [world.day(number) for number in range(LIVE_FROM)]
    for table in ("transactions", "fraud_labels", "card_activity", "terminal_risk"):
        assert DailyTable(world.store, f"payments/{table}").days() == expected


def test_the_job_of_a_run_that_was_killed_is_adopted_by_the_next_run(world: World, candidate: Candidate) -> None:
    assert training_jobs(world) == {candidate.job_name: "Completed"}


def test_a_training_set_without_its_manifest_is_written_again_the_same(world: World, candidate: Candidate) -> None:
    written = world.manifests.read("training_set", TrainingSetManifest)
    prefix = world.store.key(written.uri)
    world.store.delete([f"{prefix}manifest.json", f"{prefix}holdout/part-0.parquet"])
    world.run_stage(TRAINING_STAGE[:1])
    assert world.manifests.read("training_set", TrainingSetManifest) == written
    assert world.store.exists(f"{prefix}holdout/part-0.parquet")


def test_an_artifact_that_is_gone_is_trained_again_and_judged(world: World, candidate: Candidate) -> None:
    world.store.delete([world.store.key(candidate.artifact_uri)])
    run = world.run_stage(TRAINING_STAGE[1:3])
    assert run.blocked_by() == ()
    assert training_jobs(world) == {candidate.job_name: "Completed", f"{candidate.job_name}-r1": "Completed"}


def test_an_evaluation_without_a_candidate_says_what_to_materialize(world: World, history: Run) -> None:
    with pytest.raises(RunFailedError, match=f"{BROKEN}/model_candidate does not exist yet. Materialize it first"):
        world.run_stage(["evaluation_report"], model=BROKEN)


def test_a_training_job_that_fails_gives_the_containers_reason(world: World, history: Run) -> None:
    with pytest.raises(RunFailedError, match="num_leaves"):
        world.run_stage(TRAINING_STAGE, model=BROKEN)
    assert list(training_jobs(world, BROKEN).values()) == ["Failed"]
