"""The one clock of the stand-in. Waits that AWS imposes are scaled and can be skipped; computation is neither.

Time stamps are always real: in answers, logs and captures. Only waiting is shortened.
"""

import asyncio
import time
from contextlib import suppress
from datetime import UTC, datetime


class Clock:
    """Real time stamps and AWS's waits: with ``scale`` 0.01 a bake of 600 s takes 6 s, with ``advance`` none."""

    def __init__(self, scale: float = 1.0) -> None:
        self.scale = scale
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
        running = (time.monotonic() - self._since) / self.scale if self.scale > 0 else 0.0
        return self._elapsed + running

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

    async def sleep(self, seconds: float) -> None:
        """Wait for so many AWS seconds."""
        until = self.elapsed_seconds + seconds
        await asyncio.sleep(0)
        while self.scale > 0 and (left := until - self.elapsed_seconds) > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(self.real_seconds(left)):
                    await self._changed.wait()

    def _wake(self) -> None:
        # Those who wait now are told; a new event is there for those who wait next.
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
