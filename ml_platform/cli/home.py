"""The platform's home directory: where it is, whether it can be used, and what a new one is given.

Everything that must survive a restart lives below it. What a person may have edited is never overwritten; a
``dagster.yaml`` of an earlier version is given the sections that it lacks, at its end.
"""

import fcntl
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import yaml  # type: ignore[import-untyped]

from ml_platform.cli.console import out
from ml_platform.core.clock import utc_now
from ml_platform.core.errors import ConfigurationError
from ml_platform.core.settings import DEFAULT_HOME, Settings

# The demo fills about 300 MB; below this, stores fail half-way with errors that do not say why.
MIN_FREE_BYTES = 1_000_000_000
# 90 days of history, 7 live days, 21 days until their labels are known, and a week to spare: all in the past.
HISTORY_DAYS = 126

DAGSTER_YAML = """\
# Dagster's instance. Written by ml-platform, which adds sections that are new to it; yours to change.
telemetry:
  enabled: false
# No sign-up dialogue over the UI.
nux:
  enabled: false

# Without monitoring the run of a killed worker would stay STARTED for ever; Dagster's own launcher would not see that
# one is gone when its code server is gone too.
run_monitoring:
  enabled: true
  start_timeout_seconds: 180
  poll_interval_seconds: 10
run_launcher:
  module: ml_platform.resources.run_launcher
  class: LocalRunLauncher

# A run whose process died is launched again, and adopts the jobs it had started. One whose step failed is not.
run_retries:
  enabled: true
  max_retries: 2
  retry_on_asset_or_op_failure: false

# Stores the events of many partitions as one batch; Dagster's own SQLite storage takes 20 times as long.
event_log_storage:
  module: ml_platform.resources.event_log
  class: BatchingSqliteEventLogStorage
  config:
    home:
      env: ML_PLATFORM_HOME

run_coordinator:
  module: dagster._core.run_coordinator
  class: QueuedRunCoordinator
  config:
    # Seconds between two looks at the queue: with the default of 5, each hop of the loop waits that much longer.
    dequeue_interval_seconds: 1

concurrency:
  runs:
    max_concurrent_runs: 2
  pools:
    default_limit: 1

freshness:
  enabled: true

retention:
  schedule:
    purge_after_days: 30
  sensor:
    purge_after_days:
      skipped: 2
      failure: 30
      success: 30
"""
SECTIONS_SINCE = ("run_launcher", "run_retries")
"""Sections of ``dagster.yaml`` that homes of the first version lack."""
SECTIONS_ARE_THERE = "# ml-platform: sections of version 2"
"""Ends a file that was given them: who deletes one afterwards means it."""


class AlreadyRunningError(ConfigurationError):
    """Another process does, in this home, what only one may do at a time. ``owner`` says which."""

    def __init__(self, home: Path, purpose: str, owner: str) -> None:
        self.owner = owner
        super().__init__(
            f"In {home} {owner} already runs the {purpose}. Wait for it or stop it. To run a second platform "
            f"beside it, set ML_PLATFORM_HOME and the ports: ML_PLATFORM_GROUND_PORT, ML_PLATFORM_SAGEMAKER_PORT, "
            f"ML_PLATFORM_DAGSTER_PORT."
        )


def checkout() -> Path | None:
    """Return the checkout this package runs from; None when it is installed without one."""
    root = Path(__file__).resolve().parents[2]
    return root if (root / "workspace.yaml").is_file() else None


def locate_home() -> Path:
    """Return the home: ``ML_PLATFORM_HOME``, else the checkout's own, else one in the current directory.

    The choice is exported, so that it holds for this process, its children, and any current directory.
    """
    chosen = os.environ.get("ML_PLATFORM_HOME")
    home = Path(chosen) if chosen else (checkout() or Path.cwd()) / DEFAULT_HOME
    os.environ["ML_PLATFORM_HOME"] = str(home.absolute())
    return home.absolute()


def check_home(home: Path, min_free_bytes: int = MIN_FREE_BYTES) -> None:
    """Create the home when it is new and make sure that it can be used.

    Raises:
        ConfigurationError: When it cannot be written to, or its disk is nearly full.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
        probe = home / f".writable-{os.getpid()}"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise ConfigurationError(
            f"The platform's home {home} cannot be written to ({error.strerror or error}). "
            f"Make it writable, or set ML_PLATFORM_HOME to a directory of yours."
        ) from error
    free = shutil.disk_usage(home).free
    if free < min_free_bytes:
        raise ConfigurationError(
            f"Only {free / 1e9:.1f} GB are free on the disk of {home}; the platform needs "
            f"{min_free_bytes / 1e9:.1f} GB. "
            f"Free some space (`make clean` deletes the local state), or set ML_PLATFORM_HOME to another disk."
        )


def first_day(today: date) -> date:
    """Return the first day of a new home's history: a Monday, far enough back for the demo to end in the past."""
    earliest = today - timedelta(days=HISTORY_DAYS)
    return earliest - timedelta(days=earliest.weekday())


def prepare_home() -> Settings:
    """Make the home ready for use and return the settings that hold in it.

    Raises:
        ConfigurationError: When the home or a setting cannot be used.
    """
    home = locate_home()
    check_home(home)
    _write_if_absent(
        home / "platform.env",
        "# Settings of this home; environment variables win over them. Written once, yours to change.\n"
        f"ML_PLATFORM_HISTORY_START={first_day(utc_now().date()).isoformat()}\n",
    )
    settings = Settings.load()
    settings.dagster_home.mkdir(exist_ok=True)
    instance = settings.dagster_home / "dagster.yaml"
    _write_if_absent(instance, f"{DAGSTER_YAML}\n{SECTIONS_ARE_THERE}\n")
    if added := add_sections(instance):
        out.print(
            f"Added to {instance}: {' and '.join(added)}, so that runs whose process was killed are launched again. "
            f"Nothing else in it was changed; delete a section to do without it."
        )
    return settings


def add_sections(path: Path) -> tuple[str, ...]:
    """Give a ``dagster.yaml`` of an earlier version what it lacks; return the sections that were added.

    The text is kept as it is and the sections follow it, once: comments stay, and what is deleted later stays away.

    Raises:
        ConfigurationError: When the file cannot be read as YAML.
    """
    text = path.read_text()
    if SECTIONS_ARE_THERE in text:
        return ()
    try:
        present = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path} is no YAML: {error}. Mend it, or delete it to be given a new one.") from error
    if not isinstance(present, dict):
        raise ConfigurationError(f"{path} holds no sections. Mend it, or delete it to be given a new one.")
    added = tuple(name for name in SECTIONS_SINCE if name not in present)
    sections = yaml.safe_load(DAGSTER_YAML)
    new = "".join(yaml.safe_dump({name: sections[name]}, sort_keys=False) for name in added)
    _write(path, f"{text.rstrip()}\n\n{SECTIONS_ARE_THERE}\n{new}")
    return added


@contextmanager
def only_one(home: Path, purpose: str) -> Iterator[None]:
    """Hold the home's lock for a purpose; the system releases it even when this process is killed.

    Raises:
        AlreadyRunningError: When another process holds it.
    """
    path = home / "run" / f"{purpose}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise AlreadyRunningError(home, purpose, file.read() or "another process") from error
        file.truncate(0)
        file.write(f"`{' '.join([Path(sys.argv[0]).name, *sys.argv[1:]])[:80]}` (process {os.getpid()})")
        file.flush()
        yield


def _write_if_absent(path: Path, content: str) -> None:
    """Write a file whole or not at all: a half-written one would be kept for ever."""
    if not path.exists():
        _write(path, content)


def _write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    partial.write_text(content)
    partial.replace(path)
