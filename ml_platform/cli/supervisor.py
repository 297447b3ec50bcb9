"""Starting services as children, waiting until they answer, noticing when one ends, stopping them whole.

Which services there are is ``service_specs``; which of them a command needs is ``services`` and ``dev``.
"""

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from ml_platform.cli.environment import for_children
from ml_platform.cli.processes import ProcessRecord, describe_holder, left_behind, port_is_free, stop, stop_tree
from ml_platform.cli.service_specs import Service, is_running, record_path
from ml_platform.core.clock import Clock, Sleep, sleep, utc_now
from ml_platform.core.errors import ConfigurationError, ServiceUnavailableError

READY_SECONDS = 120.0
LOG_TAIL_LINES = 15

Report = Callable[[str], None]
"""Told in one line what happens now."""


class Supervisor:
    """The services that one command runs."""

    def __init__(self, home: Path, report: Report, clock: Clock = utc_now, wait: Sleep = sleep) -> None:
        self._home = home
        self._report = report
        self._clock = clock
        self._wait = wait
        self._children: dict[str, tuple[Service, subprocess.Popen[bytes]]] = {}

    def make_way(self, services: tuple[Service, ...]) -> None:
        """Stop what a killed command left of these services, and make sure that their ports are free.

        Raises:
            ConfigurationError: When somebody else has a port.
        """
        for service in services:
            stop_recorded(self._home, service.name, self._report)
        for service in services:
            require_port(service)

    def start(self, service: Service) -> None:
        """Start a service; ``wait_until_ready`` tells how it went."""
        with start_log(self._home, service.name).open("wb") as output:
            child = subprocess.Popen(
                service.command,
                env=for_children(os.environ, service.environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=service.directory,
                # An own session: Ctrl-C reaches us only, and we stop the services after those who use them.
                start_new_session=True,
            )
        self._children[service.name] = (service, child)
        ProcessRecord.of(service.name, child.pid, service.port).write(record_path(self._home, service.name))

    def wait_until_ready(self, services: tuple[Service, ...]) -> None:
        """Wait until services answer, whoever runs them.

        Raises:
            ServiceUnavailableError: When one ends or takes too long; the message ends with its log.
        """
        deadline = self._clock() + timedelta(seconds=READY_SECONDS)
        for service in services:
            self._report(f"Waiting for the {service.title} on port {service.port}")
            while not is_running(self._home, service):
                self.check()
                if self._clock() > deadline:
                    raise ServiceUnavailableError(
                        failure(self._home, service, f"not ready after {READY_SECONDS:.0f} s")
                    )
                self._wait(0.1)

    def check(self) -> None:
        """Make sure that every service still runs.

        Raises:
            ServiceUnavailableError: When one has ended; the message ends with its log.
        """
        for service, child in self._children.values():
            if child.poll() is not None:
                raise ServiceUnavailableError(failure(self._home, service, f"ended with code {child.returncode}"))

    def stop_all(self) -> None:
        """Stop the services, the last one started first. A second Ctrl-C does not leave half of them behind."""
        with uninterrupted():
            while self._children:
                name, (service, child) = self._children.popitem()
                self._report(f"Stopping the {service.title}")
                stop_tree(child.pid, service.stop_seconds)
                child.wait()
                record_path(self._home, name).unlink(missing_ok=True)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ignore the signals that end a command; what runs meanwhile must end by itself, and soon."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {
        number: signal.signal(number, lambda _received, _frame: None)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def log_file(home: Path, name: str) -> Path:
    """Return the file that holds what a service printed since it was last started."""
    return home / "logs" / f"{name}.log"


def start_log(home: Path, name: str) -> Path:
    """Return the file for a new log; the one before is kept, since it may hold the reason for a restart."""
    log = log_file(home, name)
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists():
        log.replace(log.with_suffix(".previous.log"))
    return log


def failure(home: Path, service: Service, what: str) -> str:
    """Say what happened to a service, with the end of its log."""
    log = log_file(home, service.name)
    tail = log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:] if log.exists() else []
    return "\n".join(
        [
            f"The {service.title}: {what}. `ml-platform doctor` may know why. The end of {log}:",
            *(tail or ["(it printed nothing)"]),
        ]
    )


def stop_recorded(home: Path, name: str, report: Report) -> None:
    """Stop what an earlier, killed command left running under this name, and forget it."""
    path = record_path(home, name)
    record = ProcessRecord.read(path)
    left_over = left_behind(record) if record is not None else []
    if left_over:
        names = ", ".join(str(process.pid) for process in left_over)
        report(f"Stopping what an earlier run left behind: process {names}")
        stop(left_over)
    path.unlink(missing_ok=True)


def require_port(service: Service) -> None:
    """Make sure that a service can have its port.

    Raises:
        ConfigurationError: When somebody else has it.
    """
    if not port_is_free(service.port):
        raise ConfigurationError(
            f"Port {service.port}, meant for the {service.title}, is taken by {describe_holder(service.port)}. "
            f"Stop that process, or choose another port: `export {service.port_variable}={service.port + 100}`."
        )
