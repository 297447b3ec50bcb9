"""What the ground services hold outlives ``kill -9``, and writing it down does not get in the way."""

import asyncio
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest

from bench.ground_state import found, leave
from ml_platform.cli.ground_server import Keeping, may_change
from ml_platform.cli.service_specs import ground
from ml_platform.core.settings import Settings
from tests.conftest import free_port, killed_in_the_end, wait_for_port


@contextmanager
def serving(home: Path, port: int) -> Iterator[Any]:
    """The ground services as the command line starts them; killed in the end."""
    service = ground(Settings(home=home, ground_port=port))
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), **service.environment}
    with (home / "log").open("ab") as log:
        process = subprocess.Popen(service.command, env=environment, cwd=home, stdout=log, stderr=log)
    clients: dict[str, Any] = {}

    def client(name: str) -> Any:
        if name not in clients:
            clients[name] = boto3.client(name, endpoint_url=f"http://127.0.0.1:{port}")  # type: ignore[call-overload]
        return clients[name]

    with killed_in_the_end(process):
        wait_for_port(port, process)
        yield client


def test_all_that_was_made_is_there_after_a_kill(tmp_path: Path) -> None:
    port = free_port()
    with serving(tmp_path, port) as clients:
        leave(clients)
        made = time.time()
        assert all(found(clients).values())
        states = tmp_path / "ground" / "state"

        def written() -> set[str]:
            return {file.stem for file in states.glob("*.json") if file.stat().st_mtime > made + 0.1}

        deadline = time.monotonic() + 15
        while not written():
            assert time.monotonic() < deadline
            clients("sqs").create_queue(QueueName="one-more-change")
        # Nothing is answered while the state is being written: with this answer it is all there.
        clients("sqs").list_queues()
        assert "sqs" in written()
    with serving(tmp_path, port) as clients:
        assert {what: there for what, there in found(clients).items() if not there} == {}


def request(
    method: str = "POST", service: str = "sqs", query: bytes = b"", kind: str = "http", action: str = ""
) -> dict[str, Any]:
    signature = f"AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/{service}/aws4_request".encode()
    headers = [(b"authorization", signature), (b"x-amz-target", action.encode())]
    return {"type": kind, "method": method, "query_string": query, "headers": headers}


@pytest.mark.parametrize(
    ("scope", "changes"),
    [
        (request(), True),
        (request("GET"), False),
        (request("PUT", "s3"), False),
        (request("PUT", "s3", b"lifecycle"), True),
        (request(kind="websocket"), False),
        (request(service="logs", action="Logs_20140328.GetLogEvents"), False),
        (request(service="logs", action="Logs_20140328.PutLogEvents"), True),
        (request(action="AmazonSQS.ReceiveMessage"), True),
    ],
)
def test_only_what_may_change_the_memory_makes_it_be_written(scope: dict[str, Any], *, changes: bool) -> None:
    assert may_change(scope) is changes


def test_many_changes_are_written_together() -> None:
    saves: list[float] = []

    async def services(scope: Any, receive: Any, _send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()

    async def story() -> None:
        keeping, ended = Keeping(services, lambda: saves.append(time.monotonic())), asyncio.Event()
        life = asyncio.create_task(keeping({"type": "lifespan"}, ended.wait, ended.wait))  # type: ignore[arg-type]
        for _ in range(50):
            await keeping(request(), ended.wait, ended.wait)  # type: ignore[arg-type]
            await asyncio.sleep(0)
        ended.set()
        await life

    asyncio.run(story())
    assert len(saves) == 1
