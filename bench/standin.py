"""What the SageMaker stand-in costs: the way of an invocation, full lists, start-up, memory. ``make bench-standin``.

An invocation is compared with the same request sent straight to the same model server by the same client, in
alternating rounds. Callers wait a little between requests, as callers do: without a pause, the figures would say how
long the queue for two cores is. That figure is shown too, without a goal.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psutil

from bench.fast_server import WHERE
from bench.report import Measure, conclude
from bench.standin_store import ENDPOINTS, JOBS, fill
from bench.tax import fresh_home
from ml_platform.cli.console import progress
from ml_platform.cli.environment import for_children
from ml_platform.cli.processes import descendants
from ml_platform.cli.service_specs import Service, answers, ground, stand_in
from ml_platform.core.settings import Settings
from ml_platform.local_sagemaker.http_client import HttpClient

IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/bench:latest"
ROLE = "arn:aws:iam::000000000000:role/bench"
ENDPOINT = "bench"
BODY = b"12.5,0,0,3,40.1,9,38.0,31,44.4,5,0.0,20,0.0,80,0.0125"
P50_MS, P99_MS, ANSWER_MS, START_SECONDS, START_ALL_SECONDS, MEMORY_MB = 1.5, 5, 50, 3, 6, 350
CLIENTS = 8
PAUSE_SECONDS = 0.02
LISTS: dict[str, tuple[str, dict[str, Any]]] = {
    "list jobs": ("ListTrainingJobs", {"MaxResults": 100}),
    "list jobs, by status": ("ListTrainingJobs", {"MaxResults": 100, "StatusEquals": "Failed"}),
    "list jobs, by status and name": ("ListTrainingJobs", {"StatusEquals": "Completed", "NameContains": "absent"}),
    "list jobs, sorted by status": ("ListTrainingJobs", {"MaxResults": 100, "SortBy": "Status"}),
    "list endpoints": ("ListEndpoints", {"MaxResults": 100}),
    "list endpoints, by status, sorted": ("ListEndpoints", {"StatusEquals": "Failed", "SortBy": "Status"}),
    "describe a job": ("DescribeTrainingJob", {"TrainingJobName": "job-05000"}),
    "describe an endpoint": ("DescribeEndpoint", {"EndpointName": "endpoint-250"}),
}


@dataclass(frozen=True, slots=True)
class Latency:
    """Latencies of one round, in milliseconds, and how many requests it had a second."""

    p50: float
    p99: float
    rate: float


def main() -> int:
    """Measure and report."""
    arguments = argparse.ArgumentParser(prog="python -m bench.standin", description="What the stand-in costs.")
    arguments.add_argument("--quick", action="store_true", help="three rounds instead of seven")
    rounds = 3 if arguments.parse_args().quick else 7
    with tempfile.TemporaryDirectory(prefix="ml-platform-bench-") as directory, fresh_home(directory) as settings:
        command = [sys.executable, str(Path(__file__).with_name("fast_server.py"))]
        images = settings.home / "sagemaker" / "images.json"
        images.parent.mkdir(parents=True)
        images.write_text(json.dumps({IMAGE: {"serve": command}}))
        progress(f"Start-up, {rounds} times")
        starts = [_time_start(settings) for _ in range(rounds)]
        fill(settings.home / "sagemaker" / "resources.sqlite")
        with _running(settings, ground(settings), stand_in(settings)) as (seconds, processes):
            progress(f"{JOBS:,} jobs and {ENDPOINTS} endpoints in the store: ready after {seconds:.2f} s")
            memory = sum(_resident_mb(process.pid) for process in processes)
            answered = {name: _median_ms(settings, *asked) for name, asked in LISTS.items()}
            _make_endpoint(settings)
            invocations = asyncio.run(_measure_invocations(settings, processes[-1].pid, rounds))
    own, together = (statistics.median(column) for column in zip(*starts, strict=True))
    measures = [
        *invocations,
        *(Measure(name, value, None, "ms", ANSWER_MS) for name, value in answered.items()),
        Measure("start-up of the stand-in", own, None, goal=START_SECONDS),
        Measure("start-up with the ground services", together, None, goal=START_ALL_SECONDS),
        Measure("start-up of both with a full store", seconds, None, goal=START_ALL_SECONDS),
        Measure("idle memory of both, full store", memory, None, "MB", MEMORY_MB),
    ]
    load = os.getloadavg()[0] / (os.cpu_count() or 1)
    notes = [
        f"Medians of {rounds} rounds, alternating. Goals of `overhead` lines are milliseconds added to the direct call "
        f"(reference); {CLIENTS} clients pause {PAUSE_SECONDS * 1000:g} ms between requests unless it says flat out.",
        f"Lists and descriptions: {JOBS:,} jobs and {ENDPOINTS} endpoints in the store, over HTTP, median of 15.",
        f"Load of the machine now: {load:.1f} per core. Above 1, wall-clock figures say more about the others.",
    ]
    return conclude("standin", measures, notes, {"load_per_core": load, "rounds": rounds})


async def _measure_invocations(settings: Settings, stand_in_pid: int, rounds: int) -> list[Measure]:
    through = HttpClient(settings.sagemaker_port)
    path = f"/endpoints/{ENDPOINT}/invocations"
    answer = await through.request("POST", path, headers=_headers(settings), body=WHERE, seconds=10)
    direct = HttpClient(int(answer.body))
    measures = []
    for title, clients, pause, requests in (
        ("1 client", 1, PAUSE_SECONDS / 10, 300),
        (f"{CLIENTS} clients", CLIENTS, PAUSE_SECONDS, 100),
        (f"{CLIENTS} clients flat out", CLIENTS, 0.0, 200),
    ):
        progress(f"Invocations: {title}")
        ours: list[Latency] = []
        theirs: list[Latency] = []
        before, count = _cpu_seconds(stand_in_pid), 0
        for number in range(rounds):
            sides = [(through, path, ours), (direct, "/invocations", theirs)]
            for client, target, latencies in sides if number % 2 == 0 else sides[::-1]:
                call = _caller(client, target, _headers(settings))
                latencies.append(await _round(call, clients, pause, requests))
            count += clients * requests
        cpu = (_cpu_seconds(stand_in_pid) - before) / count * 1000
        measures += _compare(title, ours, theirs, judged=bool(pause))
        measures.append(Measure(f"CPU of the stand-in an invocation, {title}", cpu, None, "ms"))
    through.close()
    direct.close()
    return measures


def _compare(title: str, ours: list[Latency], theirs: list[Latency], *, judged: bool) -> list[Measure]:
    measures = []
    for quantile, goal in (("p50", P50_MS), ("p99", P99_MS)):
        mine = statistics.median(getattr(latency, quantile) for latency in ours)
        other = statistics.median(getattr(latency, quantile) for latency in theirs)
        measures.append(Measure(f"{title}: {quantile}", mine, other, "ms"))
        # Rounds in pairs: what else runs on the machine meanwhile hits both sides of a pair.
        added = statistics.median(
            getattr(mine, quantile) - getattr(other, quantile) for mine, other in zip(ours, theirs, strict=True)
        )
        measures.append(Measure(f"{title}: {quantile} overhead", added, None, "ms", goal if judged else None))
    rates = [statistics.median(latency.rate for latency in side) for side in (ours, theirs)]
    return [*measures, Measure(f"{title}: requests", rates[0], rates[1], "1/s")]


async def _round(call: Callable[[], Any], clients: int, pause: float, requests: int) -> Latency:
    latencies: list[float] = []

    async def client(number: int) -> None:
        await asyncio.sleep(pause * number / clients)
        for _ in range(requests):
            began = time.perf_counter()
            await call()
            latencies.append((time.perf_counter() - began) * 1000)
            if pause:
                await asyncio.sleep(pause)

    await asyncio.gather(*(call() for _ in range(clients)))
    began = time.perf_counter()
    await asyncio.gather(*(client(number) for number in range(clients)))
    seconds = time.perf_counter() - began
    quantiles = statistics.quantiles(latencies, n=100)
    return Latency(quantiles[49], quantiles[98], len(latencies) / seconds)


def _caller(client: HttpClient, path: str, headers: dict[str, str]) -> Callable[[], Any]:
    async def call() -> None:
        answer = await client.request("POST", path, headers=headers, body=BODY, seconds=30)
        if answer.status != 200:  # noqa: PLR2004 - HTTP
            raise SystemExit(f"{path} answered {answer.status}: {answer.body[:300]!r}")

    return call


def _headers(settings: Settings) -> dict[str, str]:
    # Both sides get the same request; a signature would only make it longer.
    return {"content-type": "text/csv", "x-bench-region": settings.region}


def _make_endpoint(settings: Settings) -> None:
    _call(settings, "CreateModel", ModelName=ENDPOINT, ExecutionRoleArn=ROLE, PrimaryContainer={"Image": IMAGE})
    variant = {
        "VariantName": "all",
        "ModelName": ENDPOINT,
        "InitialInstanceCount": 1,
        "InstanceType": "ml.m5.large",
    }
    _call(settings, "CreateEndpointConfig", EndpointConfigName=ENDPOINT, ProductionVariants=[variant])
    _call(settings, "CreateEndpoint", EndpointName=ENDPOINT, EndpointConfigName=ENDPOINT)
    while (found := _call(settings, "DescribeEndpoint", EndpointName=ENDPOINT))["EndpointStatus"] != "InService":
        if found["EndpointStatus"] == "Failed":
            raise SystemExit(found["FailureReason"])
        time.sleep(0.1)


def _call(settings: Settings, operation: str, **request: Any) -> dict[str, Any]:
    headers = {"X-Amz-Target": f"SageMaker.{operation}", "Content-Type": "application/x-amz-json-1.1"}
    address = f"http://127.0.0.1:{settings.sagemaker_port}/"
    try:
        with urlopen(Request(address, json.dumps(request).encode(), headers), timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)
    except HTTPError as error:
        raise SystemExit(f"{operation}: {error.read().decode()}") from error
    return found


def _median_ms(settings: Settings, operation: str, request: dict[str, Any]) -> float:
    # The first time a list asks for a status the store indexes it, once in the life of a home.
    _call(settings, operation, **request)
    taken = []
    for _ in range(15):
        began = time.perf_counter()
        _call(settings, operation, **request)
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken)


def _time_start(settings: Settings) -> tuple[float, float]:
    """Return how long the stand-in takes alone, and with the ground services, in seconds."""
    with _running(settings, stand_in(settings)) as (own, _):
        pass
    with _running(settings, ground(settings), stand_in(settings)) as (together, _):
        pass
    return own, together


@contextmanager
def _running(settings: Settings, *services: Service) -> Iterator[tuple[float, list[subprocess.Popen[bytes]]]]:
    """Run services at once, as ``make dev`` does; tell the seconds until all answered."""
    began = time.perf_counter()
    processes = []
    try:
        for service in services:
            environment = for_children(os.environ, service.environment)
            with (settings.home / f"{service.name}.log").open("ab") as log:
                processes.append(
                    subprocess.Popen(
                        service.command,
                        env=environment,
                        cwd=service.directory,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                    )
                )
        for service, process in zip(services, processes, strict=True):
            while not answers(service.port, service.health):
                if process.poll() is not None or time.perf_counter() - began > START_ALL_SECONDS * 10:
                    raise SystemExit((settings.home / f"{service.name}.log").read_text())
                time.sleep(0.02)
        yield time.perf_counter() - began, processes
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait(30)


def _resident_mb(pid: int) -> float:
    return float(sum(process.memory_info().rss for process in descendants(pid)) / 2**20)


def _cpu_seconds(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    sys.exit(main())
