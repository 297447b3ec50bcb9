"""One model server: what counts as healthy, and that a port is nobody else's."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest
from botocore.session import Session

from ml_platform.local_sagemaker import model_servers
from ml_platform.local_sagemaker.clock import Clock
from ml_platform.local_sagemaker.containers import PlainRunner
from ml_platform.local_sagemaker.images import Images
from ml_platform.local_sagemaker.logs import Logs
from ml_platform.local_sagemaker.model_servers import Container, ModelServer, NotHealthyError, ServerStartError
from ml_platform.local_sagemaker.objects import Objects
from ml_platform.local_sagemaker.service import Service
from ml_platform.local_sagemaker.store import Store

SCRIPT = Path(__file__).parents[2] / "contract" / "images" / "hosted.py"


def serving(
    tmp_path: Path, container: Container, use: Callable[[ModelServer, list[str]], Coroutine[None, None, None]]
) -> None:
    """Let ``use`` look at a model server that runs on the plain runner."""
    images = tmp_path / "images.json"
    images.write_text(json.dumps({"hosted": {"serve": [sys.executable, "-S", str(SCRIPT)]}}))

    async def run() -> None:
        session = Session()
        service = Service(
            home=tmp_path,
            region="us-east-1",
            account="000000000000",
            store=Store(tmp_path / "resources.sqlite"),
            objects=Objects(session, "us-east-1"),
            logs=Logs(session, "us-east-1", tmp_path / "logs"),
            clock=Clock(0.01),
            images=Images(images),
            runner=PlainRunner(),
        )
        lines: list[str] = []
        server = ModelServer(service, container, tmp_path / "server", None, lines.append)
        service.spawn(server.run(), "server")
        try:
            await use(server, lines)
        finally:
            await service.close()

    asyncio.run(run())


def test_a_server_answers_once_it_is_started(tmp_path: Path) -> None:
    async def use(server: ModelServer, lines: list[str]) -> None:
        await server.started
        assert (await server.invoke({}, b"1")).body == b"no model"
        assert lines[0].startswith("serving no model")

    serving(tmp_path, Container("hosted"), use)


def test_a_server_that_never_answers_ping_with_200_is_not_healthy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_servers, "LEAST_STARTUP_SECONDS", 1.0)

    async def use(server: ModelServer, lines: list[str]) -> None:
        with pytest.raises(NotHealthyError, match="did not answer GET /ping with 200 in time"):
            await server.started
        assert not server.ready

    serving(tmp_path, Container("hosted", {"PING_STATUS": "500"}, startup_seconds=60), use)


def test_an_unknown_image_is_named(tmp_path: Path) -> None:
    async def use(server: ModelServer, lines: list[str]) -> None:
        with pytest.raises(ServerStartError, match="absent:1 is not known here"):
            await server.started

    serving(tmp_path, Container("absent:1"), use)


def test_two_servers_never_get_the_same_port() -> None:
    ports = [model_servers._reserve_port() for _ in range(200)]
    assert len(set(ports)) == 200
    for port in ports:
        model_servers._release_port(port)
    assert not set(ports) & model_servers._reserved_ports


def test_a_server_killed_before_it_is_ready_is_started_again_but_not_for_ever(tmp_path: Path) -> None:
    async def next_pid(server: ModelServer, last: int | None) -> int:
        async with asyncio.timeout(20):
            while (pid := server.find_pid()) in (None, last) or not (tmp_path / "server" / "process.json").exists():
                await asyncio.sleep(0.01)
        assert pid is not None
        return pid

    async def use(server: ModelServer, lines: list[str]) -> None:
        pid = None
        for _ in range(model_servers.MOST_KILLED_STARTS):
            assert not server.started.done()
            pid = await next_pid(server, pid)
            os.killpg(pid, signal.SIGKILL)
        with pytest.raises(NotHealthyError, match="ended with exit code 137"):
            await server.started
        assert sum("it is started again" in line for line in lines) == model_servers.MOST_KILLED_STARTS - 1

    serving(tmp_path, Container("hosted", {"PING_STATUS": "500"}), use)


def test_a_server_that_ends_by_itself_before_it_is_ready_is_not_started_again(tmp_path: Path) -> None:
    async def use(server: ModelServer, lines: list[str]) -> None:
        with pytest.raises(NotHealthyError, match="ended with exit code 3"):
            await server.started
        assert lines == ["cannot load the model"]

    serving(tmp_path, Container("hosted", {"EXIT_AT_START": "3"}), use)
