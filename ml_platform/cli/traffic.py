"""Client traffic for the demo: a day of payments scored one by one, and a steady client during a deployment."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from itertools import islice
from typing import Any

from ml_platform.core.errors import MLPlatformError
from ml_platform.core.settings import Settings
from ml_platform.scoring.transaction import Scorer

CLIENTS = 4
LOOKUP_BATCH = 100
ERRORS_KEPT = 5

Features = Mapping[str, float | None]


@dataclass
class Tally:
    """Requests sent and failed, with the first few errors."""

    sent: int = 0
    failed: int = 0
    errors: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def count(self, error: MLPlatformError | None) -> None:
        """Count one request; thread-safe."""
        with self._lock:
            self.sent += 1
            if error is not None:
                self.failed += 1
                self.errors.extend([str(error)] if len(self.errors) < ERRORS_KEPT else [])


def replay_day(settings: Settings, scorer: Scorer, day: date, tally: Tally) -> None:
    """Score a day's payments through the endpoint, each under its transaction id, features from the online store."""
    with ThreadPoolExecutor(CLIENTS) as clients:
        for features, transaction_id in _requests_of(settings, day):
            clients.submit(_send, scorer, features, transaction_id, tally)


@contextmanager
def steady_client(scorer: Scorer, features: Features, tally: Tally) -> Iterator[None]:
    """Send the same request without pause for the length of the block: a swap must not fail one."""
    done = threading.Event()

    def send_until_done() -> None:
        number = 0
        while not done.is_set():
            _send(scorer, features, f"steady-{number}", tally)
            number += 1

    client = threading.Thread(target=send_until_done, name="steady-client")
    client.start()
    try:
        yield
    finally:
        done.set()
        client.join()


def features_of_day(settings: Settings, day: date, count: int) -> list[Features]:
    """Return the online features of the first payments of a day."""
    return [features for features, _ in islice(_requests_of(settings, day), count)]


def _send(scorer: Scorer, features: Features, transaction_id: str, tally: Tally) -> None:
    try:
        scorer.score(features, transaction_id)
    except MLPlatformError as error:
        tally.count(error)
    else:
        tally.count(None)


def _requests_of(settings: Settings, day: date) -> Iterator[tuple[Features, str]]:
    from ml_platform.features.online.reader import OnlineFeatures
    from ml_platform.ingestion.source import open_source

    online = OnlineFeatures(settings)
    payments = open_source(settings).transactions(day, day).to_dicts()
    for start in range(0, len(payments), LOOKUP_BATCH):
        batch: Sequence[Mapping[str, Any]] = payments[start : start + LOOKUP_BATCH]
        looked_up = online.read(
            [
                {
                    "customer_id": payment["customer_id"],
                    "terminal_id": payment["terminal_id"],
                    "amount": payment["amount"],
                    "transaction_time": payment["event_time"],
                }
                for payment in batch
            ]
        )
        yield from zip(looked_up, (payment["transaction_id"] for payment in batch), strict=True)
