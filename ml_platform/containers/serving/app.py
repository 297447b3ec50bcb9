"""The HTTP side of a served model: a bare ASGI app.

``GET /ping`` (200: this process has scored a row), ``POST /invocations``, ``GET /execution-parameters``. What a caller
wants beside scores, reasons for example, it says in ``X-Amzn-SageMaker-Custom-Attributes`` (``modeling.asked``).
Errors are JSON: ``{"error": "one sentence"}``.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ml_platform.containers.serving.model import ServedModel
from ml_platform.modeling.asked import Asked
from ml_platform.modeling.codec import RequestError
from ml_platform.modeling.contract import JSON

_log = logging.getLogger(__name__)

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

# A body above this takes milliseconds to score: do that beside the event loop, so that /ping stays prompt.
INLINE_BYTES = 64 * 1024
REASONS_COST = 16
"""How many times a score a reason costs, about: `make bench-reasons`."""
_TRANSFORM_PAYLOAD_MB = 6
CUSTOM_ATTRIBUTES = b"x-amzn-sagemaker-custom-attributes"


class PayloadTooLargeError(RequestError):
    """The body is larger than the server takes."""

    status = 413


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP response."""

    status: int
    body: bytes = b""
    content_type: str = JSON

    @classmethod
    def error(cls, status: int, message: str) -> "Reply":
        """A response that tells the caller what is wrong."""
        return cls(status, json.dumps({"error": message}).encode())


@dataclass(frozen=True, slots=True)
class ServingApp:
    """ASGI application around one model."""

    model: ServedModel
    max_payload_bytes: int
    default_accept: str = JSON

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        reply = await self._reply(scope, receive)
        headers = [
            (b"content-type", reply.content_type.encode()),
            (b"content-length", str(len(reply.body)).encode()),
            # SageMaker hands this one header back to the caller: it says which model answered.
            (CUSTOM_ATTRIBUTES, f"fingerprint={self.model.artifact.fingerprint}".encode()),
        ]
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})

    async def _reply(self, scope: Scope, receive: Receive) -> Reply:
        route = (scope["method"], scope["path"])
        try:
            if route == ("POST", "/invocations"):
                return await self._invoke(scope["headers"], receive)
            if route == ("GET", "/ping"):
                return Reply(200)
            if route == ("GET", "/execution-parameters"):
                return Reply(200, json.dumps(self._execution_parameters()).encode())
        except RequestError as error:
            return Reply.error(error.status, str(error))
        except Exception:  # noqa: BLE001 - one request must never take the server down
            # The log names the defect; the body may hold personal data and is not logged.
            _log.exception("invocation failed")
            return Reply.error(500, "the model failed on this request; the container's log says why")
        known = {"/ping", "/invocations", "/execution-parameters"}
        return Reply.error(405, "wrong method") if route[1] in known else Reply.error(404, "no such route")

    async def _invoke(self, raw_headers: Iterable[tuple[bytes, bytes]], receive: Receive) -> Reply:
        headers = dict(raw_headers)
        body = await self._body(headers, receive)
        content_type = headers.get(b"content-type", JSON.encode()).decode("latin-1")
        accept = headers.get(b"accept", b"").decode("latin-1")
        if accept.strip() in {"", "*/*"}:
            accept = self.default_accept
        asked = Asked.read(headers.get(CUSTOM_ATTRIBUTES, b"").decode("latin-1"))
        if len(body) <= (INLINE_BYTES // REASONS_COST if asked.reasons else INLINE_BYTES):
            content, form = self.model.answer(body, content_type, accept, asked)
        else:
            content, form = await asyncio.to_thread(self.model.answer, body, content_type, accept, asked)
        return Reply(200, content, form)

    async def _body(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        """Read the body, but no more of it than the limit."""
        if int(headers.get(b"content-length", b"0")) > self.max_payload_bytes:
            raise self._too_large()
        chunks, size, more = [], 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise RequestError("the caller went away")
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > self.max_payload_bytes:
                raise self._too_large()
            chunks.append(chunk)
            more = message.get("more_body", False)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _too_large(self) -> PayloadTooLargeError:
        return PayloadTooLargeError(f"the body is larger than {self.max_payload_bytes / 2**20:g} MB")

    def _execution_parameters(self) -> dict[str, Any]:
        """What batch transform asks for when the job leaves it open."""
        limit = max(self.max_payload_bytes // 2**20, 1)
        return {
            "MaxConcurrentTransforms": 1,
            "BatchStrategy": "MULTI_RECORD",
            "MaxPayloadInMB": min(limit, _TRANSFORM_PAYLOAD_MB),
        }
