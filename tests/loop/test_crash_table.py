"""The crash table: whatever is killed, at whatever stage between train and deploy, nothing is lost or made twice.

A row is who is killed (``kill -9``), a column the stage at which. All stages of a row are reached, killed and taken up
again together; each cell is a test. ``docs/crash-table.md`` shows the whole.
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.loop.crash_world import (
    ENDPOINTS,
    OTHER_JOBS,
    STAGES,
    TRAINING,
    CrashWorld,
    Stage,
    Traffic,
    crash_world,
    endings,
    eventually,
    go_on,
    prepare,
    start_runs,
    steady_client,
)

JOBS = (*TRAINING, *OTHER_JOBS)


@dataclass
class Row:
    """What became of all stages of a row."""

    stages: dict[str, Stage]
    first: dict[str, str]
    """How the runs ended that met the crash; nothing is success."""
    second: dict[str, str]
    """How the runs ended that were launched again."""
    traffic: Traffic
    versions: dict[str, str] = field(default_factory=dict)
    """What endpoints answered with between the two."""

    def jobs(self, stage: str) -> list[str]:
        """Statuses of all attempts at a stage's job, the first one first."""
        return [status for _, status in sorted(self.stages[stage].jobs().items())]


@pytest.fixture(scope="module")
def world(ground_services: str, images_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CrashWorld]:
    with crash_world(ground_services, images_file, tmp_path_factory.mktemp("crash")) as world:
        yield world


def killed_at(world: CrashWorld, row: str, names: tuple[str, ...], kill: Callable[[dict[str, Stage]], None]) -> Row:
    """Let runs get to their stages, kill something, let all go on; then launch again what failed."""
    stages, orders = prepare(world, row, names)
    with steady_client(stages["updating"].endpoint) if "updating" in stages else nullcontext(Traffic()) as traffic:
        with start_runs(orders) as runs:
            for stage in stages.values():
                eventually(stage.reached, stage.name)
            kill(stages)
            go_on(world, [*stages.values()])
            first = endings(runs)
        versions = {name: stages[name].live_version() for name in ENDPOINTS if name in stages}
        with start_runs({name: order for name, order in orders.items() if first[name]}) as again:
            second = endings(again)
    return Row(stages, first, second, traffic, versions)


# The process of the steps


@pytest.fixture(scope="module")
def step(world: CrashWorld) -> Row:
    """The process that all runs' steps are in is killed; all are launched again, and take over before they go on."""
    stages, orders = prepare(world, "step", STAGES)
    with steady_client(stages["updating"].endpoint) as traffic:
        with start_runs(orders):
            for stage in stages.values():
                eventually(stage.reached, stage.name)
        with start_runs(orders) as again:
            for stage in stages.values():
                eventually(lambda stage=stage: stage.waited_for_by(again.pid), f"{stage.name} is taken over")
            go_on(world, [*stages.values()])
            return Row(stages, {}, endings(again), traffic)


@pytest.mark.parametrize("stage", JOBS)
def test_the_job_of_a_killed_step_is_adopted(step: Row, stage: str) -> None:
    assert step.second[stage] == ""
    assert step.jobs(stage) == ["Completed"]


@pytest.mark.parametrize(("stage", "version"), [("creating", "1.0"), ("updating", "2.0")])
def test_the_deployment_of_a_killed_step_is_waited_for(step: Row, stage: str, version: str) -> None:
    assert step.second[stage] == ""
    assert step.stages[stage].live_version() == version


def test_no_request_fails_while_the_step_that_updates_the_endpoint_is_killed(step: Row) -> None:
    assert step.traffic.failures == []
    assert step.traffic.answered > 20


# The stand-in, which is SageMaker here


@pytest.fixture(scope="module")
def stand_in_row(world: CrashWorld) -> Row:
    """SageMaker itself is killed and started again; the runs go on meanwhile."""
    return killed_at(world, "standin", STAGES, lambda _: world.kill_stand_in())


@pytest.mark.parametrize("stage", [stage for stage in JOBS if stage != "interrupted"])
def test_a_job_lost_with_sagemaker_is_made_again_by_the_same_run(stand_in_row: Row, stage: str) -> None:
    assert stand_in_row.first[stage] == ""
    assert stand_in_row.jobs(stage) == ["Failed", "Completed"]


def test_a_spot_job_goes_on_when_sagemaker_is_back(stand_in_row: Row) -> None:
    assert stand_in_row.first["interrupted"] == ""
    assert stand_in_row.jobs("interrupted") == ["Completed"]


def test_an_endpoint_that_was_being_created_comes_up(stand_in_row: Row) -> None:
    assert stand_in_row.first["creating"] == ""
    assert stand_in_row.versions["creating"] == "1.0"


def test_an_interrupted_update_is_told_as_a_rollback_and_succeeds_when_run_again(stand_in_row: Row) -> None:
    assert "went back to" in stand_in_row.first["updating"]
    assert stand_in_row.versions["updating"] == "1.0"
    assert stand_in_row.second["updating"] == ""
    assert stand_in_row.stages["updating"].live_version() == "2.0"


# A job's container


@pytest.fixture(scope="module")
def container(world: CrashWorld) -> Row:
    """The process in the container is killed, as a machine short of memory would."""

    def kill(stages: dict[str, Stage]) -> None:
        for stage in stages.values():
            kill_all(stage.containers())

    return killed_at(world, "container", ("training", "processing"), kill)


def kill_all(processes: list[int]) -> None:
    """Kill processes, of which there must be some."""
    assert processes
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


@pytest.mark.parametrize("stage", ["training", "processing"])
def test_a_killed_container_fails_its_run_and_the_next_run_makes_one_new_attempt(container: Row, stage: str) -> None:
    assert "AlgorithmError" in container.first[stage]
    assert container.second[stage] == ""
    assert container.jobs(stage) == ["Failed", "Completed"]


# A model server


@pytest.fixture(scope="module")
def server(world: CrashWorld) -> Row:
    """Of each fleet, also one that does not serve yet, one server is killed; and the only one of a transform job."""

    def kill(stages: dict[str, Stage]) -> None:
        kill_all(stages["transform"].containers())
        fleets = stages["updating"].fleets()
        assert len(fleets) == 2
        for fleet in fleets.values():
            kill_all(next(iter(fleet.values())))
        starting = eventually(lambda: servers(stages["creating"]), "a server starts")
        kill_all(starting)
        eventually(lambda: {*servers(stages["creating"])} - {*starting}, "another server starts")

    return killed_at(world, "server", ("transform", *ENDPOINTS), kill)


def servers(stage: Stage) -> list[int]:
    """Processes of all servers of the stage's endpoint."""
    return [process for fleet in stage.fleets().values() for one in fleet.values() for process in one]


def test_a_server_killed_before_its_endpoint_is_in_service_is_replaced_and_the_endpoint_comes_up(server: Row) -> None:
    assert server.first["creating"] == ""
    assert server.versions["creating"] == "1.0"


def test_a_killed_server_costs_an_update_no_request_and_does_not_stop_it(server: Row) -> None:
    assert server.first["updating"] == ""
    assert server.versions["updating"] == "2.0"
    assert server.traffic.failures == []


def test_a_transform_job_whose_server_is_killed_when_it_has_answered_completes(server: Row) -> None:
    assert server.first["transform"] == ""
    assert server.jobs("transform") == ["Completed"]
