"""Dagster's own launcher of runs, which also knows when a run's process is gone. Named in ``dagster.yaml``.

Dagster's notices a killed worker only while the code server that started it lives. After a crash of both, or of the
machine, a run would stay STARTED for ever, and hold its place in the queue and its pools. Run monitoring asks
``check_run_worker_health``; what it finds dead fails, and ``run_retries`` launches it again: it adopts its job.
For workers on the daemon's machine only; on AWS, ``EcsRunLauncher`` answers the same question.
"""

import re
from datetime import timedelta
from typing import Any, Self

import psutil
from dagster import DagsterEventType, DagsterRun
from dagster._core.launcher import DefaultRunLauncher
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus
from dagster._serdes import ConfigurableClassData

STARTED = re.compile(r"Started process for run \(pid: (\d+)\)")
# Between a process's start, which the system rounds, and its first event.
CLOCK_TOLERANCE = timedelta(seconds=2)


class LocalRunLauncher(DefaultRunLauncher):
    """Launches runs as ``DefaultRunLauncher`` does: a home can go back to that by deleting three lines."""

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Self:  # noqa: ARG003
        """Nothing is configured."""
        return cls(inst_data=inst_data)

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Run monitoring may ask."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Tell whether the process that announced itself in the run's log still runs."""
        events = self._instance.all_logs(run.run_id, of_type=DagsterEventType.ENGINE_EVENT)
        announced = [
            (found, event) for event in events if (found := STARTED.search(event.message or event.user_message))
        ]
        if not announced:
            # The run announced no process of ours; how long it may take to start is monitored apart.
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        found, event = announced[-1]
        pid = int(found[1])
        if runs_since(pid, event.timestamp + CLOCK_TOLERANCE.total_seconds()):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, f"its process {pid} is gone")


def runs_since(pid: int, instant: float) -> bool:
    """Whether a process runs that had been started by then: one started later has only inherited the number."""
    try:
        process = psutil.Process(pid)
        return bool(process.create_time() <= instant and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:  # somebody else's, so not our worker
        return False
