"""The hop to a model server: connections are kept, and nothing a server does confuses two requests."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from ml_platform.local_sagemaker.http_client import ConnectionLostError, HttpClient

Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def talk(handle: Handle, use: Callable[[HttpClient], Awaitable[None]]) -> int:
    """Let ``use`` talk to a server that treats each connection so; return how many connections there were."""
    connections = 0

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        try:
            await handle(reader, writer)
        finally:
            writer.close()

    async def run() -> None:
        server = await asyncio.start_server(count, "127.0.0.1", 0)
        async with server:
            client = HttpClient(server.sockets[0].getsockname()[1])
            await use(client)
            client.close()

    asyncio.run(run())
    return connections


def answering(*answers: bytes) -> Handle:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()

    return handle


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-One: a\r\n\r\nok"


def test_a_connection_is_kept_for_the_next_request() -> None:
    async def use(client: HttpClient) -> None:
        for _ in range(2):
            answer = await client.request("GET", "/ping", seconds=5)
            assert (answer.status, answer.body, answer.headers["x-one"]) == (200, b"ok", "a")

    assert talk(answering(OK, OK), use) == 1


def test_a_connection_that_the_server_closed_is_not_used_again() -> None:
    async def use(client: HttpClient) -> None:
        await client.request("GET", "/ping", seconds=5)
        await asyncio.sleep(0)
        while client._idle[0].reusable:
            await asyncio.sleep(0.001)
        await client.request("GET", "/ping", seconds=5)

    assert talk(answering(OK), use) == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\n\r\nok",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ],
    ids=["chunked", "close", "no length", "interim answer"],
)
def test_every_way_to_end_a_body_is_understood(answer: bytes) -> None:
    async def use(client: HttpClient) -> None:
        assert (await client.request("POST", "/invocations", body=b"", seconds=5)).body == b"ok"

    talk(answering(answer), use)


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", b"no HTTP\r\n\r\n"], ids=["none", "cut", "other"]
)
def test_an_incomplete_answer_is_a_lost_connection(answer: bytes) -> None:
    async def use(client: HttpClient) -> None:
        with pytest.raises(ConnectionLostError):
            await client.request("GET", "/ping", seconds=5)

    talk(answering(answer), use)


def test_a_late_answer_never_reaches_the_next_request() -> None:
    late = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        if b"/slow" in request:
            await late.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n" + (b"slow" if b"/slow" in request else b"fast"))

    async def use(client: HttpClient) -> None:
        with pytest.raises(TimeoutError):
            await client.request("GET", "/slow", seconds=0.05)
        late.set()
        assert (await client.request("GET", "/fast", seconds=5)).body == b"fast"

    assert talk(handle, use) == 2


def test_an_unreachable_server_is_a_lost_connection() -> None:
    async def run() -> None:
        with pytest.raises(ConnectionLostError, match="nothing accepts connections on port 1"):
            await HttpClient(1).request("GET", "/ping", seconds=1)

    asyncio.run(run())
