"""Versions of a source's days: how a late or corrected row is noticed without landing the day again."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

from ml_platform.ingestion.schema import PARTITION_DAY

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True)
class DayVersions:
    """A version for each day that has rows: transactions by the day they happened, labels by the day they are known."""

    transactions: Mapping[date, str] = field(default_factory=dict)
    labels: Mapping[date, str] = field(default_factory=dict)

    def between(self, first: date, last: date) -> "DayVersions":
        """Return those of the days from ``first`` to ``last``."""
        inside = [{day: version for day, version in days.items() if first <= day <= last} for days in self._both]
        return DayVersions(*inside)

    @property
    def _both(self) -> tuple[Mapping[date, str], Mapping[date, str]]:
        return self.transactions, self.labels


def versions_of_rows(rows: "pl.DataFrame") -> dict[date, str]:
    """Return a version of each ``partition_day`` by its rows, in whatever order they are."""
    import polars as pl

    if rows.is_empty():
        return {}
    hashed = rows.select(PARTITION_DAY).with_columns(rows.drop(PARTITION_DAY).hash_rows(seed=1).alias("hash"))
    by_day = hashed.group_by(PARTITION_DAY).agg(pl.col("hash").sum(), pl.len())
    return {day: f"{count}:{total:x}" for day, total, count in by_day.iter_rows()}
