"""``ml-platform dev``: one command starts everything, one Ctrl-C stops everything."""

import signal
import subprocess
import sys
from pathlib import Path

import psutil

from ml_platform.cli.processes import ProcessRecord, descendants
from ml_platform.cli.service_specs import answers, record_path
from ml_platform.core.settings import Settings


def test_one_ctrl_c_stops_all_of_it_and_a_second_one_does_no_harm(prepared: Settings, tmp_path: Path) -> None:
    command = [str(Path(sys.executable).with_name("ml-platform")), "dev"]
    told = tmp_path / "stderr"
    with told.open("w") as errors:
        dev = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=tmp_path)
        assert dev.stdout is not None
        with dev.stdout:
            try:
                greeting = dev.stdout.readline() + dev.stdout.readline()
                assert f"http://127.0.0.1:{prepared.dagster_port}" in greeting, told.read_text()
                assert answers(prepared.dagster_port, "/server_info")
                family = whole_family(prepared, dev.pid)
                # dev, two services, and of Dagster its parent, code server, webserver and daemon at least.
                assert len(family) >= 7
                dev.send_signal(signal.SIGINT)
                while "Stopping" not in told.read_text():
                    assert dev.poll() is None
                dev.send_signal(signal.SIGINT)
                assert dev.wait(60) == 0
                assert [process for process in family if process.is_running() and not is_zombie(process)] == []
            finally:
                dev.terminate()
                dev.wait(60)


def whole_family(settings: Settings, dev: int) -> list[psutil.Process]:
    dagster = ProcessRecord.read(record_path(settings.home, "dagster"))
    assert dagster is not None
    return list({process.pid: process for process in descendants(dagster.pid) + descendants(dev)}.values())


def is_zombie(process: psutil.Process) -> bool:
    return bool(process.status() == psutil.STATUS_ZOMBIE)
