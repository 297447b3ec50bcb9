"""One model server: a real process on a loopback port, kept alive until it is stopped.

A server is started from a model archive that is already on this machine, becomes ready when ``/ping`` answers 200,
and is started again in place when its process ends or no longer answers. Which servers serve an endpoint is
``fleets``' business.
"""

import asyncio
import json
import logging
import random
import shutil
import signal
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ml_platform.local_sagemaker.archives import ArchiveError, extract
from ml_platform.local_sagemaker.containers import Process
from ml_platform.local_sagemaker.containers_setup import Limits, Setup
from ml_platform.local_sagemaker.holds import held
from ml_platform.local_sagemaker.http_client import Answer, ConnectionLostError, HttpClient
from ml_platform.local_sagemaker.http_streams import StreamedAnswer, open_stream, replay
from ml_platform.local_sagemaker.service import Service

logger = logging.getLogger(__name__)

PING_SECONDS = 2.0
FIRST_PING_PAUSE = 0.02
LONGEST_PING_PAUSE = 0.25
# How often a serving process is asked, and how many failures in a row end it.
HEALTH_SECONDS = 5.0
LEAST_HEALTH_SECONDS = 0.5
SICK_AFTER = 5
STARTUP_SECONDS = 240
# A scaled clock shortens what AWS imposes, not how long a real process takes to import its libraries.
LEAST_STARTUP_SECONDS = 30.0
STOP_SECONDS = 30
IDENTITY = "process.json"
INVOCATION_SECONDS = 60.0
# Whoever kills a server that starts says nothing about its image; whoever does so again and again does.
MOST_KILLED_STARTS = 3
LONGEST_RESTART_PAUSE = 10.0
STABLE_SECONDS = 10.0
# Below the range that outgoing connections take their ports from.
PORTS = range(20_000, 32_000)


class ServerStartError(Exception):
    """A server cannot start; the message says why, in AWS's words where they are known."""


class NotHealthyError(ServerStartError):
    """The server's process was started, but it never answered ``/ping`` with 200."""


class KilledError(NotHealthyError):
    """Somebody else ended the server's process before it answered ``/ping``."""


@dataclass(frozen=True)
class Container:
    """What a server runs: an image, its environment and the archive of its model."""

    image: str
    environment: Mapping[str, str] = field(default_factory=dict)
    model_data_url: str | None = None
    startup_seconds: float = STARTUP_SECONDS
    limits: Limits = field(default_factory=Limits)


class ModelServer:
    """A container that answers ``/ping`` and ``/invocations``. ``run`` is its life; cancel it to stop the process."""

    def __init__(
        self, service: Service, container: Container, directory: Path, archive: Path | None, log: Callable[[str], None]
    ) -> None:
        self.ready = False
        self.in_flight = 0
        self.last_used = 0.0
        """When it last ended a request or became ready, in AWS seconds of the clock."""
        self.title = ""
        """``endpoint/config/variant``: the name under which faults are meant for it."""
        self.started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.on_change: Callable[[], object] = lambda: None
        self._service = service
        self._container = container
        self._directory = directory
        self._archive = archive
        self._log = log
        self._process: Process | None = None
        self._client: HttpClient | None = None
        self._port: int | None = None
        self._idle = asyncio.Event()
        self._idle.set()

    async def run(self) -> None:
        """Start the process and keep one running. ``started`` tells how the first start went."""
        pause, killed = 0.0, 0
        loop = asyncio.get_running_loop()
        try:
            await self._extract_model()
            while True:
                began = loop.time()
                try:
                    await self._start()
                except ServerStartError as error:
                    killed = killed + 1 if isinstance(error, KilledError) else MOST_KILLED_STARTS
                    if not self.started.done() and killed >= MOST_KILLED_STARTS:
                        raise
                    self._log(f"the model server did not start: {error}; it is started again")
                else:
                    self._announce(ready=True)
                    await self._watch()
                # A server that keeps crashing must not keep the machine busy with its starts.
                stable = loop.time() - began > STABLE_SECONDS
                await asyncio.sleep(0.0 if stable else pause)
                pause = 0.1 if stable else min(2 * pause or 0.1, LONGEST_RESTART_PAUSE)
        except ServerStartError as error:
            if not self.started.done():
                self.started.set_exception(error)
        except Exception as error:
            # A defect of ours: whoever waits for this server must not wait for ever.
            if not self.started.done():
                self.started.set_exception(ServerStartError(f"the local stand-in failed: {error!r}"))
            raise
        finally:
            self.started.cancel()
            self._announce(ready=False)
            await self._stop_process()
            _release_port(self._port)

    async def invoke(self, headers: Mapping[str, str], body: bytes, seconds: float = INVOCATION_SECONDS) -> Answer:
        """Send one request to ``/invocations``.

        Raises:
            ConnectionLostError: When the server went away before it answered.
            TimeoutError: When it did not answer in time: a minute, unless the caller gives it more.
        """
        if self._client is None:
            raise ConnectionLostError("the server is not running")
        self._begin_request()
        try:
            faulty = await self._fail_on_demand(seconds)
            if faulty is not None:
                return faulty
            return await self._client.request("POST", "/invocations", headers=headers, body=body, seconds=seconds)
        finally:
            self._end_request()

    async def open_stream(self, headers: Mapping[str, str], body: bytes) -> StreamedAnswer:
        """Send one request to ``/invocations``; return when the answer begins. The caller closes it.

        Raises:
            ConnectionLostError: When the server went away before it answered.
            TimeoutError: When the answer did not begin in time.
        """
        if self._client is None:
            raise ConnectionLostError("the server is not running")
        self._begin_request()
        try:
            faulty = await self._fail_on_demand(INVOCATION_SECONDS)
            if faulty is not None:
                return replay(faulty, self._end_request)
            answer = await open_stream(
                self._client.port, "/invocations", headers=headers, body=body, seconds=INVOCATION_SECONDS
            )
        except BaseException:
            self._end_request()
            raise
        answer.on_close = self._end_request
        return answer

    def _begin_request(self) -> None:
        self.in_flight += 1
        self._idle.clear()

    def _end_request(self) -> None:
        self.in_flight -= 1
        self.last_used = self._service.clock.elapsed_seconds
        if not self.in_flight:
            self._idle.set()

    async def execution_parameters(self) -> bytes | None:
        """Return what the server says about batches it likes; servers need not say anything."""
        if self._client is None:
            return None
        try:
            answer = await self._client.request("GET", "/execution-parameters", seconds=PING_SECONDS)
        except (ConnectionLostError, TimeoutError):
            return None
        return answer.body if answer.status == 200 else None  # noqa: PLR2004 - HTTP

    async def _fail_on_demand(self, seconds: float) -> Answer | None:
        """Be slow, answer an error or lose the process where a fault says so."""
        faults = self._service.faults
        if (slow := faults.take("slow-response", self.title)) is not None:
            async with asyncio.timeout(seconds):
                await asyncio.sleep(slow.get("seconds", 1.0))
        if faults.take("server-crash", self.title) is not None and self._process is not None:
            self._process.kill()
        failing = faults.take("error-response", self.title)
        if failing is None:
            return None
        said = str(failing.get("message", "a fault on demand"))
        return Answer(failing.get("status", 500), {"content-type": "text/plain"}, said.encode())

    def find_pid(self) -> int | None:
        """Return the process id of the container; None while it does not run."""
        return self._process.pid if self._process is not None and self._process.running else None

    async def drain(self) -> None:
        """Wait until no request is in flight."""
        await self._idle.wait()

    async def settle(self, seconds: float) -> None:
        """Wait, at most so long, until a process that broke a connection is known to have ended."""
        deadline = asyncio.get_running_loop().time() + seconds
        while self.ready and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.005)

    async def _extract_model(self) -> None:
        target = self._directory / "ml" / "model"
        await asyncio.to_thread(_extract, self._archive, target, self._container.model_data_url)

    async def _start(self) -> None:
        argv = self._service.images.command(self._container.image, "serve")
        if argv is None:
            raise ServerStartError(
                f"The image {self._container.image} is not known here: name its `serve` command in the images file."
            )
        if (slow := self._service.faults.take("slow-start", self.title)) is not None:
            await asyncio.sleep(slow.get("seconds", 1.0))
        await held(self._service.faults, self.title, "Starting")
        _release_port(self._port)
        self._port = _reserve_port()
        environment = {**self._container.environment, "SAGEMAKER_BIND_TO_PORT": str(self._port)}
        try:
            self._process = await self._service.runner.start(
                argv, self._directory, environment, self._log, setup=Setup(limits=self._container.limits)
            )
        except OSError as error:
            raise ServerStartError(f"The command of image {self._container.image} cannot run: {error}") from error
        (self._directory / IDENTITY).write_text(json.dumps(await self._process.identity()))
        self._client = HttpClient(self._port)
        await self._wait_until_healthy(self._process, self._client)

    async def _wait_until_healthy(self, process: Process, client: HttpClient) -> None:
        seconds = max(self._service.clock.real_seconds(self._container.startup_seconds), LEAST_STARTUP_SECONDS)
        ended = asyncio.ensure_future(process.wait())
        pings = asyncio.ensure_future(_ping_until_healthy(client))
        try:
            await asyncio.wait({ended, pings}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                # Another process may have answered on a port that ours lost to it: the end decides.
                kind = KilledError if ended.result() == 128 + signal.SIGKILL else NotHealthyError
                raise kind(f"the server process ended with exit code {ended.result()}")
            if not pings.done():
                await self._stop_process()
                raise NotHealthyError("the server did not answer GET /ping with 200 in time")
            pings.result()
        finally:
            ended.cancel()
            pings.cancel()

    async def _watch(self) -> None:
        """Return when the process has ended, or was ended because it no longer answers ``/ping``."""
        process, client = self._process, self._client
        assert process is not None  # noqa: S101 - _start set both
        assert client is not None  # noqa: S101
        ended = asyncio.ensure_future(process.wait())
        sick = asyncio.ensure_future(self._ping_until_sick(client))
        try:
            await asyncio.wait({ended, sick}, return_when=asyncio.FIRST_COMPLETED)
            self._announce(ready=False)
            if not ended.done():
                logger.warning("a model server fails its health checks; starting another in its place")
                self._log("the model server fails its health checks; it is started again")
                await self._stop_process()
                return
            logger.warning("a model server ended with exit code %d; starting another in its place", ended.result())
            self._log(f"the model server ended with exit code {ended.result()}; it is started again")
        finally:
            ended.cancel()
            sick.cancel()

    async def _ping_until_sick(self, client: HttpClient) -> None:
        """Return when so many pings in a row failed. One that a busy server answers late is no failure."""
        pause = min(max(self._service.clock.real_seconds(HEALTH_SECONDS), LEAST_HEALTH_SECONDS), HEALTH_SECONDS)
        failures = 0
        while failures < SICK_AFTER:
            await asyncio.sleep(pause)
            try:
                answer = await client.request("GET", "/ping", seconds=PING_SECONDS)
                failures = 0 if answer.status == 200 else failures + 1  # noqa: PLR2004 - HTTP
            except ConnectionLostError:
                failures += 1
            except TimeoutError:
                failures = 0 if self.in_flight else failures + 1

    def _announce(self, *, ready: bool) -> None:
        self.ready = ready
        self.last_used = self._service.clock.elapsed_seconds
        if ready and not self.started.done():
            self.started.set_result(None)
        if not ready and self._client is not None:
            self._client.close()
        self.on_change()

    async def _stop_process(self) -> None:
        if self._process is not None and self._process.running:
            await self._process.stop(self._service.clock, STOP_SECONDS)


async def _ping_until_healthy(client: HttpClient) -> None:
    pause = FIRST_PING_PAUSE
    while True:
        try:
            if (await client.request("GET", "/ping", seconds=PING_SECONDS)).status == 200:  # noqa: PLR2004 - HTTP
                return
        except (ConnectionLostError, TimeoutError):
            pass
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, LONGEST_PING_PAUSE)


def _extract(archive: Path | None, target: Path, url: str | None) -> None:
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    if archive is None:
        return
    try:
        extract(archive, target)
    except ArchiveError as error:
        raise ServerStartError(
            f'Failed to extract model data archive from URL "{url}". Please ensure that the object located at the URL '
            f"is a valid tar.gz archive: {error}"
        ) from error


_reserved_ports: set[int] = set()
"""Ports given to servers, which take seconds to bind them: a second server must not get the same one meanwhile."""


def _reserve_port() -> int:
    for _ in range(len(PORTS)):
        port = random.choice(PORTS)  # noqa: S311 - spreads, hides nothing
        if port not in _reserved_ports and _is_free(port):
            _reserved_ports.add(port)
            return port
    raise ServerStartError("no loopback port is free")


def _release_port(port: int | None) -> None:
    _reserved_ports.discard(port or 0)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
