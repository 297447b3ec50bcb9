"""Where transactions and labels come from: the simulator, files, a database or a stream, behind one protocol.

Rows come as the source has them, under our column names; judging them is ``quality``.
"""

import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Protocol

from ml_platform.aws.objects import ObjectStore
from ml_platform.aws.secrets import read_password
from ml_platform.core.errors import ConfigurationError
from ml_platform.core.fingerprint import fingerprint_json
from ml_platform.core.settings import SIMULATOR, Settings
from ml_platform.ingestion.changes.change_source import ChangeSource, Origin
from ml_platform.ingestion.changes.cursor import CursorOrigin
from ml_platform.ingestion.changes.inbox import Inbox
from ml_platform.ingestion.changes.kinesis import KinesisOrigin
from ml_platform.ingestion.changes.postgres import Database, parse_postgres_address
from ml_platform.ingestion.changes.replication import ReplicationOrigin
from ml_platform.ingestion.day_versions import DayVersions
from ml_platform.ingestion.file_source import FileSource
from ml_platform.ingestion.schema import PARTITION_DAY
from ml_platform.ingestion.simulator_parameters import SimulatorParameters
from ml_platform.ingestion.source_columns import check_mapping

if TYPE_CHECKING:
    import polars as pl

__all__ = ["FileSource", "SimulatorSource", "Source", "open_source"]


class Source(Protocol):
    """Raw payments. Frames have our column names, the source's types, and ``partition_day`` (Date), never null."""

    def transactions(self, first: date, last: date) -> "pl.DataFrame":
        """Return the transactions of the days from ``first`` to ``last``, both included; none is an empty frame.

        Raises:
            SourceDataError: When the source cannot be used at all.
        """
        ...

    def labels_known(self, first: date, last: date) -> "pl.DataFrame":
        """Return the labels that became known on the days from ``first`` to ``last``; raises like the above."""
        ...

    def days(self) -> tuple[date, date] | None:
        """Return the first and the last day with transactions, or None when the source has no end."""
        ...

    def version(self) -> str:
        """Return a fingerprint that changes when the source has something new."""
        ...

    def versions(self, first: date, last: date) -> DayVersions:
        """Return a version of each day from ``first`` to ``last`` that has rows; it changes when they do."""
        ...

    def refresh(self, *, briefly: bool = False) -> int:
        """Fetch what is new at the origin, if that is needed to see it, and return how many changes that were.

        ``briefly``: no waiting for an origin that is away, and a little at a time.
        """
        ...


@dataclass(frozen=True)
class SimulatorSource:
    """The simulated world, whose day 0 is ``history_start``; every later day can be had at any time."""

    parameters: SimulatorParameters
    history_start: date

    def transactions(self, first: date, last: date) -> "pl.DataFrame":
        """Return the days' transactions; see ``Source``."""
        import polars as pl

        from ml_platform.ingestion.simulator import simulate_transactions

        rows = simulate_transactions(self.parameters, self.history_start, first, last)
        return rows.with_columns(pl.col("event_time").dt.date().alias(PARTITION_DAY))

    def labels_known(self, first: date, last: date) -> "pl.DataFrame":
        """Return the labels that became known on the days; see ``Source``."""
        import polars as pl

        from ml_platform.ingestion.simulator import simulate_labels

        rows = simulate_labels(self.parameters, self.history_start, first, last)
        return rows.with_columns(pl.col("known_time").dt.date().alias(PARTITION_DAY))

    def days(self) -> None:
        """Return None: the simulated world has no end."""

    def version(self) -> str:
        """Return a fingerprint of the parameters."""
        return fingerprint_json([self.parameters.model_dump(), self.history_start])

    def versions(self, first: date, last: date) -> DayVersions:  # noqa: ARG002 - see ``Source``
        """Return none: a simulated day that was landed stays as it is, whatever the parameters become."""
        return DayVersions()

    def refresh(self, *, briefly: bool = False) -> int:  # noqa: ARG002 - see ``Source``
        """Return 0: any day can be had at any time."""
        return 0


def open_source(settings: Settings) -> Source:
    """Return the source that the settings name; nothing is looked for before it is first read.

    Raises:
        ConfigurationError: When the address or the column mapping cannot be used.
    """
    if settings.source == SIMULATOR:
        return SimulatorSource(SimulatorParameters.from_settings(settings), settings.history_start)
    kind = settings.source.partition("://")[0]
    if kind in ("postgresql", "postgres"):
        return _database(settings)
    if kind == "kinesis":
        return _stream(settings)
    if kind not in (settings.source, "s3"):
        # Only its kind: what follows may hold a password.
        raise ConfigurationError(
            f"ML_PLATFORM_SOURCE is of a kind that is not known, {kind}://. It may be `simulator`, a path, s3://…, "
            "postgresql://… or kinesis://…"
        )
    return FileSource(
        settings.source, settings.source_columns, settings.source_label_delay_days, region=settings.region
    )


def _database(settings: Settings) -> ChangeSource:
    address = parse_postgres_address(settings.source)
    database = Database(address, lambda: _password(settings))
    delay = timedelta(days=settings.source_label_delay_days)
    kind = ReplicationOrigin if address.read == "changes" else CursorOrigin
    return _over_inbox(settings, kind(database, settings.source_columns, delay), address.name)


def _stream(settings: Settings) -> ChangeSource:
    stream = settings.source.removeprefix("kinesis://").strip("/")
    if not re.fullmatch(r"[a-zA-Z0-9_.-]{1,128}", stream):
        raise ConfigurationError("ML_PLATFORM_SOURCE must name a Kinesis stream: kinesis://my-stream.")
    origin = KinesisOrigin(settings.region, stream, settings.source_columns)
    return _over_inbox(settings, origin, origin.name)


def _over_inbox(settings: Settings, origin: Origin, name: str) -> ChangeSource:
    check_mapping(settings.source_columns)
    return ChangeSource(
        origin,
        Inbox(ObjectStore.from_settings(settings), name, settings.source_columns),
        settings.source_columns,
        timedelta(hours=settings.source_arrival_delay_hours),
    )


def _password(settings: Settings) -> str | None:
    secret = settings.source_password_secret
    return None if secret is None else read_password(settings.region, secret)
