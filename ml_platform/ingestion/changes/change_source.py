"""A ``Source`` over the inbox of an origin that sends changes: a database or a stream.

``refresh`` moves what is new at the origin into the inbox; everything else reads the inbox alone, so that a day can be
landed again whatever has become of the origin. Rows are kept with the origin's own columns: when one was renamed, a
new mapping applies to what came before it was noticed, too.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from ml_platform.aws.heads import HeadMovedError
from ml_platform.core.clock import Clock, Sleep, sleep, utc_now
from ml_platform.core.errors import ServiceUnavailableError
from ml_platform.core.fingerprint import fingerprint_json
from ml_platform.ingestion.changes.change import Batch, State
from ml_platform.ingestion.changes.inbox import FiledDay, Inbox
from ml_platform.ingestion.changes.rows import raw_labels, raw_transactions
from ml_platform.ingestion.day_versions import DayVersions

if TYPE_CHECKING:
    import polars as pl

_BRIEFLY = 100_000
"""Changes that are filed well within the minute that Dagster gives a sensor."""
_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 15.0


class Origin(Protocol):
    """Where changes come from."""

    def batches(self, state: State) -> Iterator[Batch]:
        """Yield what came after ``state``, in order, until there is no more; the next batch is read when asked for.

        Raises:
            ServiceUnavailableError: When the origin does not answer.
            SourceDataError: When it cannot be read until a person does something.
        """
        ...

    def acknowledge(self, state: State) -> None:
        """Let the origin forget what came up to ``state``: it is durable here. Safe to repeat."""
        ...


@dataclass(frozen=True)
class ChangeSource:
    """Payments as an origin's changes left them; ``max_changes`` bounds one ``refresh``."""

    origin: Origin
    inbox: Inbox
    columns: Mapping[str, str] = field(default_factory=dict)
    arrival_delay: timedelta = timedelta()
    max_changes: int = 500_000
    patience: timedelta = timedelta(seconds=90)
    now: Clock = utc_now
    sleep: Sleep = sleep
    after_filing: Callable[[], None] = lambda: None
    """Called when a batch is durable and the origin does not know it yet: the worst moment to die in."""

    def refresh(self, *, briefly: bool = False) -> int:
        """File what is new at the origin and return how many changes that were; an origin that is away is waited for.

        ``briefly`` is for callers with little time: no waiting, and the rest another time.

        Raises:
            ServiceUnavailableError: When it stays away for longer than ``patience``; nothing is lost.
            SourceDataError: When it cannot be read until a person does something; nothing is lost.
        """
        deadline, pause, filed = self.now() + self.patience, _FIRST_PAUSE_SECONDS, 0
        most = min(self.max_changes, _BRIEFLY) if briefly else self.max_changes
        while True:
            try:
                for count in self._file_batches(most):
                    filed += count
            except ServiceUnavailableError:
                if briefly or self.now() + timedelta(seconds=pause) > deadline:
                    raise
                self.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            except HeadMovedError:
                # Another consumer is at it, and what it files is here as well.
                return filed
            else:
                return filed

    def _file_batches(self, most: int) -> Iterator[int]:
        """File batch after batch and yield the size of each; note when there was no more to come."""
        started = self.now()
        head, etag = self.inbox.head.read()
        if head.state:
            # A crash may have come between filing and this.
            self.origin.acknowledge(head.state)
        filed = 0
        for batch in self.origin.batches(head.state):
            head, etag = self.inbox.append(batch, head, etag)
            self.after_filing()
            self.origin.acknowledge(batch.state)
            yield len(batch.changes)
            filed += len(batch.changes)
            if filed >= most:
                return
        if _complete_day(head.complete_until, self.arrival_delay) != _complete_day(started, self.arrival_delay):
            self.inbox.head.replace(head.model_copy(update={"complete_until": started}), etag)

    def days(self) -> tuple[date, date]:
        """Return the first day with a payment and the last complete day; the first is the later when there is none."""
        head, _ = self.inbox.head.read()
        last = _complete_day(head.complete_until, self.arrival_delay)
        if last is None or not head.transactions:
            return self.now().date(), self.now().date() - timedelta(days=1)
        return min(head.transactions), last

    def version(self) -> str:
        """Return a fingerprint that changes with every batch, and when a day becomes complete."""
        head, _ = self.inbox.head.read()
        return fingerprint_json([head.sequence, head.complete_until, dict(self.columns)])

    def versions(self, first: date, last: date) -> DayVersions:
        """Return the batch that touched each day last; another mapping of columns makes other versions."""
        head, _ = self.inbox.head.read()
        mapping = fingerprint_json(dict(self.columns))[:8]

        def of(filed: Mapping[date, FiledDay]) -> dict[date, str]:
            return {day: f"{entry.version}-{mapping}" for day, entry in filed.items()}

        return DayVersions(of(head.transactions), of(head.labels)).between(first, last)

    def transactions(self, first: date, last: date) -> "pl.DataFrame":
        """Return the payments of the days as they are now; see ``Source``."""
        return raw_transactions(self.inbox.rows("transactions", _span(first, last)), self.columns)

    def labels_known(self, first: date, last: date) -> "pl.DataFrame":
        """Return everything that became known on the days; see ``Source``."""
        return raw_labels(self.inbox.rows("labels", _span(first, last)), self.columns)


def _complete_day(until: datetime | None, arrival_delay: timedelta) -> date | None:
    """Return the last day of which everything has come."""
    return None if until is None else (until - arrival_delay).date() - timedelta(days=1)


def _span(first: date, last: date) -> Sequence[date]:
    return [first + timedelta(days=offset) for offset in range((last - first).days + 1)]
