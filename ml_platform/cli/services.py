"""The local services: ground services (S3 and more) and the SageMaker stand-in, as children of one command.

``LocalServices`` starts them, points this process and its children at them, and stops them. The other
commands attach to services that already run (``attach``). Nothing here knows what the services are for.
"""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from ml_platform.aws.objects import ObjectStore
from ml_platform.cli.environment import chosen_by_caller, exported, local_environment, without_aws
from ml_platform.cli.home import check_home, lock_owner, only_one
from ml_platform.cli.processes import ProcessRecord, describe_holder, left_behind, port_is_free, stop, stop_tree
from ml_platform.cli.service_specs import Service, image_commands, is_running, local_services, record_path
from ml_platform.core.clock import Clock, Sleep, sleep, utc_now
from ml_platform.core.errors import ConfigurationError, ServiceUnavailableError
from ml_platform.core.settings import Settings

READY_SECONDS = 90.0
LOG_TAIL_LINES = 15

Report = Callable[[str], None]
"""Told in one line what happens now."""


class LocalServices:
    """The local services for the length of a ``with`` block; the environment points at them meanwhile.

    With ``reuse``, services that another command runs are used as they are and left running.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        reuse: bool = False,
        services: tuple[Service, ...] | None = None,
        report: Report = lambda _: None,
        clock: Clock = utc_now,
        wait: Sleep = sleep,
    ) -> None:
        self.settings = settings
        self.services = local_services(settings) if services is None else services
        self.attached = False
        self._reuse = reuse
        self._report = report
        self._clock = clock
        self._wait = wait
        self._cleanup = ExitStack()
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        with ExitStack() as cleanup:
            self._cleanup = cleanup
            self._start()
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cleanup.close()

    def log_file(self, service: Service) -> Path:
        """Return the file that holds what a service printed since it was last started."""
        return self.settings.home / "logs" / f"{service.name}.log"

    def _start(self) -> None:
        check_home(self.settings.home)
        try:
            self._cleanup.enter_context(only_one(self.settings.home, "services"))
        except ConfigurationError:
            if not self._reuse:
                raise
            self.attached = True
            self._report(f"Using the services of {lock_owner(self.settings.home, 'services')}")
        else:
            self._spawn_all()
        self._wait_until_ready()
        self._cleanup.enter_context(exported(local_environment(self.settings)))
        ObjectStore.from_settings(self.settings).ensure_bucket()

    def _spawn_all(self) -> None:
        images = self.settings.home / "sagemaker" / "images.json"
        images.parent.mkdir(parents=True, exist_ok=True)
        images.write_text(json.dumps(image_commands(self.settings), indent=2))
        for service in self.services:
            stop_recorded(self.settings, service.name, self._report)
        for service in self.services:
            require_port(service.port, service.title, service.port_variable)
        for service in self.services:
            self._spawn(service)

    def _spawn(self, service: Service) -> None:
        log = self.log_file(service)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            child = subprocess.Popen(
                service.command,
                env={**without_aws(os.environ), **service.environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.settings.home,
                # An own session: Ctrl-C reaches us only, and we stop the services after those who use them.
                start_new_session=True,
            )
        self._children[service.name] = child
        path = record_path(self.settings, service.name)
        self._cleanup.callback(path.unlink, missing_ok=True)
        self._cleanup.callback(self._stop, service)
        ProcessRecord.of(service.name, child.pid, service.port).write(path)

    def _stop(self, service: Service) -> None:
        child = self._children.pop(service.name)
        self._report(f"Stopping the {service.title}")
        stop_tree(child.pid)
        child.wait()

    def _wait_until_ready(self) -> None:
        deadline = self._clock() + timedelta(seconds=READY_SECONDS)
        for service in self.services:
            self._report(f"Waiting for the {service.title} on port {service.port}")
            while not is_running(self.settings, service):
                child = self._children.get(service.name)
                if child is not None and child.poll() is not None:
                    raise ServiceUnavailableError(self._failure(service, f"ended with code {child.returncode}"))
                if self._clock() > deadline:
                    raise ServiceUnavailableError(self._failure(service, f"was not ready after {READY_SECONDS:.0f} s"))
                self._wait(0.1)

    def _failure(self, service: Service, what: str) -> str:
        log = self.log_file(service)
        tail = log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:] if log.exists() else []
        return "\n".join(
            [f"The {service.title} {what}. The end of its log, {log}:", *tail, "Try `ml-platform doctor`."]
        )


def stop_recorded(settings: Settings, name: str, report: Report) -> None:
    """Stop what an earlier, killed command left running under this name, and forget it."""
    path = record_path(settings, name)
    record = ProcessRecord.read(path)
    left_over = left_behind(record) if record is not None else []
    if left_over:
        report(
            f"Stopping what an earlier run left behind: process {', '.join(str(process.pid) for process in left_over)}"
        )
        stop(left_over)
    path.unlink(missing_ok=True)


def require_port(port: int, title: str, variable: str) -> None:
    """Make sure that a port can be listened on.

    Raises:
        ConfigurationError: When somebody else has it.
    """
    if not port_is_free(port):
        raise ConfigurationError(
            f"Port {port}, meant for the {title}, is taken by {describe_holder(port)}. "
            f"Stop that process, or choose another port: `export {variable}={port + 100}`."
        )


@contextmanager
def attached(settings: Settings) -> Iterator[None]:
    """Talk to the services the caller chose, else to the local services that run now.

    The caller chooses with boto3's own variables: ``AWS_ENDPOINT_URL`` for an address, or
    ``AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true`` for AWS itself.

    Raises:
        ServiceUnavailableError: When nothing was chosen and nothing runs.
    """
    if chosen_by_caller():
        yield
        return
    down = [service.title for service in local_services(settings) if not is_running(settings, service)]
    if down:
        raise ServiceUnavailableError(
            f"Not running in {settings.home}: {' and '.join(down)}. Start them with `make dev` (or `ml-platform dev`) "
            f"in another terminal. To talk to AWS instead, set AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true."
        )
    with exported(local_environment(settings)):
        yield
