"""Whether a run's process still runs: its own, not another that inherited its number."""

import os
import subprocess
import sys
import time

import dagster as dg
import pytest
from dagster import DagsterInstance
from dagster._core.events import EngineEventData
from dagster._core.launcher.base import WorkerStatus

from ml_platform.resources.run_launcher import LocalRunLauncher, runs_since


def test_a_process_that_runs_is_alive_and_one_started_later_is_another() -> None:
    assert runs_since(os.getpid(), time.time())
    assert not runs_since(os.getpid(), 0)


def test_a_process_that_ended_is_gone_even_before_its_parent_has_noticed() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not runs_since(process.pid, time.time())
    process.wait()
    assert not runs_since(process.pid, time.time())


@pytest.mark.parametrize(
    ("announced", "status"),
    [
        ([os.getpid()], WorkerStatus.RUNNING),
        ([], WorkerStatus.RUNNING),
        # The last word counts: a run that was resumed has another process.
        ([os.getpid(), 2**22 + 1], WorkerStatus.FAILED),
    ],
)
def test_monitoring_is_told_of_the_process_that_the_runs_log_names(announced: list[int], status: WorkerStatus) -> None:
    with DagsterInstance.ephemeral() as instance:
        launcher = LocalRunLauncher()
        launcher.register_instance(instance)
        run = instance.create_run_for_job(dg.job(name="nothing")(lambda: None))
        for pid in announced:
            instance.report_engine_event(f"Started process for run (pid: {pid}).", run, EngineEventData.in_process(pid))
        assert launcher.check_run_worker_health(run).status == status
