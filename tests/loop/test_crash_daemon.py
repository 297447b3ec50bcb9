"""The crash table's last rows: run workers, the daemon, and everything of Dagster at once, with a real daemon.

Nobody launches a run again here but Dagster itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.loop.crash_world import CrashWorld, Stage, crash_world, eventually, go_on, prepare
from tests.loop.dagster_daemon import Daemon, statuses

STAGES = ("training", "updating")


@dataclass
class Story:
    """A daemon's day: what was killed when is told by the fixtures below."""

    world: CrashWorld
    daemon: Daemon

    def begin(self, row: str, names: tuple[str, ...] = STAGES) -> dict[str, Stage]:
        """Order runs and wait until they have got to their stages."""
        stages, orders = prepare(self.world, row, names)
        for name, order in orders.items():
            self.daemon.order(f"{row}-{name}", order)
        for stage in stages.values():
            eventually(stage.reached, f"{row} {stage.name}")
        return stages

    def await_second_runs(self, row: str, stages: dict[str, Stage]) -> None:
        """Wait until the runs that were launched again have taken over."""
        for name, stage in stages.items():

            def taken_over(key: str = f"{row}-{name}", stage: Stage = stage) -> bool:
                runs = self.daemon.runs(key)
                return len(runs) > 1 and stage.waited_for_by(self.daemon.worker(runs[-1]))

            eventually(taken_over, f"{row} {name} is taken over")

    def finish(self, row: str, stages: dict[str, Stage]) -> dict[str, Stage]:
        """Let the runs of a row go on to their ends."""
        go_on(self.world, [*stages.values()])
        for name in stages:
            eventually(lambda name=name: self.daemon.ended(f"{row}-{name}"), f"{row} {name}")
        return stages

    def runs(self, row: str, stage: str) -> list[str]:
        return statuses(self.daemon.runs(f"{row}-{stage}"))


@pytest.fixture(scope="module")
def world(ground_services: str, images_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CrashWorld]:
    with crash_world(ground_services, images_file, tmp_path_factory.mktemp("crash")) as world:
        yield world


@pytest.fixture(scope="module")
def story(world: CrashWorld, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    daemon = Daemon(tmp_path_factory.mktemp("daemon"))
    yield Story(world, daemon)
    daemon.kill_everything()
    daemon.instance.dispose()


def everything_is_done_once(stages: dict[str, Stage], stage: str) -> None:
    if stage == "updating":
        assert stages[stage].live_version() == "2.0"
    else:
        assert stages[stage].jobs() == {stages[stage].job: "Completed"}


# Run workers


@pytest.fixture(scope="module")
def worker(story: Story) -> dict[str, Stage]:
    """The workers are killed; the daemon notices."""
    stages = story.begin("worker")
    for name in stages:
        (run,) = story.daemon.runs(f"worker-{name}")
        story.daemon.kill_worker(run)
    story.await_second_runs("worker", stages)
    return story.finish("worker", stages)


@pytest.mark.parametrize("stage", STAGES)
def test_the_run_of_a_killed_worker_is_launched_again_and_takes_over(
    story: Story, worker: dict[str, Stage], stage: str
) -> None:
    assert story.runs("worker", stage) == ["FAILURE", "SUCCESS"]
    everything_is_done_once(worker, stage)


# The daemon


@pytest.fixture(scope="module")
def daemon(story: Story, worker: dict[str, Stage]) -> dict[str, Stage]:
    """The daemon is killed and started again, while its code server and workers live on."""
    stages = story.begin("daemon")
    story.daemon.kill()
    story.daemon.start()
    return story.finish("daemon", stages)


@pytest.mark.parametrize("stage", STAGES)
def test_runs_outlive_the_daemon_and_are_not_launched_twice(story: Story, daemon: dict[str, Stage], stage: str) -> None:
    assert story.runs("daemon", stage) == ["SUCCESS"]
    everything_is_done_once(daemon, stage)


# Everything of Dagster


@pytest.fixture(scope="module")
def machine(story: Story, daemon: dict[str, Stage]) -> dict[str, Stage]:
    """Daemon, code server and workers are killed at once: nobody is left who saw it."""
    stages = story.begin("machine")
    story.daemon.kill_everything()
    story.daemon.start()
    story.await_second_runs("machine", stages)
    return story.finish("machine", stages)


@pytest.mark.parametrize("stage", STAGES)
def test_runs_that_died_with_everything_are_launched_again_and_take_over(
    story: Story, machine: dict[str, Stage], stage: str
) -> None:
    assert story.runs("machine", stage) == ["FAILURE", "SUCCESS"]
    everything_is_done_once(machine, stage)
