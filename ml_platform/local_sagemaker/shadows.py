"""Copies of requests for shadow variants: sent beside the caller's own request, not waited for, dropped when too many.

Which variants get a copy is ``fleets``' business, what a copy is ``runtime``'s.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

MAX_COPIES = 64
"""Copies of one fleet under way at a time; a shadow variant that falls further behind misses requests."""


class Copies:
    """The copies of one fleet that are under way."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def full(self) -> bool:
        """Whether another copy would be too many."""
        return len(self._tasks) >= MAX_COPIES

    def start(self, work: Coroutine[Any, Any, Any], spawn: Any) -> None:
        """Let a copy go its way."""
        task = spawn(work, "a shadow variant's copy")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def cancel(self) -> None:
        """End all copies: nobody waits for their answers."""
        for task in self._tasks:
            task.cancel()
