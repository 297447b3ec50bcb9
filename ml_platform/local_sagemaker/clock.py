"""The one clock of the stand-in. Waits that AWS imposes are scaled and can be skipped; computation is neither.

Time stamps are always real: in answers, logs and captures. Only waiting is shortened.
"""

import asyncio
import math
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

Mark = tuple[str, float]
"""A moment of one clock: its name, and what has gone by on it. It can be stored."""


class Clock:
    """Real time stamps and AWS's waits: with ``scale`` 0.01 a bake of 600 s takes 6 s, with ``advance`` none.

    A frozen clock moves by ``advance`` only: a wait then ends when a test says so, and not before.
    """

    def __init__(self, scale: float = 1.0) -> None:
        self.scale = scale
        self.frozen = False
        self._name = uuid.uuid4().hex
        self._elapsed = 0.0
        self._since = time.monotonic()
        self._changed = asyncio.Event()

    def now(self) -> datetime:
        """Return the real time, in UTC."""
        return datetime.now(UTC)

    def timestamp(self) -> float:
        """Return the real time as AWS JSON writes it: seconds since 1970 with milliseconds."""
        return round(time.time(), 3)

    def real_seconds(self, seconds: float) -> float:
        """Return how long a wait of so many AWS seconds takes here."""
        return seconds * self.scale

    @property
    def elapsed_seconds(self) -> float:
        """How many AWS seconds of waiting have gone by since the start."""
        moving = self.scale > 0 and not self.frozen
        return self._elapsed + ((time.monotonic() - self._since) / self.scale if moving else 0.0)

    def mark(self) -> Mark:
        """Return this moment for ``seconds_since``."""
        return (self._name, self.elapsed_seconds)

    def seconds_since(self, timestamp: float, mark: Sequence[Any] | None) -> float:
        """Return how many AWS seconds have gone by since a stored moment; without end where there are no waits.

        Args:
            timestamp: The moment's real time, which counts after a restart: steps are not remembered over one.
            mark: What ``mark`` told then.
        """
        if self.scale == 0 and not self.frozen:
            return math.inf
        if mark is not None and mark[0] == self._name:
            return self.elapsed_seconds - float(mark[1])
        return (time.time() - timestamp) / self.scale if self.scale else 0.0

    def advance(self, seconds: float) -> None:
        """Let so many AWS seconds have gone by: every wait under way is that much shorter."""
        self._elapsed += seconds
        self._wake()

    def rescale(self, scale: float) -> None:
        """Let the rest of the waits under way, and all to come, pass at another pace; 0: at once."""
        self._elapsed = self.elapsed_seconds
        self._since = time.monotonic()
        self.scale = scale
        self._wake()

    def freeze(self) -> None:
        """Let no AWS time go by from now on but by ``advance``."""
        self._elapsed, self.frozen = self.elapsed_seconds, True
        self._wake()

    def thaw(self) -> None:
        """Let time go by again, from where it stands."""
        self._elapsed = self.elapsed_seconds
        self._since, self.frozen = time.monotonic(), False
        self._wake()

    async def sleep(self, seconds: float) -> None:
        """Wait for so many AWS seconds."""
        until = self.elapsed_seconds + seconds
        await asyncio.sleep(0)
        while (self.frozen or self.scale > 0) and (left := until - self.elapsed_seconds) > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(None if self.frozen else self.real_seconds(left)):
                    await self._changed.wait()

    def _wake(self) -> None:
        # Those who wait now are told; a new event is there for those who wait next.
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
