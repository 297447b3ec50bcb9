"""The platform's home directory: where it is, whether it can be used, and what a new one is given.

Everything that must survive a restart lives below it. Files that a person may edit are written once and
never overwritten.
"""

import fcntl
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

from ml_platform.core.clock import utc_now
from ml_platform.core.errors import ConfigurationError
from ml_platform.core.settings import DEFAULT_HOME, Settings

# The demo fills about 300 MB; below this, stores fail half-way with errors that do not say why.
MIN_FREE_BYTES = 1_000_000_000
# 90 days of history, 7 live days, 21 days until their labels are known, and a week to spare: all in the past.
HISTORY_DAYS = 126

DAGSTER_YAML = """\
# Dagster's instance. Written once by ml-platform; yours to change afterwards.
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
    _write_if_absent(settings.dagster_home / "dagster.yaml", DAGSTER_YAML)
    return settings


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
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    partial.write_text(content)
    partial.replace(path)
