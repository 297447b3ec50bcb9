"""A streamed answer is read as it comes, and every way in which it can end is told apart."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from ml_platform.local_sagemaker.http_client import ConnectionLostError
from ml_platform.local_sagemaker.http_streams import MOST_BUFFERED_BYTES, StreamedAnswer, open_stream

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


async def ask(serve: Serve, use: Callable[[StreamedAnswer], Awaitable[None]], seconds: float = 5) -> None:
    async def read_first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A connection that is closed with unread input is reset.
        await reader.readuntil(b"\r\n\r\n1")
        try:
            await serve(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(read_first, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        answer = await open_stream(port, "/invocations", headers={}, body=b"1", seconds=seconds)
        try:
            await use(answer)
        finally:
            answer.close()


def test_parts_are_there_before_the_end() -> None:
    read = asyncio.Event()

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED + b"2\r\nab\r\n")
        await read.wait()
        writer.write(b"1\r\nc\r\n0\r\n\r\n")

    async def use(answer: StreamedAnswer) -> None:
        parts = answer.chunks(5)
        assert await anext(parts) == b"ab"
        read.set()
        assert [part async for part in parts] == [b"c"]

    asyncio.run(ask(serve, use))


def test_a_body_without_a_length_ends_with_its_connection() -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nall of it")
        writer.close()

    async def use(answer: StreamedAnswer) -> None:
        assert b"".join([part async for part in answer.chunks(5)]) == b"all of it"

    asyncio.run(ask(serve, use))


@pytest.mark.parametrize("rest", [b"2\r\nab\r\n", b"zz\r\nnot a length\r\n"], ids=["cut short", "not HTTP"])
def test_a_broken_body_is_a_lost_connection(rest: bytes) -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED + rest)
        writer.close()

    async def use(answer: StreamedAnswer) -> None:
        with pytest.raises(ConnectionLostError):
            [part async for part in answer.chunks(5)]

    asyncio.run(ask(serve, use))


def test_a_body_that_does_not_end_in_time_is_told() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED + b"1\r\na\r\n")
        await reader.read()

    async def use(answer: StreamedAnswer) -> None:
        parts = answer.chunks(0.1)
        assert await anext(parts) == b"a"
        with pytest.raises(TimeoutError):
            await anext(parts)

    asyncio.run(ask(serve, use))


def test_nobody_listening_and_nobody_answering_are_told_apart() -> None:
    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async def never(_: StreamedAnswer) -> None:
        raise AssertionError("it answered")

    with pytest.raises(TimeoutError):
        asyncio.run(ask(silent, never, seconds=0.1))
    with pytest.raises(ConnectionLostError, match="nothing accepts connections"):
        asyncio.run(open_stream(1, "/invocations", headers={}, body=b"", seconds=1))


def test_a_slow_reader_slows_the_server_down() -> None:
    written: list[int] = []

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 64000000\r\n\r\n")
        for _number in range(1000):
            writer.write(b"x" * 64_000)
            await writer.drain()
            written.append(64_000)

    async def use(answer: StreamedAnswer) -> None:
        before = -1
        while before != len(written):
            before = len(written)
            await asyncio.sleep(0.2)
        assert sum(written) < 64_000_000, "the server wrote everything though nobody read"
        sizes = [len(part) async for part in answer.chunks(20)]
        assert sum(sizes) == 64_000_000
        assert max(sizes) <= MOST_BUFFERED_BYTES

    asyncio.run(ask(serve, use))
