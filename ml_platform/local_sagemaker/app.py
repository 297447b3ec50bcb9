"""HTTP in and out: an ASGI application over one ``Service``.

``POST /`` is the control plane, ``/endpoints/...`` SageMaker Runtime, ``/service/...`` CloudWatch, ``GET /health`` and
``/_stand-in/...`` are ours. Kept free of a web framework, whose layers would be the larger part of an invocation's
overhead.
"""

import asyncio
import ipaddress
import json
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from typing import Any

from ml_platform.local_sagemaker import admin, operations, protocol, reset, runtime
from ml_platform.local_sagemaker.autoscaling import operations as autoscaling
from ml_platform.local_sagemaker.cloudwatch import wire
from ml_platform.local_sagemaker.protocol import Reply, StreamedReply
from ml_platform.local_sagemaker.service import Service

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
# SageMaker refuses larger control-plane requests and invocations (25 MB since 2025).
MAX_BODY_BYTES = 26_214_400
RESET = f"{admin.PREFIX}reset"


LOOPBACK = re.compile(r"(localhost|127(\.\d+){3}|\[::1\])(:\d+)?")


class ClientDisconnectedError(Exception):
    """The client went away before its request was complete: half a request is none."""


class App:
    """The ASGI application. ``build`` makes the service once the event loop runs.

    Requests must be addressed to loopback by name unless ``any_host``: a web page whose name was pointed at 127.0.0.1
    could otherwise start programs here through the visitor's browser.
    """

    def __init__(self, build: Callable[[], Service], *, any_host: bool = False) -> None:
        self._build = build
        self._any_host = any_host
        self._service: Service | None = None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one connection's scope."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self._service = self._build()
                await operations.recover(self._service)
                await send({"type": "lifespan.startup.complete"})
            else:
                if self._service:
                    await self._service.close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _http(self, scope: Message, receive: Receive, send: Send) -> None:
        headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
        try:
            body = await _read_body(receive)
        except ClientDisconnectedError:
            return
        if not self._any_host and not LOOPBACK.fullmatch(headers.get("host", "")):
            reply: Reply | StreamedReply = Reply(403, b"This service answers requests to 127.0.0.1 and localhost only.")
        elif body is None:
            reply = Reply(413, b"")
        elif scope["path"].startswith(admin.PREFIX) and not _is_local(scope.get("client")):
            # Even where other machines may use SageMaker, they do not decide what fails here.
            reply = Reply(403, b"Only programs on the stand-in's own machine may ask for this.")
        else:
            reply = await self._answer(scope["method"], scope["path"], headers, body)
        fields = [(key.lower().encode(), value.encode("latin-1")) for key, value in reply.headers.items()]
        if isinstance(reply, StreamedReply):
            await send({"type": "http.response.start", "status": reply.status, "headers": fields})
            await _send_parts(reply.parts, receive, send)
            return
        fields.append((b"content-length", str(len(reply.body)).encode()))
        await send({"type": "http.response.start", "status": reply.status, "headers": fields})
        await send({"type": "http.response.body", "body": reply.body})

    async def _answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Reply | StreamedReply:
        service = self._service
        assert service is not None  # noqa: S101 - uvicorn serves only after start-up
        if path.startswith("/endpoints/"):
            return await runtime.invoke(service, method, path, headers, body)
        if path.startswith(admin.PREFIX):
            return await _administer(service, method, path, headers, body)
        if method == "GET" and path == "/health":
            return Reply(200, json.dumps({"status": "ready"}).encode(), {"content-type": "application/json"})
        if asked := wire.operation_of(method, path, headers):
            return await wire.answer(service, *asked, headers, body)
        target = headers.get("x-amz-target", "")
        if method == "POST" and target.startswith(autoscaling.TARGET_PREFIX):
            return await autoscaling.answer(service, target, body)
        known = method == "POST" and path == "/"
        return await protocol.answer(service, target, body) if known else Reply(404, b"")


async def _administer(service: Service, method: str, path: str, headers: dict[str, str], body: bytes) -> Reply:
    if (method, path) == ("POST", RESET) and "origin" not in headers:
        await reset.forget_everything(service)
        return Reply(200, b'{"reset": true}', {"content-type": "application/json"})
    return await admin.answer(service, method, path, headers, body)


async def _send_parts(parts: AsyncGenerator[bytes, None], receive: Receive, send: Send) -> None:
    """Send an answer as it comes, for as long as somebody listens."""
    gone = asyncio.ensure_future(receive())
    try:
        while True:
            part = asyncio.ensure_future(anext(parts, None))
            await asyncio.wait({part, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not part.done():
                part.cancel()
                await asyncio.wait({part})
                return
            content = part.result()
            await send({"type": "http.response.body", "body": content or b"", "more_body": content is not None})
            if content is None or gone.done():
                return
    finally:
        gone.cancel()
        await parts.aclose()


def _is_local(client: tuple[str, int] | None) -> bool:
    return client is not None and ipaddress.ip_address(client[0]).is_loopback


async def _read_body(receive: Receive) -> bytes | None:
    """Return the whole body, or None when it is larger than AWS takes."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnectedError
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MAX_BODY_BYTES:
            return None
        if not message.get("more_body"):
            return b"".join(parts)
