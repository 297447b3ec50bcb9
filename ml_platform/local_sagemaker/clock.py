"""The one clock of the stand-in. Waits that AWS imposes are scaled; the customer's own computation is not."""

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True)
class Clock:
    """Real time stamps and scaled waits: with ``scale`` 0.01 a bake of 600 s takes 6 s."""

    scale: float = 1.0

    def now(self) -> datetime:
        """Return the real time, in UTC: stamps in answers, logs and captures are never scaled."""
        return datetime.now(UTC)

    def timestamp(self) -> float:
        """Return the real time as AWS JSON writes it: seconds since 1970 with milliseconds."""
        return round(time.time(), 3)

    def real_seconds(self, seconds: float) -> float:
        """Return how long a wait of so many AWS seconds takes here."""
        return seconds * self.scale

    async def sleep(self, seconds: float) -> None:
        """Wait for so many AWS seconds."""
        await asyncio.sleep(self.real_seconds(seconds))
