"""The stream worker: events in, histories in Feast's online store up to date within a moment.

It takes what the source has, at most a batch, changes each key's history once and acknowledges. Killed in between, it
is given the batch again and adds nothing twice. While the store does not answer it waits and tries the same batch
again: the source keeps what comes meanwhile.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ml_platform.core.clock import Clock, Sleep, sleep, utc_now
from ml_platform.core.errors import ConfigurationError, SourceDataError
from ml_platform.core.settings import Settings
from ml_platform.features.online.filling import WINDOWS_OF, HistoryView, finished_change
from ml_platform.features.online.finishing import microseconds
from ml_platform.features.online.history import History, identity_of, units_of
from ml_platform.features.online.values import OnlineStoreUnavailableError
from ml_platform.features.store import feature_store
from ml_platform.features.streaming.events import PaymentEvent, StreamEvent, parse_event
from ml_platform.features.streaming.source import EventSource, Message

if TYPE_CHECKING:
    from feast import RepoConfig

    from ml_platform.features.online.packed_store import PackedOnlineStore

MAX_BATCH = 500
_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 0.2, 5.0

Change = Callable[[Mapping[str, Any] | None], tuple[int, Mapping[str, Any]] | None]


@dataclass
class Progress:
    """What a worker did since it started."""

    events: int = 0
    rejected: int = 0
    batches: int = 0
    retries: int = 0
    last_error: str | None = None
    seconds: list[float] = field(default_factory=list)
    """Seconds of each of the last thousand batches."""


class StreamWorker:
    """Keeps the histories of every view that holds some up to date."""

    def __init__(
        self,
        store: "PackedOnlineStore",
        config: "RepoConfig",
        views: tuple[HistoryView, ...],
        clock: Clock = utc_now,
        wait: Sleep = sleep,
    ) -> None:
        self._store = store
        self._config = config
        self._views = views
        self._clock = clock
        self._wait = wait
        self.progress = Progress()

    def run(
        self,
        source: EventSource,
        stop: Callable[["StreamWorker"], bool] = lambda _: False,
        on_batch: Callable[[int], None] = lambda _: None,
    ) -> Progress:
        """Work until ``stop``, asked whenever the source has nothing more for the moment.

        Args:
            source: Where events come from.
            stop: Whether to end.
            on_batch: Told how many messages were done, after each batch.
        """
        batch: list[Message] = []
        for message in source:
            if message is not None:
                batch.append(message)
            if batch and (message is None or len(batch) >= MAX_BATCH):
                self._work(source, batch)
                on_batch(len(batch))
                batch = []
            if message is None and stop(self):
                break
        return self.progress

    def apply(self, events: list[StreamEvent]) -> None:
        """Bring events into the histories.

        Raises:
            OnlineStoreUnavailableError: When the store does not answer; some keys may be done, which is no harm.
        """
        for target in self._views:
            by_key: dict[str, list[StreamEvent]] = {}
            for event in events:
                key = getattr(event, target.key, None)
                if key is not None and (isinstance(event, PaymentEvent) or target.has_labels):
                    by_key.setdefault(key, []).append(event)
            changes = {key.encode(): _adding(target, some) for key, some in by_key.items()}
            if changes:
                self._store.revise(self._config, target.view, changes)

    def _work(self, source: EventSource, batch: list[Message]) -> None:
        started = time.perf_counter()
        events = []
        for sequence, content in batch:
            try:
                events.append(parse_event(content, self._clock()))
            except SourceDataError as error:
                source.reject(sequence, content, str(error))
                self.progress.rejected += 1
        self._apply_patiently(events)
        # Only now: a worker that is killed before is given the batch again, and its events change nothing.
        source.ack(batch[-1][0])
        self.progress.events += len(events)
        self.progress.batches += 1
        self.progress.seconds = [*self.progress.seconds[-999:], time.perf_counter() - started]

    def _apply_patiently(self, events: list[StreamEvent]) -> None:
        pause = _FIRST_WAIT_SECONDS
        while True:
            try:
                self.apply(events)
            except OnlineStoreUnavailableError as error:
                self.progress.retries += 1
                self.progress.last_error = str(error)
                self._wait(pause)
                pause = min(2 * pause, _LONGEST_WAIT_SECONDS)
            else:
                self.progress.last_error = None
                return


def open_worker(settings: Settings, clock: Clock = utc_now, wait: Sleep = sleep) -> StreamWorker:
    """Return a worker on the online store of these settings.

    Raises:
        ConfigurationError: When no feature view holds histories, or the online store is not ours.
    """
    feast = feature_store(settings)
    from ml_platform.features.online.packed_store import PackedOnlineStore

    store = feast._get_provider().online_store  # noqa: SLF001  # Feast's only way to its online store
    views = tuple(HistoryView.of(view) for view in feast.list_feature_views() if WINDOWS_OF in view.tags)
    if not views or not isinstance(store, PackedOnlineStore):
        raise ConfigurationError(
            f"There is nothing to stream into: feature_repo has no view tagged {WINDOWS_OF}, or feature_store.yaml "
            "names another online store than PackedOnlineStore."
        )
    return StreamWorker(store, feast.config, views, clock, wait)


def _adding(target: HistoryView, events: list[StreamEvent]) -> Change:
    """Return the change of one key's history that brings these events into it."""

    def change(values: Mapping[str, Any] | None) -> tuple[int, Mapping[str, Any]] | None:
        history = History.from_bytes(values[target.column] if values else None)
        changed = False
        for event in events:
            event_us, identity = microseconds(event.event_time), identity_of(event.transaction_id)
            if isinstance(event, PaymentEvent):
                changed |= history.add(event_us, identity, units_of(event.amount))
            else:
                changed |= history.learn(event_us, identity, microseconds(event.known_time), event.label)
        return finished_change(history, target) if changed else None

    return change
