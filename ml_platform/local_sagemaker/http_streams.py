"""An HTTP answer of a model server, read as it comes: for streamed invocations. Whole answers are ``http_client``'s.

Each streamed request has a connection of its own, which ends with it. A reader that is slow slows the server down.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from typing import cast

import httptools

from ml_platform.local_sagemaker.http_client import CONNECT_SECONDS, Answer, ConnectionLostError, encode_request

# What may lie between server and reader before the server has to wait.
MOST_BUFFERED_BYTES = 1 << 20


class StreamedAnswer(asyncio.Protocol):
    """An answer whose status and headers (lower case) are there, and whose body is on its way."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.on_close: Callable[[], object] = lambda: None
        self._parser = httptools.HttpResponseParser(self)
        self._chunks: deque[bytes] = deque()
        self._buffered = 0
        self._complete = self._closed = False
        self._failure: str | None = None
        self._changed = asyncio.Event()
        self._transport: asyncio.Transport | None = None

    async def headers_complete(self) -> None:
        """Wait for status and headers.

        Raises:
            ConnectionLostError: When the server hangs up before.
        """
        while not self.status:
            if self._failure is not None:
                raise ConnectionLostError(self._failure)
            await self._next_change()

    async def chunks(self, seconds: float) -> AsyncIterator[bytes]:
        """Yield the body's parts as they arrive.

        Raises:
            ConnectionLostError: When the server hangs up before the end.
            TimeoutError: When the whole body has not come after so long.
        """
        deadline = asyncio.get_running_loop().time() + seconds
        while True:
            while self._chunks:
                yield self._take()
            if self._complete:
                return
            if self._failure is not None:
                raise ConnectionLostError(self._failure)
            async with asyncio.timeout_at(deadline):
                await self._next_change()

    def close(self) -> None:
        """End the exchange, whatever is left of it."""
        if not self._closed:
            self._closed = True
            if self._transport is not None:
                self._transport.abort()
            self.on_close()

    def send(self, request: bytes) -> None:
        """Send the request, once."""
        assert self._transport is not None  # noqa: S101 - made by create_connection
        self._transport.write(request)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection (asyncio)."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Read on (asyncio)."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(f"the server's answer is not HTTP: {error}")

    def connection_lost(self, exc: Exception | None) -> None:
        """Judge whether the answer is complete (asyncio)."""
        # Without a length, the end of the connection is the end of the body.
        ends = not {"content-length", "transfer-encoding"} & self.headers.keys()
        if self.status and ends and exc is None:
            self.on_message_complete()
        self._fail(f"the server closed the connection before it had answered{f': {exc}' if exc else ''}")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header (httptools)."""
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Tell that the answer has begun (httptools)."""
        status = self._parser.get_status_code()
        if status < 200:  # noqa: PLR2004 - interim answers precede the real one
            self.headers.clear()
            return
        self.status = status
        self._changed.set()

    def on_body(self, body: bytes) -> None:
        """Take a part (httptools)."""
        self._chunks.append(body)
        self._buffered += len(body)
        if self._buffered > MOST_BUFFERED_BYTES and self._transport is not None:
            with suppress(RuntimeError):  # paused already
                self._transport.pause_reading()
        self._changed.set()

    def on_message_complete(self) -> None:
        """Tell that the answer is complete (httptools)."""
        if self.status:
            self._complete = True
            self._changed.set()

    def _take(self) -> bytes:
        chunk = self._chunks.popleft()
        self._buffered -= len(chunk)
        if self._buffered <= MOST_BUFFERED_BYTES and self._transport is not None and not self._closed:
            self._transport.resume_reading()
        return chunk

    async def _next_change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def _fail(self, reason: str) -> None:
        self._failure = self._failure or reason
        self._changed.set()


def replay(whole: Answer, on_close: Callable[[], object]) -> StreamedAnswer:
    """Return an answer that is there already as one that comes."""
    answer = StreamedAnswer()
    answer.on_close = on_close
    answer.status, answer.headers = whole.status, whole.headers
    answer.on_body(whole.body)
    answer.on_message_complete()
    return answer


async def open_stream(
    port: int, path: str, *, headers: Mapping[str, str], body: bytes, seconds: float
) -> StreamedAnswer:
    """POST to a port on loopback; return when status and headers of the answer are there. The caller closes it.

    Raises:
        ConnectionLostError: When the server cannot be reached or hangs up.
        TimeoutError: When the answer does not begin within ``seconds``.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            _, answer = await loop.create_connection(StreamedAnswer, "127.0.0.1", port)
    except (OSError, TimeoutError) as error:
        raise ConnectionLostError(f"nothing accepts connections on port {port}: {error}") from error
    try:
        answer.send(encode_request("POST", path, headers, body))
        async with asyncio.timeout(seconds):
            await answer.headers_complete()
    except BaseException:
        answer.close()
        raise
    return answer
