"""Platform tax: the demo's first training path, run by the platform and by one plain script. ``make bench-tax``.

Both sides do the work of ``plain_script``: ingest 90 simulated days, features, online store, training set, fit,
evaluation and gate, registration, approval, a live endpoint, one scored request. Each runs as a fresh process in a
fresh directory, in alternating order. Judged on CPU seconds, which other work on the machine hardly moves.

Counted for the platform: its process, and all that the local services and their jobs spend meanwhile. Not counted, but
shown: starting those services, which ``make dev`` does once and then runs every path.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from bench.report import Measure, conclude
from ml_platform.cli.console import progress
from ml_platform.cli.home import first_day, prepare_home
from ml_platform.cli.processes import ProcessRecord, descendants
from ml_platform.cli.service_specs import record_path
from ml_platform.cli.services import LocalServices
from ml_platform.core.clock import utc_now
from ml_platform.core.settings import Settings

GOAL, TARGET = 1.5, 1.25
SAME = ("holdout_rows", "average_precision", "roc_auc", "card_precision_at_100")
TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class Side:
    """One run of one side."""

    wall: float
    cpu: float
    outcome: dict[str, Any]
    services_cpu: float = 0.0
    start_wall: float = 0.0
    start_cpu: float = 0.0


def main() -> int:
    """Run the rounds, check that both sides came to the same, and report."""
    arguments = argparse.ArgumentParser(prog="python -m bench.tax", description="What the platform costs.")
    arguments.add_argument("--quick", action="store_true", help="two rounds instead of three")
    arguments.add_argument("--rounds", type=int, help="as many as this")
    chosen = arguments.parse_args()
    rounds: int = chosen.rounds or (2 if chosen.quick else 3)
    platform: list[Side] = []
    plain: list[Side] = []
    for number in range(rounds):
        for side in (platform, plain) if number % 2 == 0 else (plain, platform):
            name = "platform" if side is platform else "plain script"
            progress(f"Round {number + 1} of {rounds}: {name}")
            side.append(run_platform() if side is platform else run_plain())
            progress(f"  {side[-1].cpu:.1f} CPU s, {side[-1].wall:.1f} s")
    require_same(platform[0].outcome, plain[0].outcome)
    return report(platform, plain)


def report(platform: list[Side], plain: list[Side]) -> int:
    """Print and write the figures: medians over the rounds."""

    def of(sides: list[Side], name: str) -> float:
        return float(statistics.median(getattr(side, name) for side in sides))

    cpu = Measure("CPU", of(platform, "cpu"), of(plain, "cpu"), goal=GOAL)
    measures = [
        cpu,
        Measure("wall", of(platform, "wall"), of(plain, "wall")),
        Measure("of that, CPU of the local services and their jobs", of(platform, "services_cpu"), None),
        Measure("not counted: starting the services, CPU", of(platform, "start_cpu"), None),
        Measure("not counted: starting the services, wall", of(platform, "start_wall"), None),
    ]
    rows = platform[0].outcome["holdout_rows"]
    notes = [
        f"Medians of {len(platform)} rounds, order alternated. Both sides scored the same {rows} holdout payments and "
        f"agree on AP, AUC and CP@100 to {TOLERANCE:g}.",
        "Counted for the platform: its process, the services, training job and model server during the path. Not "
        "counted: starting ministack and the stand-in, which run all the time.",
        "The plain script imports Feast and LightGBM as they come; the platform leaves out what it does not use of "
        "them (features.lean_feast, containers.lean_lightgbm), which saves it about 5 CPU s.",
        f"Judged on CPU; wall includes waiting, and other work on this machine. Goal {GOAL:g}, target {TARGET:g}: "
        f"{'reached' if (cpu.ratio or 0) <= TARGET else 'not reached yet'}.",
    ]
    details = {
        "target": TARGET,
        "rounds": [
            {"platform": _figures(ours), "plain": _figures(theirs)}
            for ours, theirs in zip(platform, plain, strict=True)
        ],
    }
    return conclude("tax", measures, notes, details)


def require_same(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Refuse to compare the cost of different work."""
    differing = [name for name in SAME if abs(ours[name] - theirs[name]) > TOLERANCE]
    if differing:
        raise SystemExit(
            "The two sides did different work: "
            + "; ".join(f"{name} {ours[name]} against {theirs[name]}" for name in differing)
        )


def run_plain() -> Side:
    """Run the plain script in a fresh directory."""
    with tempfile.TemporaryDirectory(prefix="ml-platform-tax-") as directory:
        return _timed(["bench.plain_script", directory, first_day(utc_now().date()).isoformat()])


def run_platform() -> Side:
    """Run the platform's path on fresh services in a fresh home, on ports nobody uses."""
    with tempfile.TemporaryDirectory(prefix="ml-platform-tax-") as directory, fresh_home(directory) as settings:
        started = time.perf_counter()
        with LocalServices(settings) as services:
            start_wall, start_cpu = time.perf_counter() - started, _services_cpu(settings)
            side = _timed(["bench.platform_path"])
            services.check()
            spent = _services_cpu(settings) - start_cpu
    return Side(side.wall, side.cpu + spent, side.outcome, spent, start_wall, start_cpu)


@contextmanager
def fresh_home(directory: str) -> Iterator[Settings]:
    """Have the environment point at a home of its own; nothing of the caller's settings leaks in."""
    before = dict(os.environ)
    try:
        for name in [name for name in os.environ if name.startswith("ML_PLATFORM_")]:
            del os.environ[name]
        os.environ["ML_PLATFORM_HOME"] = directory
        for service in ("GROUND", "SAGEMAKER", "DAGSTER"):
            os.environ[f"ML_PLATFORM_{service}_PORT"] = str(free_port())
        yield prepare_home()
    finally:
        os.environ.clear()
        os.environ.update(before)


def _timed(module: list[str]) -> Side:
    """Run a module as a fresh process; CPU is its own and that of all children it waited for."""
    command = [sys.executable, "-W", "ignore", "-m", *module]
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[1])
    assert process.stdout is not None  # noqa: S101  # for the type checker
    printed = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{module[0]} failed with code {process.returncode}.")
    return Side(wall, usage.ru_utime + usage.ru_stime, json.loads(printed))


def _services_cpu(settings: Settings) -> float:
    """Return the CPU seconds of the services so far, with all they started, ended or not."""
    total = 0.0
    for name in ("ground", "sagemaker"):
        record = ProcessRecord.read(record_path(settings.home, name))
        for process in descendants(record.pid) if record is not None else []:
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            total += times.user + times.system + times.children_user + times.children_system
    return total


def free_port() -> int:
    """Return a loopback port that nobody listens on now."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _figures(side: Side) -> dict[str, Any]:
    return {
        "wall_seconds": round(side.wall, 2),
        "cpu_seconds": round(side.cpu, 2),
        "services_cpu_seconds": round(side.services_cpu, 2),
        "services_start_cpu_seconds": round(side.start_cpu, 2),
        "services_start_wall_seconds": round(side.start_wall, 2),
        "outcome": side.outcome,
    }


if __name__ == "__main__":
    sys.exit(main())
