"""A real Dagster daemon with its code server and run workers, on the platform's own ``dagster.yaml``, to be killed."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from dagster import DagsterInstance, DagsterRun, DagsterRunStatus

from ml_platform.cli.home import DAGSTER_YAML
from ml_platform.resources.run_launcher import STARTED
from tests.loop.crash_world import ROOT, eventually

# As on a machine that is not shared with a person, only faster and for more runs at once.
PACE = {"poll_interval_seconds: 10": "poll_interval_seconds: 1", "max_concurrent_runs: 2": "max_concurrent_runs: 9"}


@dataclass
class Daemon:
    """``dagster-daemon run`` on an instance of its own; orders are launched by its sensor."""

    home: Path
    process: subprocess.Popen[bytes] = field(init=False)
    orphans: list[psutil.Process] = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.home / "orders").mkdir(parents=True)
        (self.home / "dagster").mkdir()
        configuration = DAGSTER_YAML
        for pace, faster in PACE.items():
            assert pace in configuration
            configuration = configuration.replace(pace, faster)
        (self.home / "dagster" / "dagster.yaml").write_text(configuration)
        self.instance = DagsterInstance.from_config(str(self.home / "dagster"))
        self.start()

    def start(self) -> None:
        """Start the daemon; it starts a code server."""
        places = {"DAGSTER_HOME": str(self.home / "dagster"), "CRASH_ORDERS": str(self.home / "orders")}
        with (self.home / "daemon.log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(Path(sys.executable).with_name("dagster-daemon")), "run", "-m", "tests.loop.crash_location"],
                cwd=ROOT,
                env={**os.environ, **places},
                stdout=log,
                stderr=log,
            )

    def order(self, key: str, order: dict[str, Any]) -> None:
        """Let a run be launched."""
        path = self.home / "orders" / f"{key}.json"
        path.with_suffix(".new").write_text(json.dumps(order))
        path.with_suffix(".new").rename(path)

    def runs(self, key: str) -> list[DagsterRun]:
        """All runs of an order, the first one first: those launched again have the tags of their parent."""
        found = [run for run in self.instance.get_runs() if run.tags.get("dagster/run_key") == key]
        first = [run for run in found if run.parent_run_id is None]
        assert len(first) <= 1, "the sensor launched an order twice"
        descendants = [run for run in self.instance.get_runs() if first and run.root_run_id == first[0].run_id]
        return [*first, *reversed(descendants)]

    def worker(self, run: DagsterRun) -> int:
        """The process of a run, 0 before it has one."""
        messages = [entry.message or entry.user_message for entry in self.instance.all_logs(run.run_id)]
        found = [match for message in messages if (match := STARTED.search(message))]
        return int(found[-1][1]) if found else 0

    def kill_worker(self, run: DagsterRun) -> None:
        """Kill a run's process."""
        os.kill(eventually(lambda: self.worker(run), "the run has a process"), signal.SIGKILL)

    def ended(self, key: str) -> bool:
        """Whether an order's last run has ended, and no other follows."""
        return any(run.status == DagsterRunStatus.SUCCESS for run in self.runs(key))

    def kill(self) -> None:
        """Kill the daemon alone."""
        self.orphans += psutil.Process(self.process.pid).children(recursive=True)
        self.process.kill()
        self.process.wait()

    def kill_everything(self) -> None:
        """Kill the daemon, its code server and all workers, as the end of the machine would."""
        self.kill()
        for process in self.orphans:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(self.orphans, timeout=10)


def statuses(runs: Sequence[DagsterRun]) -> list[str]:
    return [run.status.value for run in runs]
