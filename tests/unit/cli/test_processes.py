"""Processes are recognised for certain, and stopped with everything they started."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil

from ml_platform.cli.processes import (
    LOOPBACK,
    ProcessRecord,
    describe_holder,
    left_behind,
    port_is_free,
    stop,
    stop_tree,
)

# A parent that ignores SIGTERM, with a child that does too: the rudest there is.
RUDE = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = os.fork()
if child:
    print(child, flush=True)
while True:
    time.sleep(60)
"""


@contextmanager
def rude_family() -> Iterator[tuple[subprocess.Popen[str], psutil.Process]]:
    parent = subprocess.Popen([sys.executable, "-c", RUDE], stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert parent.stdout is not None
    with parent.stdout:
        child = psutil.Process(int(parent.stdout.readline()))
        try:
            yield parent, child
        finally:
            stop_tree(parent.pid, grace_seconds=0.1)
            parent.wait()


def test_a_record_survives_the_disk(tmp_path: Path) -> None:
    record = ProcessRecord.of("ground", os.getpid(), 5560)
    record.write(tmp_path / "run" / "ground.json")
    assert ProcessRecord.read(tmp_path / "run" / "ground.json") == record
    assert record.alive()


def test_a_half_written_record_is_no_record(tmp_path: Path) -> None:
    (tmp_path / "ground.json").write_text('{"name": "gro')
    assert ProcessRecord.read(tmp_path / "ground.json") is None
    assert ProcessRecord.read(tmp_path / "absent.json") is None


def test_another_process_with_the_same_id_is_not_ours() -> None:
    record = ProcessRecord.of("ground", os.getpid())
    stranger = replace(record, started=record.started - 3600)
    assert not stranger.alive()
    assert left_behind(stranger) == []


def test_a_record_from_before_the_last_boot_means_nobody() -> None:
    assert left_behind(ProcessRecord("ground", 999_999_999, psutil.boot_time() - 3600)) == []


def test_a_family_that_ignores_sigterm_is_stopped() -> None:
    with rude_family() as (parent, child):
        stop_tree(parent.pid, grace_seconds=0.1)
        assert parent.wait(5) == -signal.SIGKILL
        assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_the_orphans_of_a_killed_process_are_found_and_stopped() -> None:
    with rude_family() as (parent, child):
        record = ProcessRecord.of("sagemaker", parent.pid)
        parent.kill()
        parent.wait()
        assert not record.alive()
        assert [process.pid for process in left_behind(record)] == [child.pid]
        stop(left_behind(record), grace_seconds=0.1)
        assert left_behind(record) == []


def test_the_holder_of_a_port_is_named() -> None:
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        listener.listen()
        port = listener.getsockname()[1]
        assert not port_is_free(port)
        assert str(os.getpid()) in describe_holder(port)
    assert port_is_free(port)
