"""ministack, with its state written while it runs and not only when it is stopped.

``python -m ml_platform.cli.ground_server`` starts it.

ministack keeps S3 on disk and all else in memory until it ends in order; a ``kill -9`` lost queues, topics, rules,
tables, streams and roles. It has no way to be asked for its state, so its own function for that is called from within
its own process. The rest of it is untouched, and how it is configured is ``service_specs.ground``.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Scope]]
Send = Callable[[Scope], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

PAUSE_SECONDS = 1.0
# All services stand still while the state is written: at most a tenth of the time.
LARGEST_SHARE = 0.1
ONLY_READ = (b"Describe", b"List", b"GetLogEvents")
"""How the actions begin that a command repeats while it waits for a job."""


class Keeping:
    """An ASGI application whose state is saved soon after each request that may have changed it.

    Args:
        application: The services.
        save: Writes all state; called between two requests, and never at once after the last time.
    """

    def __init__(self, application: Application, save: Callable[[], None]) -> None:
        self._application = application
        self._save = save
        self._changed = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a connection; with the server's own life, the writing begins and ends."""
        if scope["type"] != "lifespan":
            await self._application(scope, receive, send)
            if may_change(scope):
                self._changed.set()
            return
        writing = asyncio.create_task(self._write())
        try:
            # ministack saves once more itself when it is stopped.
            await self._application(scope, receive, send)
        finally:
            writing.cancel()
            with suppress(asyncio.CancelledError):
                await writing

    async def _write(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            began = time.perf_counter()
            self._save()
            await asyncio.sleep(max(PAUSE_SECONDS, (time.perf_counter() - began) / LARGEST_SHARE))


def may_change(scope: Scope) -> bool:
    """Whether a request may have changed what only memory holds: of S3 the settings of buckets, not objects."""
    if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
        return False
    headers = dict(scope["headers"])
    if headers.get(b"x-amz-target", b"").partition(b".")[2].startswith(ONLY_READ):
        return False
    return b"/s3/aws4_request" not in headers.get(b"authorization", b"") or bool(scope["query_string"])


def main() -> None:
    """Serve, as ministack's own command does."""
    from ministack import app as ministack  # type: ignore[import-untyped]

    def save() -> None:
        # Private, and the version is pinned: a test kills it and finds all kinds of state.
        ministack.save_all(ministack._build_persistence_save_dict())  # noqa: SLF001

    ministack.app = Keeping(ministack.app, save)
    ministack.main()


if __name__ == "__main__":
    main()
