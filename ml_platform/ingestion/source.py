"""Where transactions and labels come from: the simulator or files, behind one protocol.

Rows come as the source has them, under our column names; judging them is ``quality``.
"""

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Protocol

from ml_platform.core.fingerprint import fingerprint_json
from ml_platform.core.settings import SIMULATOR, Settings
from ml_platform.ingestion.day_versions import DayVersions
from ml_platform.ingestion.file_source import FileSource
from ml_platform.ingestion.schema import PARTITION_DAY
from ml_platform.ingestion.simulator_parameters import SimulatorParameters

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

    def refresh(self) -> int:
        """Fetch what is new at the origin, if that is needed to see it, and return how many changes that were."""
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

    def refresh(self) -> int:
        """Return 0: any day can be had at any time."""
        return 0


def open_source(settings: Settings) -> Source:
    """Return the source that the settings name; files are looked for when they are first read.

    Raises:
        ConfigurationError: When the column mapping names a column that is not ours.
    """
    if settings.source == SIMULATOR:
        return SimulatorSource(SimulatorParameters.from_settings(settings), settings.history_start)
    return FileSource(
        settings.source, settings.source_columns, settings.source_label_delay_days, region=settings.region
    )
