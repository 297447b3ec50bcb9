"""The local services as one thing: start and stop them around a command, or attach to those that run.

``demo`` and ``dev`` start them; every other command attaches, or talks to what its caller chose.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ml_platform.aws.objects import ObjectStore
from ml_platform.cli.environment import chosen_by_caller, exported, local_environment
from ml_platform.cli.home import AlreadyRunningError, check_home, only_one
from ml_platform.cli.processes import ProcessRecord
from ml_platform.cli.service_specs import (
    Service,
    dagster_ui,
    image_commands,
    is_running,
    local_services,
    own_images,
    record_path,
    running_settings,
)
from ml_platform.cli.supervisor import Report, Supervisor, stop_recorded
from ml_platform.core.clock import Clock, Sleep, sleep, utc_now
from ml_platform.core.errors import ServiceUnavailableError
from ml_platform.core.settings import Settings

KEEPER = "keeper"
"""Name under which ``local_keeper`` records its process."""
OWN_IMAGES = "images.json"
LOCAL_MARKER = "made-by-local"
"""Says that a person's own state is in the home, which no demo may delete."""


class LocalServices:
    """The local services for the length of a ``with`` block; the environment points at them meanwhile.

    Args:
        settings: Say where the home and the ports are.
        reuse: Use the services as they are when another command runs them already, and leave them running.
        on_top: Services that use these; started when these are ready and stopped first.
        services: Instead of all local services, only these.
        report: Told what happens.
        clock: The present instant.
        wait: How to wait.

    After entering, ``attached`` says whether another command runs the services, and ``settings`` holds the
    ports that they really have.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        reuse: bool = False,
        on_top: tuple[Service, ...] = (),
        services: tuple[Service, ...] | None = None,
        report: Report = lambda _: None,
        clock: Clock = utc_now,
        wait: Sleep = sleep,
    ) -> None:
        self.settings = settings
        self.attached = False
        self._services = local_services(settings) if services is None else services
        self._on_top = on_top
        self._reuse = reuse
        self._report = report
        self._supervisor = Supervisor(settings.home, report, clock, wait)
        self._cleanup = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as cleanup:
            self._enter(cleanup)
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cleanup.close()

    def check(self) -> None:
        """Make sure that the services this command started still run; raises ``ServiceUnavailableError``."""
        self._supervisor.check()

    def _enter(self, cleanup: ExitStack) -> None:
        check_home(self.settings.home)
        cleanup.callback(self._supervisor.stop_all)
        try:
            cleanup.enter_context(only_one(self.settings.home, "services"))
        except AlreadyRunningError as error:
            if not (self._reuse or in_background(self.settings.home)):
                raise
            self._report(f"Using the services that {error.owner} runs")
            self.attached = True
        if self._on_top:
            # Who attaches to the same services must not take the first one's UI for a left-over.
            cleanup.enter_context(only_one(self.settings.home, "UI"))
        self._supervisor.make_way(self._on_top if self.attached else (*self._services, *self._on_top))
        if not self.attached:
            self._start()
        self._supervisor.wait_until_ready(self._services)
        self.settings = running_settings(self.settings)
        cleanup.enter_context(exported(local_environment(self.settings)))
        ObjectStore.from_settings(self.settings).ensure_bucket()
        for service in self._on_top:
            self._supervisor.start(service)
        self._supervisor.wait_until_ready(self._on_top)

    def _start(self) -> None:
        _write_images(self.settings)
        for service in self._services:
            self._supervisor.start(service)


def in_background(home: Path) -> bool:
    """Whether the services are those of ``ml-platform local up``, there to be used by every command."""
    record = ProcessRecord.read(record_path(home, KEEPER))
    return record is not None and record.alive()


def add_images(settings: Settings, images: dict[str, dict[str, list[str]]]) -> None:
    """Keep a person's own images with the home; a running stand-in knows them at once."""
    path = settings.home / OWN_IMAGES
    known = own_images(path) if path.exists() else {}
    _replace(path, {**known, **images})
    _write_images(settings)


def _write_images(settings: Settings) -> None:
    path = settings.home / OWN_IMAGES
    own = own_images(path) if path.exists() else {}
    _replace(settings.home / "sagemaker" / "images.json", {**image_commands(settings), **own})


def _replace(path: Path, document: Any) -> None:
    """Write a file whole: the stand-in may read it at this moment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(document, indent=2))
    partial.replace(path)


def stop_left_overs(settings: Settings, report: Report = lambda _: None) -> None:
    """Stop what a killed command left running. Only for the holder of the services' lock."""
    for service in (*local_services(settings), dagster_ui(settings)):
        stop_recorded(settings.home, service.name, report)


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
    down = [service.title for service in local_services(settings) if not is_running(settings.home, service)]
    if down:
        raise ServiceUnavailableError(
            f"Not running in {settings.home}: {' and '.join(down)}. Start them with `make dev` (or `ml-platform dev`) "
            f"in another terminal. To talk to AWS instead, set AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true."
        )
    with exported(local_environment(running_settings(settings))):
        yield
