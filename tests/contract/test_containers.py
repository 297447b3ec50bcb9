"""Both runners, with real processes: what a container sees, how it is stopped, and that nothing of it remains."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ml_platform.local_sagemaker import containers
from ml_platform.local_sagemaker.clock import Clock
from ml_platform.local_sagemaker.containers import NamespaceRunner, PlainRunner, Process, Runner, choose_runner
from ml_platform.local_sagemaker.containers_setup import Limits, Setup

NAMESPACES = choose_runner()
needs_namespaces = pytest.mark.skipif(
    not isinstance(NAMESPACES, NamespaceRunner), reason="this machine gives us no Linux namespaces"
)
RUNNERS = [pytest.param(PlainRunner(), id="plain"), pytest.param(NAMESPACES, id="namespace", marks=needs_namespaces)]

Started = tuple[Process, list[str]]


def run(tmp_path: Path, runner: Runner, code: str, use: Callable[[Process, list[str]], Any], **options: Any) -> Any:
    """Start Python code in a container, and let ``use`` do something with it and its lines."""

    async def start_and_use() -> Any:
        lines: list[str] = []
        argv = [sys.executable, "-c", code]
        process = await runner.start(argv, tmp_path, {"ASKED_FOR": "yes"}, lines.append, **options)
        try:
            return await use(process, lines)
        finally:
            process.kill()
            await process.wait()

    return asyncio.run(start_and_use())


async def ended(process: Process, lines: list[str]) -> tuple[int, list[str]]:
    return await process.wait(), lines


async def said(lines: list[str], text: str) -> None:
    async with asyncio.timeout(20):
        while text not in lines:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("runner", RUNNERS)
def test_files_below_ml_are_found_and_written(tmp_path: Path, runner: Runner) -> None:
    (tmp_path / "ml").mkdir()
    (tmp_path / "ml" / "given").write_text("from the host")
    code = """
import os, pathlib
base = pathlib.Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"))
print(base.joinpath("given").read_text())
base.joinpath("written").write_text("from the container")
"""
    assert run(tmp_path, runner, code, ended) == (0, ["from the host"])
    assert (tmp_path / "ml" / "written").read_text() == "from the container"


@pytest.mark.parametrize("runner", RUNNERS)
def test_nothing_of_our_environment_reaches_a_container(
    tmp_path: Path, runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    code, lines = run(tmp_path, runner, "import os; print(sorted(os.environ))", ended)
    names = set(eval(lines[0]))  # noqa: S307 - our own output
    assert code == 0
    assert "ASKED_FOR" in names
    assert not names - {
        *("ASKED_FOR", "PATH", "HOME", "TMPDIR", "LANG", "PYTHONUNBUFFERED", "SAGEMAKER_BASE_DIR", "PWD", "LC_CTYPE"),
        *("OLDPWD", "SHLVL", "_"),
    }


@pytest.mark.parametrize("runner", RUNNERS)
@pytest.mark.parametrize(
    ("code", "expected"), [("raise SystemExit(7)", 7), ("import os; os.kill(os.getpid(), 9); os._exit(137)", 137)]
)
def test_the_exit_code_is_dockers(tmp_path: Path, runner: Runner, code: str, expected: int) -> None:
    assert run(tmp_path, runner, code, ended)[0] == expected


@pytest.mark.parametrize("runner", RUNNERS)
def test_sigterm_is_heard_by_the_first_process_only(tmp_path: Path, runner: Runner) -> None:
    code = """
import os, signal, sys, time
child = os.fork()
def stop(number, frame):
    print("child" if not child else "first", "heard it", flush=True)
    sys.exit(5)
signal.signal(signal.SIGTERM, stop)
if child:
    print("ready", flush=True)
while True:
    time.sleep(0.01)
"""

    async def stop(process: Process, lines: list[str]) -> tuple[int, list[str]]:
        await said(lines, "ready")
        return await process.stop(Clock()), lines

    assert run(tmp_path, runner, code, stop) == (5, ["ready", "first heard it"])


@pytest.mark.parametrize("runner", RUNNERS)
def test_a_deaf_container_is_killed_after_the_grace_with_all_it_started(tmp_path: Path, runner: Runner) -> None:
    code = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen([sys.executable, "-c", "import time; open('" + os.environ["HOME"] + "/child', 'w'); time.sleep(60)"])
while not os.path.exists(os.environ["HOME"] + "/child"):
    time.sleep(0.01)
print("ready", flush=True)
time.sleep(60)
"""

    async def stop(process: Process, lines: list[str]) -> int:
        await said(lines, "ready")
        return await process.stop(Clock(scale=0.001))

    assert run(tmp_path, runner, code, stop) == 128 + signal.SIGKILL
    assert not processes_that_know(tmp_path)


def processes_that_know(folder: Path) -> list[str]:
    """Processes whose environment names the folder: what is left of a container."""
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        try:
            content = environment.read_bytes()
        except OSError:
            continue
        if f"HOME={folder}".encode() in content:
            found.append(environment.parent.name)
    return found


@pytest.mark.parametrize("runner", RUNNERS)
def test_long_lines_and_strange_bytes_do_not_break_the_log(tmp_path: Path, runner: Runner) -> None:
    code = "import sys; sys.stdout.buffer.write(b'a\\xff\\n' + b'x' * 500_000 + b'\\r\\nend')"
    _, lines = run(tmp_path, runner, code, ended)
    assert (lines[0], lines[-1]) == ("a\ufffd", "end")
    assert sum(map(len, lines[1:-1])) == 500_000


@pytest.mark.parametrize("runner", RUNNERS)
def test_a_command_that_is_not_there_ends_like_in_a_shell(tmp_path: Path, runner: Runner) -> None:
    async def start() -> int:
        process = await runner.start(["/no/such/command"], tmp_path, {}, lambda _: None)
        return await process.wait()

    assert asyncio.run(start()) == 127


@needs_namespaces
def test_in_a_namespace_opt_keeps_its_other_entries_and_the_container_is_pid_1(tmp_path: Path) -> None:
    code = """
import os, socket
print(os.getpid(), socket.gethostname(), socket.gethostbyname("algo-1"))
print(sorted(os.listdir("/opt")))
"""
    _, lines = run(tmp_path, NAMESPACES, code, ended)
    assert lines[0] == "1 algo-1 127.0.0.1"
    assert set(eval(lines[1])) == {*os.listdir("/opt"), "ml"}  # noqa: S307, PTH208 - our own output


@needs_namespaces
def test_an_isolated_container_reaches_itself_and_nobody_else(tmp_path: Path) -> None:
    code = """
import os, socket
server = socket.create_server(("localhost", 0))
socket.create_connection(server.getsockname(), timeout=2)
try:
    socket.create_connection(("192.0.2.1", 9), timeout=2)
except OSError as error:
    print(error.strerror, "LOOPBACK_UP" in os.environ)
"""
    _, lines = run(tmp_path, NAMESPACES, code, ended, setup=Setup(isolate_network=True))
    assert lines == ["Network is unreachable False"]


@pytest.mark.parametrize("runner", RUNNERS)
def test_memory_and_files_have_limits(tmp_path: Path, runner: Runner) -> None:
    code = """
import os
try:
    bytearray(400 << 20)
except MemoryError:
    print("no memory")
try:
    with open(os.path.join(os.environ["HOME"], "file"), "wb") as file:
        file.write(bytes(2 << 20))
except OSError as error:
    print(error.strerror)
"""
    setup = Setup(limits=Limits(memory_bytes=300 << 20, file_bytes=1 << 20))
    assert run(tmp_path, runner, code, ended, setup=setup)[1] == ["no memory", "File too large"]


@needs_namespaces
def test_peers_resolve_and_protected_folders_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "ml" / "input" / "data").mkdir(parents=True)
    code = """
import socket
print(socket.gethostname(), *(socket.gethostbyname(f"algo-{number}") for number in (1, 2, 3)))
try:
    open("/opt/ml/input/data/x", "w")
except OSError as error:
    print(error.strerror)
"""
    peers = NAMESPACES.hosts(3)
    setup = Setup(host=peers[1], peers=peers, protected=["input/data"])
    _, lines = run(tmp_path, NAMESPACES, code, ended, setup=setup)
    assert lines == ["algo-2 127.0.0.1 127.0.0.2 127.0.0.3", "Read-only file system"]


def test_a_container_that_outlived_its_service_is_ended_and_a_stranger_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(containers, "SETPRIV", None)

    async def leave(process: Process, lines: list[str]) -> int:
        identity = await process.identity()
        assert identity is not None
        containers.end_leftover({**identity, "started": "another time"})
        assert process.running
        containers.end_leftover(identity)
        async with asyncio.timeout(5):
            return await process.wait()

    assert run(tmp_path, PlainRunner(), "import time; time.sleep(60)", leave) == 128 + signal.SIGKILL
