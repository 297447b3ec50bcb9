"""A run that dies half way loses nothing: the same run again succeeds and pays for nothing twice.

The stages after training, on the platform's own graph: registering, batch, monitoring and rolling back. Jobs in each of
their states, servers and Dagster's processes are ``test_crash_table`` and ``test_crash_daemon``.
"""

import json
from collections.abc import Callable, Iterator
from urllib.request import Request, urlopen

import dagster as dg
import pytest

from ml_platform.aws import clients
from ml_platform.batch.run import BatchScores
from ml_platform.cli.runs import Run, RunFailedError
from ml_platform.cli.traffic import Tally, replay_day
from ml_platform.components.model_pipeline import ModelPipeline
from ml_platform.components.settings import Rollout
from ml_platform.core import names
from ml_platform.core.clock import utc_now
from ml_platform.defs.model_graph import TRAINING_STAGE
from ml_platform.monitoring.decision import OperatingDecision
from ml_platform.registry import lookup, model_package
from ml_platform.resources.sagemaker import SageMaker
from ml_platform.scoring.transaction import Scorer
from tests.builders import a_model
from tests.loop.conftest import LIVE_FROM, World
from tests.loop.killed_runs import killed_when

MODEL = "dying_fraud"
GROUP = names.model_package_group(MODEL)
ROLLS_BACK = "operating_decision_rolls_back"


@pytest.fixture(scope="module")
def models() -> list[ModelPipeline]:
    return [a_model(MODEL, rollout=Rollout(strategy="all_at_once", instance_count=1))]


def versions(world: World) -> dict[int, str]:
    return {found.version: found.status for found in lookup.list_packages(world.settings.region, GROUP)}


def live_version(world: World) -> int:
    live = lookup.live_package(world.settings.region, names.endpoint(MODEL))
    assert live is not None
    return live.package.version


def approve_newest(world: World) -> None:
    newest = lookup.list_packages(world.settings.region, GROUP)[0]
    model_package.approve(world.settings.region, newest.arn, by="reviewer", reason="figures hold")


# Registering


@pytest.fixture(scope="module")
def registered(world: World) -> Run:
    """The run that registers is killed when the registry has the package and the run has not yet noted it."""
    world.land(0, LIVE_FROM - 1)
    world.run_stage(TRAINING_STAGE[:2])
    stage = [f"{MODEL}/{asset}" for asset in TRAINING_STAGE[2:]]
    killed_when(lambda: lookup.list_packages(world.settings.region, GROUP), MODEL, assets=stage)
    return world.run_stage(TRAINING_STAGE[2:])


def test_a_candidate_is_registered_once(world: World, registered: Run) -> None:
    assert registered.blocked_by() == ()
    assert list(versions(world)) == [1]


# Batch


@pytest.fixture(scope="module")
def hold(stand_in: str) -> Iterator[Callable[[str], None]]:
    """Keep jobs from uploading what they made; an empty name lets all go on."""

    def ask(target: str) -> None:
        fault = {"kind": "hold", "target": target, "times": None, "parameters": {"state": "Uploading"}}
        method = "POST" if target else "DELETE"
        request = Request(f"{stand_in}/_stand-in/faults", json.dumps(fault).encode(), method=method)  # noqa: S310 - http
        urlopen(request, timeout=10).close()  # noqa: S310

    yield ask
    ask("")


def transform_jobs(world: World) -> dict[str, str]:
    prefix = names.sagemaker_name(MODEL, "score")
    found = clients.sagemaker(world.settings.region).list_transform_jobs(NameContains=prefix)["TransformJobSummaries"]
    return {job["TransformJobName"]: job["TransformJobStatus"] for job in found}


def test_the_transform_job_of_a_killed_batch_is_adopted(
    world: World, registered: Run, hold: Callable[[str], None]
) -> None:
    hold(names.sagemaker_name(MODEL, "score") + "*")
    killed_when(lambda: transform_jobs(world), MODEL, assets=[f"{MODEL}/batch_scores"])
    hold("")
    world.run_stage(["batch_scores"])
    scores = world.manifests.read("batch_scores", BatchScores)
    assert transform_jobs(world) == {scores.job_name: "Completed"}
    event = world.instance.get_latest_materialization_event(dg.AssetKey([MODEL, "batch_scores"]))
    assert event is not None
    assert event.asset_materialization is not None
    shown = event.asset_materialization.metadata
    assert (shown["adopted"].value, shown["transform_job"].value) == (True, scores.job_name)
    assert shown["rows_sent"].value == scores.rows


# Monitoring


@pytest.fixture(scope="module")
def deployed(world: World, registered: Run) -> Run:
    approve_newest(world)
    return world.run_stage(["live_endpoint"])


def test_an_hour_of_traffic_whose_capture_was_killed_is_captured_whole(world: World, deployed: Run) -> None:
    tally = Tally()
    replay_day(world.settings, Scorer(world.settings, names.endpoint(MODEL)), world.day(LIVE_FROM), tally)
    hour = utc_now().replace(minute=0, second=0, microsecond=0)
    partition = hour.strftime("%Y-%m-%d-%H:%M")
    rows = names.captured_traffic(MODEL, hour)
    capture = [f"{MODEL}/captured_traffic"]
    killed_when(lambda: world.store.exists(rows), MODEL, assets=capture, partition=partition)
    world.store.delete([names.captured_rejects(MODEL, hour)])
    run = world.runs.materialize(capture, partition=partition)
    assert all(check.passed for check in run.checks)
    assert world.store.exists(names.captured_rejects(MODEL, hour))
    event = world.instance.get_latest_materialization_event(dg.AssetKey([MODEL, "captured_traffic"]))
    assert event is not None
    assert event.asset_materialization is not None
    assert event.asset_materialization.metadata["dagster/row_count"].value == tally.sent - tally.failed


# Rolling back


def decide_to_roll_back(world: World, version: int) -> None:
    """Leave behind what the asset does when it decides so."""
    arn = next(p.arn for p in lookup.list_packages(world.settings.region, GROUP) if p.version == version)
    world.manifests.write(
        "operating_decision",
        OperatingDecision(
            model=MODEL, action="roll_back", reasons=("it never held",), decided_at=utc_now(), package_arn=arn
        ),
    )
    key = dg.AssetKey([MODEL, "operating_decision"])
    world.instance.report_runless_asset_event(dg.AssetMaterialization(key, metadata={"action": "roll_back"}))


@pytest.fixture(scope="module")
def second(world: World, deployed: Run) -> None:
    """A second version is live, and monitoring wants it gone."""
    world.run_stage(TRAINING_STAGE[1:], seed=8)
    approve_newest(world)
    world.run_stage(["live_endpoint"])
    assert live_version(world) == 2
    decide_to_roll_back(world, 2)


def test_a_decision_to_roll_back_asks_a_person_by_default(world: World, second: None) -> None:
    runs, why = world.runs.tick(ROLLS_BACK)
    assert runs == []
    assert why is not None
    assert f"ml-platform rollback {MODEL}" in why
    assert live_version(world) == 2


def test_a_rollback_that_died_before_the_endpoint_moved_is_completed_and_done_once(
    world: World, second: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ML_PLATFORM_ROLL_BACK_BY_DECISION", "true")
    SageMaker().roll_back(MODEL, version=2, by="somebody who died", reason="it never held")
    assert live_version(world) == 2
    runs, _ = world.runs.tick(ROLLS_BACK)
    assert [run.materialized for run in runs] == [{f"{MODEL}/live_endpoint"}]
    assert live_version(world) == 1
    assert versions(world) == {1: "Approved", 2: "Rejected"}
    (rejected,) = (p for p in lookup.list_packages(world.settings.region, GROUP) if p.version == 2)
    assert "rolled back: it never held" in rejected.approval_description
    assert world.runs.tick(ROLLS_BACK)[0] == []
    assert world.runs.tick("approved_package_goes_live")[0] == []


def test_with_nothing_to_go_back_to_a_rollback_changes_nothing_and_says_why(world: World, second: None) -> None:
    change = {f"{MODEL}__live_endpoint": {"config": {"roll_back_version": 1}}}
    with pytest.raises(RunFailedError, match=r"No version before 1 is approved.* goes on serving"):
        world.runs.materialize([f"{MODEL}/live_endpoint"], ops=change)
    assert live_version(world) == 1
    assert versions(world)[1] == "Approved"
