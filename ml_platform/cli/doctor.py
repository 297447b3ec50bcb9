"""``ml-platform doctor``: is this machine fit to run the platform, and if not, what to do.

Each check is a function that looks at one thing and returns findings; none changes anything.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, requires
from importlib.metadata import version as installed_version
from typing import Literal, NamedTuple

import psutil
from packaging.requirements import Requirement

from ml_platform.cli.console import out
from ml_platform.cli.home import AlreadyRunningError, check_home, locate_home, only_one
from ml_platform.cli.processes import ProcessRecord, describe_holder, left_behind, port_is_free
from ml_platform.cli.service_specs import Service, dagster_ui, is_running, local_services, record_path
from ml_platform.core.errors import MLPlatformError
from ml_platform.core.settings import Settings

OLDEST_PYTHON, NEWEST_PYTHON = (3, 11), (3, 12)
# The demo with Dagster's UI open peaks near 2.5 GB.
COMFORTABLE_BYTES = 3_000_000_000
STYLES = {"ok": "green", "warn": "yellow", "fail": "red"}


class Finding(NamedTuple):
    """One line of the report."""

    level: Literal["ok", "warn", "fail"]
    what: str
    remedy: str = ""


def run_doctor() -> int:
    """Print all findings and return the exit code: 1 when something must be done first."""
    levels = []
    for finding in examine():
        levels.append(finding.level)
        out.print(f"[{STYLES[finding.level]}]{finding.level:>4}[/]  ", end="")
        out.print(finding.what, markup=False, soft_wrap=True)
        if finding.remedy:
            out.print(f"      → {finding.remedy}", markup=False, soft_wrap=True)
    if "fail" in levels:
        out.print("\nNot ready: do what the lines marked fail say.")
        return 1
    out.print("\nReady: `ml-platform demo`.")
    return 0


def examine() -> Iterator[Finding]:
    """Yield every finding about this machine, cheap ones first."""
    yield python_version(sys.version_info[:2])
    yield from package_versions()
    yield memory(psutil.virtual_memory().available)
    try:
        home = locate_home()
        check_home(home)
        settings = Settings.load()
    except MLPlatformError as error:
        yield Finding("fail", str(error))
    else:
        yield Finding("ok", f"home {home} is writable and has room")
        yield from ports(settings)
        yield from left_overs(settings)
    for slow_check in (lightgbm_loads, namespaces):
        yield slow_check()


def python_version(version: tuple[int, ...]) -> Finding:
    """Judge the interpreter."""
    text = ".".join(map(str, version))
    if OLDEST_PYTHON <= version <= NEWEST_PYTHON:
        return Finding("ok", f"Python {text}")
    return Finding("fail", f"Python {text}; 3.11 or 3.12 is needed", "make setup PYTHON=/path/to/python3.12")


def package_versions(find_version: Callable[[str], str] = installed_version) -> Iterator[Finding]:
    """Compare what is installed with what the platform asks for."""
    remedy = "make setup"
    try:
        wanted = [Requirement(line) for line in requires("ml-platform") or []]
    except PackageNotFoundError:
        yield Finding("fail", "ml-platform itself is not installed, only importable", remedy)
        return
    needed = [requirement for requirement in wanted if not requirement.marker or requirement.marker.evaluate()]
    wrong = 0
    for requirement in needed:
        try:
            found = find_version(requirement.name)
        except PackageNotFoundError:
            found = None
        if found is None or not requirement.specifier.contains(found, prereleases=True):
            wrong += 1
            yield Finding("fail", f"{requirement} is needed, {found or 'nothing'} is installed", remedy)
    if not wrong:
        yield Finding("ok", f"{len(needed)} packages at versions that work together")


def memory(available: int) -> Finding:
    """Judge the memory that is free for us."""
    if available >= COMFORTABLE_BYTES:
        return Finding("ok", f"{available / 1e9:.1f} GB of memory available")
    return Finding(
        "warn",
        f"only {available / 1e9:.1f} GB of memory available; demo and UI together need about 3 GB",
        "close something, or run the demo without `ml-platform dev`",
    )


def ports(settings: Settings) -> Iterator[Finding]:
    """Look at the ports of all services."""
    for service in (*local_services(settings), dagster_ui(settings)):
        if is_running(settings.home, service):
            yield Finding("ok", f"{service.title} runs")
        elif port_is_free(service.port):
            yield Finding("ok", f"port {service.port} is free for the {service.title}")
        else:
            yield _taken(settings, service)


def _taken(settings: Settings, service: Service) -> Finding:
    record = ProcessRecord.read(record_path(settings.home, service.name))
    if record is not None and record.alive():
        return Finding("warn", f"{service.title} (process {record.pid}) does not answer", "wait, or start it again")
    return Finding(
        "fail",
        f"port {service.port}, meant for the {service.title}, is taken by {describe_holder(service.port)}",
        f"stop that process, or export {service.port_variable}={service.port + 100}",
    )


def left_overs(settings: Settings) -> Iterator[Finding]:
    """Find services whose command was killed."""
    try:
        with only_one(settings.home, "services"):
            for service in (*local_services(settings), dagster_ui(settings)):
                record = ProcessRecord.read(record_path(settings.home, service.name))
                for process in left_behind(record) if record else []:
                    yield Finding(
                        "warn",
                        f"process {process.pid} ({service.title}) was left behind by a killed command",
                        "nothing to do: the next `ml-platform demo` or `dev` stops it",
                    )
    except AlreadyRunningError as error:
        yield Finding("ok", f"services are run by {error.owner}")


def lightgbm_loads() -> Finding:
    """Try the one package whose wheel needs a library of the system."""
    trial = subprocess.run([sys.executable, "-c", "import lightgbm"], capture_output=True, text=True, check=False)
    if trial.returncode == 0:
        return Finding("ok", "LightGBM loads")
    reason = (trial.stderr.strip().splitlines() or ["no reason given"])[-1]
    return Finding(
        "fail", f"LightGBM does not load: {reason}", "Debian, Ubuntu: apt install libgomp1; macOS: brew install libomp"
    )


def namespaces() -> Finding:
    """Say how training jobs will see their files."""
    from ml_platform.local_sagemaker.containers import PlainRunner, choose_runner

    if isinstance(choose_runner(), PlainRunner):
        return Finding(
            "warn",
            "no Linux namespaces here: jobs find their files by SAGEMAKER_BASE_DIR instead of /opt/ml",
            "fine for our containers; a foreign container that insists on /opt/ml needs Linux with `unshare`",
        )
    return Finding("ok", f"jobs get a private /opt/ml (unshare works, {os.cpu_count()} cores)")
