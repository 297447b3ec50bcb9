"""``make bench-ground``: ministack, which serves the ground services, against moto in server mode.

Both are asked the same facts of AWS, killed, and loaded by one client. moto lives in an environment of its own, which
the first run makes. ADR 0009 has the figures that decided.
"""

import itertools
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import psutil
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

from bench.ground_behaviours import BEHAVIOURS, Clients
from bench.ground_state import found, leave
from bench.report import Measure, conclude
from ml_platform.cli.service_specs import ground
from ml_platform.core.settings import Settings

MOTO = "moto[server]==5.2.5"
VENV = Path(__file__).parents[1] / ".venv-ground"
SETTLE_SECONDS = 1.0
OPERATIONS = 300
START_SECONDS = 60
console = Console(highlight=False)


@dataclass
class Findings:
    """What was seen of one server."""

    failures: dict[str, str] = field(default_factory=dict)
    after_kill: dict[str, bool] = field(default_factory=dict)
    after_stop: dict[str, bool] = field(default_factory=dict)
    start_seconds: float = 0
    start_cpu_seconds: float = 0
    idle_megabytes: float = 0
    per_cpu_second: dict[str, float] = field(default_factory=dict)


class Server:
    """One kind of server with one folder for its state."""

    def __init__(self, kind: str, home: Path) -> None:
        self.kind, self.home = kind, home
        self.port = _free_port()
        self._process: psutil.Popen

    def start(self) -> float:
        """Start it; return after how many seconds it answered."""
        if self.kind == "ministack":
            service = ground(Settings(home=self.home, ground_port=self.port))
            command, extra = [*service.command], dict(service.environment)
        else:
            command, extra = [str(VENV / "bin" / "moto_server"), "-H", "127.0.0.1", "-p", str(self.port)], {}
        began = time.perf_counter()
        with (self.home / "log").open("ab") as log:
            environment = {"PATH": os.environ["PATH"], "HOME": str(self.home)} | extra
            self._process = psutil.Popen(command, env=environment, cwd=self.home, stdout=log, stderr=log)
        client = clients_of(self.port)("sts")
        while True:
            try:
                client.get_caller_identity()
            except (BotoCoreError, ClientError):
                # Not there yet, or there and not ready.
                if self._process.poll() is not None or time.perf_counter() - began > START_SECONDS:
                    raise
                time.sleep(0.02)
            else:
                return time.perf_counter() - began

    def end(self, number: int) -> None:
        """Send a signal and wait for the end."""
        self._process.send_signal(number)
        self._process.wait(60)

    def cpu_seconds(self) -> float:
        """CPU time used so far."""
        times = self._process.cpu_times()
        return float(times.user + times.system)

    def megabytes(self) -> float:
        """Resident memory now."""
        return float(self._process.memory_info().rss) / 1e6


def main() -> int:
    """Measure both and print what they differ in."""
    if not (VENV / "bin" / "moto_server").exists():
        _install_moto()
    seen = {}
    for kind in ("ministack", "moto"):
        with tempfile.TemporaryDirectory() as home:
            seen[kind] = examine(Server(kind, Path(home)))
    ours, theirs = seen["ministack"], seen["moto"]
    measures = [
        Measure("behaviours that differ from AWS", len(ours.failures), len(theirs.failures), "count", 1),
        Measure("lost by kill -9", _lost(ours.after_kill), _lost(theirs.after_kill), "count"),
        Measure("lost by a stop", _lost(ours.after_stop), _lost(theirs.after_stop), "count", 0),
        Measure("start", ours.start_seconds, theirs.start_seconds),
        Measure("start, CPU", ours.start_cpu_seconds, theirs.start_cpu_seconds),
        Measure("idle memory", ours.idle_megabytes, theirs.idle_megabytes, "MB", 1),
        *(
            Measure(what, value, theirs.per_cpu_second[what], "per CPU second of the server")
            for what, value in ours.per_cpu_second.items()
        ),
    ]
    notes = [f"{kind}: {name}: {text}" for kind, one in seen.items() for name, text in one.failures.items()]
    for kind, one in seen.items():
        for how, kept in (("kill -9", one.after_kill), ("a stop", one.after_stop)):
            notes.append(
                f"{kind} after {how} lost: {', '.join(what for what, there in kept.items() if not there) or '-'}"
            )
    return conclude("ground", measures, notes, {"findings": {kind: vars(one) for kind, one in seen.items()}})


def examine(server: Server) -> Findings:
    """Ask, load, kill and stop one server."""
    findings = Findings()
    with _running(server, findings) as clients:
        for name, behaviour in BEHAVIOURS.items():
            console.print(f"[dim]{server.kind}: {name}[/dim]")
            try:
                behaviour(clients, f"bench-{name.replace('_', '-')}")
            except Exception as error:  # noqa: BLE001 - every way to fail is a finding
                findings.failures[name] = f"{type(error).__name__}: {error}"[:160]
        for what, call in _operations(clients).items():
            before = server.cpu_seconds()
            for _ in range(OPERATIONS):
                call()
            findings.per_cpu_second[what] = OPERATIONS / max(server.cpu_seconds() - before, 0.01)
        leave(clients)
        server.end(signal.SIGKILL)
        server.start()
        findings.after_kill = found(clients)
    with tempfile.TemporaryDirectory() as home:
        second = Server(server.kind, Path(home))
        second.start()
        clients = clients_of(second.port)
        leave(clients)
        second.end(signal.SIGTERM)
        second.start()
        findings.after_stop = found(clients)
        second.end(signal.SIGKILL)
    return findings


@contextmanager
def _running(server: Server, findings: Findings) -> Iterator[Clients]:
    findings.start_seconds = server.start()
    findings.start_cpu_seconds = server.cpu_seconds()
    time.sleep(SETTLE_SECONDS)
    findings.idle_megabytes = server.megabytes()
    try:
        yield clients_of(server.port)
    finally:
        server.end(signal.SIGKILL)


def _operations(clients: Clients) -> dict[str, Callable[[], Any]]:
    s3, sqs, dynamodb, kinesis = (clients(name) for name in ("s3", "sqs", "dynamodb", "kinesis"))
    s3.create_bucket(Bucket="load")
    url = sqs.create_queue(QueueName="load")["QueueUrl"]
    dynamodb.create_table(
        TableName="load",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    kinesis.create_stream(StreamName="load", ShardCount=1)
    numbers, body = itertools.count(), b"x" * 4096
    return {
        "S3 put of 4 kB": lambda: s3.put_object(Bucket="load", Key=f"k{next(numbers) % 100}", Body=body),
        "S3 get of 4 kB": lambda: s3.get_object(Bucket="load", Key="k1"),
        "SQS send": lambda: sqs.send_message(QueueUrl=url, MessageBody="x"),
        "DynamoDB put": lambda: dynamodb.put_item(TableName="load", Item={"pk": {"S": str(next(numbers))}}),
        "DynamoDB get": lambda: dynamodb.get_item(TableName="load", Key={"pk": {"S": "350"}}),
        "Kinesis put": lambda: kinesis.put_record(StreamName="load", Data=b"x", PartitionKey="k"),
    }


def clients_of(port: int) -> Clients:
    """Return clients of the server on a port: one for each service, no retries that would hide a failure."""
    made: dict[str, Any] = {}
    config = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=20)
    session = boto3.Session(aws_access_key_id="bench", aws_secret_access_key="bench", region_name="us-east-1")  # noqa: S106

    def client(service: str) -> Any:
        if service not in made:
            url = f"http://127.0.0.1:{port}"
            made[service] = session.client(service, endpoint_url=url, config=config)  # type: ignore[call-overload]
        return made[service]

    return client


def _install_moto() -> None:
    console.print(f"Installing {MOTO} into {VENV.name} (once)")
    uv = str(Path(sys.executable).with_name("uv"))
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(VENV)], check=True)
    subprocess.run([uv, "pip", "install", "--quiet", "--python", str(VENV / "bin" / "python"), MOTO], check=True)


def _lost(kept: dict[str, bool]) -> int:
    return sum(not there for there in kept.values())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
