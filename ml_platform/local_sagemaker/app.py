"""HTTP in and out: an ASGI application over one ``Service``.

``POST /`` is the control plane, ``/endpoints/...`` SageMaker Runtime, ``GET /health`` ours. Kept free of a web
framework, whose layers would be the larger part of an invocation's overhead.
"""

import importlib
import importlib.util
import json
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from ml_platform.local_sagemaker import protocol
from ml_platform.local_sagemaker.protocol import Reply
from ml_platform.local_sagemaker.service import Service, load_operations

logger = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
# SageMaker refuses larger control-plane requests and invocations (25 MB since 2025).
MAX_BODY_BYTES = 26_214_400
RECOVERING_MODULES = ("training", "transform", "hosting")


class App:
    """The ASGI application. ``build`` makes the service once the event loop runs."""

    def __init__(self, build: Callable[[], Service]) -> None:
        self._build = build
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
                load_operations()
                self._service = self._build()
                await recover(self._service)
                await send({"type": "lifespan.startup.complete"})
            else:
                if self._service:
                    await self._service.close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _http(self, scope: Message, receive: Receive, send: Send) -> None:
        body = await _read_body(receive)
        if body is None:
            reply = Reply(413, b"")
        else:
            headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
            reply = await self._answer(scope["method"], scope["path"], headers, body)
        fields = [(key.lower().encode(), value.encode("latin-1")) for key, value in reply.headers.items()]
        fields.append((b"content-length", str(len(reply.body)).encode()))
        await send({"type": "http.response.start", "status": reply.status, "headers": fields})
        await send({"type": "http.response.body", "body": reply.body})

    async def _answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Reply:
        service = self._service
        assert service is not None  # noqa: S101 - uvicorn serves only after start-up
        if path.startswith("/endpoints/"):
            runtime = importlib.import_module("ml_platform.local_sagemaker.runtime")
            reply: Reply = await runtime.invoke(service, method, path, headers, body)
            return reply
        if method == "GET" and path == "/health":
            return Reply(200, json.dumps({"status": "ready"}).encode(), {"content-type": "application/json"})
        if method == "POST" and path == "/":
            return await protocol.answer(service, headers.get("x-amz-target", ""), body)
        return Reply(404, b"")


async def recover(service: Service) -> None:
    """Bring every kind of resource back after a stop or a crash: each module that has a ``recover`` knows how."""
    for name in RECOVERING_MODULES:
        full_name = f"ml_platform.local_sagemaker.{name}"
        if importlib.util.find_spec(full_name):
            module = importlib.import_module(full_name)
            if hasattr(module, "recover"):
                await module.recover(service)


async def _read_body(receive: Receive) -> bytes | None:
    """Return the whole body, or None when it is larger than AWS takes."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MAX_BODY_BYTES:
            return None
        if not message.get("more_body"):
            return b"".join(parts)
