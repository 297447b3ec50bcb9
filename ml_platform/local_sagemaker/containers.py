"""Runs an image's command as a real process that finds SageMaker's files under ``/opt/ml``.

Two runners behind one interface. ``NamespaceRunner`` (Linux) gives the process a private ``/opt/ml``, its own process
tree and host name, without root and without Docker. ``PlainRunner`` (everywhere else) points ``SAGEMAKER_BASE_DIR``
at the files. Which file goes where is the caller's business: it fills ``base_dir / "ml"``, which becomes ``/opt/ml``.
"""

import asyncio
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ml_platform.local_sagemaker.clock import Clock
from ml_platform.local_sagemaker.containers_setup import ENTER, LIMIT_ONLY, LOOPBACK_UP, Host, Limits, Setup

logger = logging.getLogger(__name__)

LogLine = Callable[[str], None]
STOP_SECONDS = 120
OUTPUT_SECONDS = 2
MAX_LINE_BYTES = 200_000
USUAL = Setup()
SETPRIV = shutil.which("setpriv")


class Process:
    """A running container: its first process (PID 1) and everything that one started."""

    def __init__(self, started: "_Started", first_pid: Callable[[], int | None], log: LogLine) -> None:
        self._process = started.process
        self._first_pid = first_pid
        self._output = started.output
        self._buried = False
        self._reader = asyncio.get_running_loop().create_task(_read_lines(started.lines, log))

    @property
    def pid(self) -> int:
        """Process id, on this machine, of what we started; killing it kills the container."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the container has not ended."""
        return self._process.returncode is None

    @property
    def exit_code(self) -> int | None:
        """The exit code (128 + n for signal n, as Docker does); None while it runs."""
        code = self._process.returncode
        return code if code is None or code >= 0 else 128 - code

    async def wait(self) -> int:
        """Wait for the end and for the last log line; return the exit code (128 + n for signal n, as Docker does)."""
        code = await self._process.wait()
        if not self._buried:
            # Once only: later the process id may be somebody else's.
            self._buried = True
            self._kill_group()
        # What left the process group may hold the pipe open; it does not keep the container alive.
        await asyncio.wait({self._reader}, timeout=OUTPUT_SECONDS)
        self._output.close()
        return code if code >= 0 else 128 - code

    async def identity(self) -> dict[str, Any] | None:
        """Return what ``end_leftover`` needs to end this container after the service died; None: the kernel does."""
        if SETPRIV:
            return None
        return {"pid": self.pid, "started": await asyncio.to_thread(_start_time, self.pid)}

    def terminate(self) -> None:
        """Send SIGTERM to PID 1 only, as SageMaker does: a PID 1 without a handler for it does not notice."""
        pid = self._first_pid()
        if self.running and pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    def kill(self) -> None:
        """Kill the whole container now."""
        if self.running:
            with suppress(ProcessLookupError):
                self._process.kill()
            self._kill_group()

    async def stop(self, clock: Clock, grace_seconds: float = STOP_SECONDS) -> int:
        """SIGTERM, then SIGKILL when the (scaled) grace is over; return the exit code."""
        self.terminate()
        with suppress(TimeoutError):
            return await asyncio.wait_for(self.wait(), clock.real_seconds(grace_seconds))
        self.kill()
        return await self.wait()

    def _kill_group(self) -> None:
        # Each container leads its own process group; what PID 1 left behind there ends with it.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)


@dataclass(frozen=True)
class _Started:
    process: asyncio.subprocess.Process
    lines: asyncio.StreamReader
    output: asyncio.ReadTransport


class Runner(Protocol):
    """How containers run on this machine."""

    @property
    def host_name(self) -> str:
        """Name under which a container reaches itself."""
        ...

    def hosts(self, count: int) -> list[Host]:
        """Return the instances of a job, under names that its containers can resolve."""
        ...

    async def start(
        self,
        argv: Sequence[str],
        base_dir: Path,
        environment: Mapping[str, str],
        log: LogLine,
        setup: Setup = USUAL,
    ) -> Process:
        """Start a command that sees ``base_dir / "ml"`` as its ``/opt/ml`` and nothing of our environment.

        Raises:
            OSError: When the command cannot be started.
        """
        ...


@dataclass(frozen=True)
class PlainRunner:
    """A plain child process: ``SAGEMAKER_BASE_DIR`` stands for ``/opt/ml``. No isolation of files or processes."""

    # Toolkits resolve the host name; without a namespace only this one resolves.
    host_name: str = "localhost"

    def hosts(self, count: int) -> list[Host]:
        """Return addresses as names when there are several: no other distinct names resolve everywhere."""
        if count == 1:
            return [Host(self.host_name)]
        return [Host(f"127.0.0.{number}", f"127.0.0.{number}") for number in range(1, count + 1)]

    async def start(
        self,
        argv: Sequence[str],
        base_dir: Path,
        environment: Mapping[str, str],
        log: LogLine,
        setup: Setup = USUAL,
    ) -> Process:
        """Start the command; see ``Runner``."""
        if setup.isolate_network:
            logger.warning("EnableNetworkIsolation has no effect here: it needs Linux namespaces")
        base = {"SAGEMAKER_BASE_DIR": str(base_dir / "ml")}
        if setup.limits != Limits():
            argv = ["/bin/sh", "-c", LIMIT_ONLY, "limit", *setup.limits.as_arguments(), *argv]
        started = await _start(argv, base_dir, base | dict(environment))
        return Process(started, lambda: started.process.pid, log)


@dataclass(frozen=True)
class NamespaceRunner:
    """A child in Linux namespaces of its own: private ``/opt/ml``, PID 1, host name ``algo-1``."""

    unshare: tuple[str, ...]
    host_name: str = "algo-1"

    def hosts(self, count: int) -> list[Host]:
        """Return ``algo-1`` to ``algo-n``; each container's /etc/hosts names them all."""
        return [Host(f"algo-{number}", f"127.0.0.{number}") for number in range(1, count + 1)]

    async def start(
        self,
        argv: Sequence[str],
        base_dir: Path,
        environment: Mapping[str, str],
        log: LogLine,
        setup: Setup = USUAL,
    ) -> Process:
        """Start the command; see ``Runner``."""
        # The script takes it out again before the command starts; an argument would be seen for ever in `ps`.
        loopback = {"LOOPBACK_UP": LOOPBACK_UP} if setup.isolate_network else {}
        started = await _start(self.command(argv, base_dir, setup), base_dir, loopback | dict(environment))
        return Process(started, lambda: _only_child(started.process.pid), log)

    def command(self, argv: Sequence[str], base_dir: Path, setup: Setup = USUAL) -> list[str]:
        """Return the argument list that enters the namespaces and then becomes ``argv``."""
        network = ["--net"] if setup.isolate_network else []
        arguments = setup.enter_arguments(str(base_dir), self.host_name)
        return [*self.unshare, *network, "/bin/sh", "-c", ENTER, "enter", *arguments, *argv]


def choose_runner() -> Runner:
    """Return the namespace runner when a trial with this very interpreter works here, else the plain one."""
    always = ("--uts", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
    check = [sys.executable, "-I", "-S", "-c", "import os; os.listdir('/opt/ml')"]
    # Root may run its containers as real root only where a user namespace is refused or hides our interpreter.
    for who in (("--user", "--map-root-user"), ()):
        runner = NamespaceRunner(unshare=("unshare", *who, *always))
        with tempfile.TemporaryDirectory() as folder:
            base = Path(folder)
            (base / "ml").mkdir()
            with suppress(OSError, subprocess.SubprocessError):
                subprocess.run(runner.command(check, base), check=True, capture_output=True, timeout=20)
                return runner
    return PlainRunner()


def end_leftover(identity: Mapping[str, Any] | None) -> None:
    """Kill a container that outlived the service which started it. A process id in other hands is left alone."""
    if identity and identity["started"] and _start_time(identity["pid"]) == identity["started"]:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(identity["pid"], signal.SIGKILL)


def _start_time(pid: int) -> str:
    ps = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return ps.stdout.strip()


async def _start(argv: Sequence[str], base_dir: Path, environment: Mapping[str, str]) -> _Started:
    for folder in ("ml", "tmp", "home"):
        (base_dir / folder).mkdir(parents=True, exist_ok=True)
    # When the service is killed with -9 the kernel ends its containers; elsewhere `end_leftover` has to.
    guard = [SETPRIV, "--pdeathsig", "KILL"] if SETPRIV else []
    # A pipe of our own: asyncio's would keep wait() waiting for everything that inherited it.
    read_end, write_end = os.pipe()
    lines = asyncio.StreamReader()
    output, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(lines), os.fdopen(read_end, "rb", buffering=0)
    )
    try:
        process = await asyncio.create_subprocess_exec(
            *guard,
            *argv,
            cwd=base_dir,
            env=_image_environment(base_dir) | dict(environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=write_end,
            stderr=write_end,
            start_new_session=True,
        )
    except BaseException:
        output.close()
        raise
    finally:
        os.close(write_end)
    return _Started(process, lines, output)


async def _read_lines(stream: asyncio.StreamReader, log: LogLine) -> None:
    rest = b""
    while chunk := await stream.read(1 << 16):
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) > MAX_LINE_BYTES:
            lines, rest = [*lines, rest], b""
        for line in lines:
            log(line.rstrip(b"\r").decode(errors="replace"))
    if rest:
        log(rest.decode(errors="replace"))


def _image_environment(base_dir: Path) -> dict[str, str]:
    """What an image's own ENV lines would say. Nothing else of this process's environment reaches a container."""
    return {
        # `python3` in a container is the interpreter that we run under.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        "HOME": str(base_dir / "home"),
        "TMPDIR": str(base_dir / "tmp"),
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
    }


def _only_child(pid: int) -> int | None:
    """Return the host's process id of a namespace's PID 1: the only child of ``unshare``."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # pid (name) state parent ...; the name may hold spaces and parentheses.
            if int(status.read_text().rpartition(")")[2].split()[1]) == pid:
                return int(status.parent.name)
    return None
