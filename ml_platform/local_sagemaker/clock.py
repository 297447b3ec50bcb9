"""The one clock of the stand-in. Waits that AWS imposes are scaled and can be skipped; computation is neither.

Time stamps are always real: in answers, logs and captures. Only waiting is shortened. Periods of alarms and minutes of
scaling are waits too: they are cut from ``position``, which moves with the steps.
"""

import asyncio
import math
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

Mark = tuple[str, float]
"""A moment of one clock: its name, and what has gone by on it. It can be stored."""
# Up to so many seconds are stepped over by so many at a time, so that whoever looks each minute misses none; the rest
# is one step.
STRIDES = ((3600, 10), (86_400, 60))
# Tasks that a step wakes may need to wake others before the next one.
TURNS = 3
# At a scale of (nearly) 0 a minute is still long enough to tell its values from another's.
LEAST_MINUTE_SECONDS = 0.05


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
        self._ahead = 0.0
        self._held: float | None = None
        self.followers: list[Callable[[], Awaitable[None]]] = []
        """What looks by itself every so often, and must look after every step too."""

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

    @property
    def position(self) -> float:
        """Where the time of metrics stands, in seconds since 1970: real time, moved by steps, still while frozen."""
        return (time.time() if self._held is None else self._held) + self._ahead

    @property
    def ahead(self) -> float:
        """By how many real seconds the steps so far have moved the time of metrics."""
        return self._ahead

    def go_on(self, ahead: float) -> None:
        """Let the time of metrics go on where a clock before this one left it."""
        self._ahead = max(self._ahead, ahead)

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
        self._ahead += seconds * max(self.scale, LEAST_MINUTE_SECONDS / 60)
        self._wake()

    async def pass_by(self, seconds: float) -> None:
        """Advance in small steps; after each, what looks by itself has looked, and what waited goes on."""
        for step in _steps(seconds):
            self.advance(step)
            for follow in self.followers:
                await follow()
            for _ in range(TURNS):
                await asyncio.sleep(0)

    def rescale(self, scale: float) -> None:
        """Let the rest of the waits under way, and all to come, pass at another pace; 0: at once."""
        self._elapsed = self.elapsed_seconds
        self._since = time.monotonic()
        self.scale = scale
        self._wake()

    def freeze(self) -> None:
        """Let no AWS time go by from now on but by ``advance``."""
        self._elapsed, self.frozen = self.elapsed_seconds, True
        self._held = time.time() if self._held is None else self._held
        self._wake()

    def thaw(self) -> None:
        """Let time go by again, from where it stands."""
        self._elapsed = self.elapsed_seconds
        self._since, self.frozen = time.monotonic(), False
        self._ahead -= 0.0 if self._held is None else time.time() - self._held
        self._held = None
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


def _steps(seconds: float) -> Iterator[float]:
    gone = 0.0
    for until, stride in STRIDES:
        while gone < min(until, seconds):
            step = min(stride, seconds - gone)
            gone += step
            yield step
    if gone < seconds:
        yield seconds - gone
