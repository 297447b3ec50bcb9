"""A pooled HTTP/1.1 client for one model server on loopback: the hop that every invocation pays for.

Only what a proxy needs: requests with a complete body, answers read whole, connections kept alive. A general client
spends several times the processor time of the hop itself here. Choosing a server and retrying is ``runtime``'s.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

import httptools

CONNECT_SECONDS = 2.0


class ConnectionLostError(Exception):
    """The server closed the connection, or cannot be reached, before it answered completely."""


@dataclass(slots=True)
class Answer:
    """A complete HTTP answer; header names are lower case."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class _Connection(asyncio.Protocol):
    """One connection, carrying one exchange at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answered: asyncio.Future[Answer] | None = None
        self.reusable = True
        self._reset()

    def _reset(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._answer = Answer()
        self._chunks: list[bytes] = []
        self._headers_complete = False

    async def exchange(self, request: bytes) -> Answer:
        if self._transport is None or not self.reusable:
            raise ConnectionLostError("the connection is closed")
        self._reset()
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answered

    def close(self) -> None:
        self.reusable = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(f"the server's answer is not HTTP: {error}")
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.reusable = False
        # Without a length, the end of the connection is the end of the body.
        if exc is None and self._headers_complete and self._ends_with_connection():
            self.on_message_complete()
        self._fail(f"the server closed the connection before it answered{f': {exc}' if exc else ''}")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._answer.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._headers_complete = True

    def on_body(self, body: bytes) -> None:
        self._chunks.append(body)

    def on_message_complete(self) -> None:
        if self._parser.get_status_code() < 200:  # noqa: PLR2004 - interim answers precede the real one
            return
        self._answer.status = self._parser.get_status_code()
        self._answer.body = b"".join(self._chunks)
        self.reusable = self.reusable and self._parser.should_keep_alive()
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(self._answer)

    def _ends_with_connection(self) -> bool:
        return not {"content-length", "transfer-encoding"} & self._answer.headers.keys()

    def _fail(self, reason: str) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(ConnectionLostError(reason))


class HttpClient:
    """Sends requests to one port on loopback over connections that are kept for the next request."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._idle: list[_Connection] = []

    async def request(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, body: bytes = b"", seconds: float
    ) -> Answer:
        """Send one request and return the complete answer.

        Raises:
            ConnectionLostError: When the server cannot be reached or hangs up before it answered.
            TimeoutError: When it did not answer within ``seconds``.
        """
        request = encode_request(method, path, headers or {}, body)
        connection = await self._borrow()
        try:
            async with asyncio.timeout(seconds):
                answer = await connection.exchange(request)
        except BaseException:
            # A late answer must never reach the next request.
            connection.close()
            raise
        if connection.reusable:
            self._idle.append(connection)
        else:
            connection.close()
        return answer

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop().close()

    async def _borrow(self) -> _Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.reusable:
                return connection
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                _, connection = await asyncio.get_running_loop().create_connection(_Connection, "127.0.0.1", self.port)
        except (OSError, TimeoutError) as error:
            raise ConnectionLostError(f"nothing accepts connections on port {self.port}: {error}") from error
        return connection


def encode_request(method: str, path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """Return a request with a complete body, as it goes over the wire."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
