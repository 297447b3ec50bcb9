"""``ml-platform local``: the services in the background, for people who use no other part of the platform.

They live in the platform's home and are what ``dev`` and ``demo`` use: the same state, ports and locks. The process
that holds them is ``local_keeper``.
"""

import io
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections import deque
from pathlib import Path

import typer

from ml_platform.cli.console import err, out, progress
from ml_platform.cli.environment import local_environment
from ml_platform.cli.home import check_home, only_one
from ml_platform.cli.processes import ProcessRecord, stop_tree
from ml_platform.cli.service_specs import is_running, local_services, own_images, record_path, running_settings
from ml_platform.cli.services import KEEPER, LOCAL_MARKER, add_images, stop_left_overs
from ml_platform.cli.supervisor import log_file, start_log
from ml_platform.core.clock import sleep
from ml_platform.core.errors import ConfigurationError, ServiceUnavailableError
from ml_platform.core.settings import Settings

LOG = "local"
START_SECONDS = 150.0
STOP_SECONDS = 60.0
PAUSE_SECONDS = 0.1
STATE = ("ground", "sagemaker")
STEERING = ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")


def run_up(images: Path | None) -> None:
    """Start the services unless they run, and say how to use them."""
    settings = Settings.load()
    check_home(settings.home)
    if images is not None:
        add_images(settings, own_images(images))
    if not _all_run(settings):
        _start(settings)
    settings = running_settings(settings)
    out.print(f"S3 and its neighbours   http://127.0.0.1:{settings.ground_port}")
    out.print(f"SageMaker               http://127.0.0.1:{settings.sagemaker_port}")
    out.print(f"State and logs          {settings.home}", soft_wrap=True)
    out.print('\nPoint this shell at them:   eval "$(ml-platform local env)"')


def run_down() -> None:
    """Stop the services that ``local up`` started, or what a killed one left."""
    settings = Settings.load()
    if _stop(settings):
        out.print("Stopped. The state stays; `ml-platform local up` goes on with it.")
    else:
        out.print("Nothing runs.")


def run_env() -> None:
    """Print shell commands; nothing else may reach standard output."""
    settings = Settings.load()
    _require_running(settings)
    variables = local_environment(running_settings(settings))
    shown = {name: value for name, value in variables.items() if name.startswith("AWS_") or name.upper() == "NO_PROXY"}
    sys.stdout.write(f"unset {' '.join(STEERING)}\n")
    for name, value in shown.items():
        sys.stdout.write(f"export {name}={shlex.quote(value)}\n")


def run_status(*, as_json: bool) -> int:
    """Show the services; return the exit code."""
    settings = Settings.load()
    current = running_settings(settings)
    rows = [
        {
            "name": service.name,
            "title": service.title,
            "running": is_running(settings.home, service),
            "address": f"http://127.0.0.1:{service.port}",
        }
        for service in local_services(current)
    ]
    if as_json:
        sys.stdout.write(json.dumps({"home": str(settings.home), "services": rows}) + "\n")
    else:
        for row in rows:
            state = "[green]runs[/green]   " if row["running"] else "[dim]stopped[/dim]"
            out.print(f"{state}  {row['name']:<10} {row['address']}   {row['title']}")
    return 0 if all(row["running"] for row in rows) else 1


def run_reset(*, yes: bool) -> None:
    """Delete the state of the services after a question."""
    settings = Settings.load()
    if not yes:
        err.print(f"This deletes all buckets, jobs, models and endpoints in {settings.home}.", soft_wrap=True)
        typer.confirm("Delete them?", abort=True)
    was_up = _keeper(settings) is not None
    _stop(settings)
    with only_one(settings.home, "services"):
        for name in STATE:
            shutil.rmtree(settings.home / name, ignore_errors=True)
        (settings.home / LOCAL_MARKER).unlink(missing_ok=True)
    if was_up:
        _start(settings)
    out.print("Everything is empty.")


def run_logs(service: str, lines: int, *, follow: bool) -> None:
    """Show the end of a service's log, and what is added to it."""
    settings = Settings.load()
    names = [each.name for each in local_services(settings)]
    if service not in names:
        raise ConfigurationError(f"There is no service {service!r}; there are {' and '.join(names)}.")
    path = log_file(settings.home, service)
    if not path.exists():
        raise ConfigurationError(f"{path} does not exist: the service was never started. `ml-platform local up` does.")
    with path.open(errors="replace") as log:
        for line in deque(log, maxlen=lines):
            sys.stdout.write(line)
        while follow:
            sys.stdout.flush()
            sleep(0.3)
            if path.stat().st_ino != os.fstat(log.fileno()).st_ino:
                return run_logs(service, sys.maxsize, follow=True)
            # A file that was read to its end is read on only after a seek.
            log.seek(0, io.SEEK_CUR)
            sys.stdout.writelines(log)
    return None


def _start(settings: Settings) -> None:
    """Start the keeper and wait until the services answer."""
    if not (settings.home / "demo").exists():
        (settings.home / LOCAL_MARKER).touch()
    log = start_log(settings.home, LOG)
    progress("Starting the services; this takes a few seconds")
    with log.open("wb") as output:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "ml_platform.cli.local_keeper"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=settings.home,
            env={**os.environ, "ML_PLATFORM_HOME": str(settings.home)},
            # A session of its own: it survives this command and its terminal.
            start_new_session=True,
        )
    waited = 0.0
    while _keeper(settings) is None:
        if keeper.poll() is not None:
            raise ServiceUnavailableError(log.read_text(errors="replace").strip() or f"See {log}.")
        if waited > START_SECONDS:
            stop_tree(keeper.pid, STOP_SECONDS)
            raise ServiceUnavailableError(f"The services were not ready after {START_SECONDS:.0f} s; see {log}.")
        sleep(PAUSE_SECONDS)
        waited += PAUSE_SECONDS
    # It goes on without us: nobody waits for it.
    keeper.returncode = 0


def _stop(settings: Settings) -> bool:
    """Stop the services; return whether there was anything to stop.

    Raises:
        AlreadyRunningError: When another command runs them.
    """
    keeper = _keeper(settings)
    if keeper is not None:
        stop_tree(keeper.pid, STOP_SECONDS)
    left = [service for service in local_services(settings) if record_path(settings.home, service.name).exists()]
    if left:
        with only_one(settings.home, "services"):
            stop_left_overs(settings, progress)
    return keeper is not None or bool(left)


def _keeper(settings: Settings) -> ProcessRecord | None:
    record = ProcessRecord.read(record_path(settings.home, KEEPER))
    return record if record is not None and record.alive() else None


def _all_run(settings: Settings) -> bool:
    return all(is_running(settings.home, service) for service in local_services(settings))


def _require_running(settings: Settings) -> None:
    if not _all_run(settings):
        raise ServiceUnavailableError(
            f"The services do not run in {settings.home}. Start them with `ml-platform local up`."
        )
