"""Fill histories of events from the landed payments and labels: the batch half of exact serving.

The batch is the truth for all it covers: of each key in it, everything before its end is replaced, and what the stream
brought since then stays. So late rows, corrections and labels arrive whenever they were landed, and once a day closed
the histories equal the batch's. Keys whose history did not change are not written.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ml_platform.features.labels.known import no_labels, settled_by_settings
from ml_platform.features.online.finishing import declared_table, microseconds
from ml_platform.features.online.history import UNITS_PER_AMOUNT, History, identity_of
from ml_platform.features.partitions import open_table, rows_between

if TYPE_CHECKING:
    import polars as pl
    from feast import FeatureView, RepoConfig

    from ml_platform.features.online.packed_store import PackedOnlineStore

WINDOWS_OF = "windows_of"
"""Tag of a feature view that holds histories: the declared table whose windows are finished from them."""

MARGIN = timedelta(days=1)
"""Histories reach this much farther back than the longest window, for requests whose clock is behind."""

_KEYS_AT_ONCE = 2000


@dataclass(frozen=True, slots=True)
class HistoryView:
    """A feature view of histories and what it is made of."""

    view: "FeatureView"
    table: str
    key: str
    column: str
    reach_us: int
    has_labels: bool

    @classmethod
    def of(cls, view: "FeatureView") -> "HistoryView":
        """Read a view's tag."""
        table = declared_table(view.tags[WINDOWS_OF])
        (column,) = (field.name for field in view.features)
        reach = (table.reach + MARGIN) // timedelta(microseconds=1)
        return cls(view, table.name, table.key, column, reach, table.labels is not None)


def fill_histories(store: "PackedOnlineStore", config: "RepoConfig", view: "FeatureView", end: datetime) -> int:
    """Bring the histories of a view to the landed rows up to and with ``end``; return how many were written."""
    target = HistoryView.of(view)
    end_us = microseconds(end)
    start = end - timedelta(microseconds=target.reach_us)
    found = landed_histories(config, target, start, end)
    written, keys = 0, sorted(found)
    for first in range(0, len(keys), _KEYS_AT_ONCE):
        changes = {key.encode(): _replacing(target, found[key], end_us) for key in keys[first : first + _KEYS_AT_ONCE]}
        written += store.revise(config, view, changes)
    return written


def landed_histories(config: "RepoConfig", target: HistoryView, start: datetime, end: datetime) -> dict[str, History]:
    """Return the history of each key that has landed rows in ``[start, end]``."""
    import polars as pl

    table = declared_table(target.table)
    location, region = config.offline_store.location, config.offline_store.region
    columns = [table.row_id, table.key, table.event_time, "amount"]
    rows = rows_between(open_table(location, region, table.source), columns, table.event_time, start, end)
    histories = _built(
        rows.select(
            key=table.key,
            us=pl.col(table.event_time).dt.cast_time_unit("us").dt.epoch("us"),
            identity=pl.Series([identity_of(name) for name in rows[table.row_id]], dtype=pl.UInt64),
            units=(pl.col("amount") * UNITS_PER_AMOUNT).round(mode="half_to_even").cast(pl.Int64),
        )
    )
    if table.labels:
        for name, key, time_us, known_us, label in _frauds(config, target, rows, start, end).iter_rows():
            histories[key].learn(time_us, identity_of(name), known_us, label)
    return histories


def _built(events: "pl.DataFrame") -> dict[str, History]:
    """Return the history of each key: columns are cut where the key changes, not filled event by event."""
    ordered = events.sort("key", "us", "identity").unique(["key", "us", "identity"], keep="last", maintain_order=True)
    times, ids, units = (ordered[name].to_numpy() for name in ("us", "identity", "units"))
    histories, start = {}, 0
    for key, count in ordered.group_by("key", maintain_order=True).len().iter_rows():
        history, end = History(), start + count
        history.times.frombytes(times[start:end].tobytes())
        history.ids.frombytes(ids[start:end].tobytes())
        history.units.frombytes(units[start:end].tobytes())
        histories[key] = history
        start = end
    return histories


def _frauds(
    config: "RepoConfig", target: HistoryView, rows: "pl.DataFrame", start: datetime, end: datetime
) -> "pl.DataFrame":
    """Return what was learnt by ``end`` of the rows that were ever called a fraud, in the order of learning."""
    import polars as pl

    table = declared_table(target.table)
    landed = open_table(config.offline_store.location, config.offline_store.region, str(table.labels))
    labels = landed.read(start.astimezone(UTC).date(), end.astimezone(UTC).date())
    known = settled_by_settings(labels if labels.width else no_labels()).filter(pl.col("known_time") <= end)
    ever = known.filter(pl.col("label") == 1).select(table.row_id).unique()
    return (
        known.join(ever, on=table.row_id, how="semi")
        .select(table.row_id, "label", "known_time")
        .join(rows.select(table.row_id, table.key, table.event_time), on=table.row_id, how="inner")
        # A fraud first: that an event is genuine is kept only of one that was called a fraud.
        .sort(table.row_id, pl.col("label") == 0, "known_time")
        .select(
            table.row_id,
            table.key,
            pl.col(table.event_time).dt.cast_time_unit("us").dt.epoch("us"),
            pl.col("known_time").dt.cast_time_unit("us").dt.epoch("us").alias("known_us"),
            "label",
        )
    )


def _replacing(
    target: HistoryView, batch: History, end_us: int
) -> "Callable[[Mapping[str, Any] | None], tuple[int, Mapping[str, Any]] | None]":
    """Return the change of a history that makes it the batch's up to ``end_us`` and leaves what came after."""

    def change(values: Mapping[str, Any] | None) -> tuple[int, Mapping[str, Any]] | None:
        before = values[target.column] if values else None
        merged = History.from_bytes(batch.to_bytes())
        kept = History.from_bytes(before)
        for place in range(len(kept.counts), len(kept.times)):
            if kept.times[place] > end_us:
                merged.add(kept.times[place], kept.ids[place], kept.units[place])
        for event, identity, fact in zip(kept.fact_events, kept.fact_ids, kept.facts, strict=True):
            if fact // 2 > end_us:
                merged.learn(event, identity, fact // 2, fact % 2)
        after = finished_change(merged, target)
        return None if before is not None and after is not None and after[1][target.column] == before else after

    return change


def finished_change(history: History, target: HistoryView) -> tuple[int, Mapping[str, Any]] | None:
    """Return event time and value of a changed history, without what no window reaches any more."""
    newest = history.newest_us
    if newest is None:
        return None
    history.forget(newest - target.reach_us)
    history.settle()
    return newest, {target.column: history.to_bytes()}
