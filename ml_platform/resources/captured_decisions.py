"""Captured traffic by decision: one decision of a model, or all decisions with what says who made them."""

import io
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import TYPE_CHECKING, Any

from ml_platform.aws.objects import ObjectStore
from ml_platform.core import names

if TYPE_CHECKING:
    import polars as pl

_PARALLEL = 8


def find_decision(store: ObjectStore, model: str, inference_id: str, day: date | None = None) -> dict[str, Any] | None:
    """Return the first answer given under an inference id, looking from the newest hour back; None without any.

    Args:
        store: The bucket.
        model: Whose decisions.
        inference_id: Of the decision.
        day: The day (UTC) on which it was made, when that is known: it spares reading the others.
    """
    import polars as pl

    for frames in _hours(store, model, None, day):
        found = [frame.filter(pl.col("inference_id") == inference_id) for frame in frames]
        rows = [row for frame in found for row in frame.iter_rows(named=True)]
        if rows:
            first: dict[str, Any] = min(rows, key=lambda row: row["inference_time"])
            return first
    return None


def all_decisions(store: ObjectStore, model: str) -> "pl.DataFrame":
    """Return inference id, time, variant and, where the answer said it, the artifact's fingerprint of each decision."""
    import polars as pl

    columns = ("inference_id", "inference_time", "variant", "artifact_fingerprint")
    types = {**dict.fromkeys(columns, pl.String()), "inference_time": pl.Datetime("us", "UTC")}
    schema = pl.Schema(types)
    frames = [
        # Traffic that was captured before answers said who made them has no such column.
        (frame if columns[-1] in frame.columns else frame.with_columns(pl.lit("").alias(columns[-1])))
        .select(columns)
        .cast(schema)
        for chunk in _hours(store, model, columns)
        for frame in chunk
        if frame.height
    ]
    empty = pl.DataFrame(schema=schema)
    return pl.concat([empty, *frames]).unique("inference_id", keep="first", maintain_order=True)


def captured_hours(store: ObjectStore, model: str) -> list[str]:
    """Return the hours that are captured, as ``2026-02-03 14``, ascending."""
    prefix = names.model_prefix(model, "captured-traffic")
    return sorted(_hour_of(key.removeprefix(prefix)) for key in store.keys(prefix))


def recorded_hours(store: ObjectStore, model: str) -> list[str]:
    """Return the hours of which the endpoint recorded requests, captured or not, ascending."""
    prefix = f"{names.capture_prefix(model)}{names.endpoint(model)}/"
    parts = (key.removeprefix(prefix).split("/") for key in store.keys(prefix))
    return sorted({f"{year}-{month}-{day} {hour}" for _, year, month, day, hour, *_ in parts})


def _hour_of(path: str) -> str:
    day, hour, *_ = path.split("/")
    return f"{day.removeprefix('date=')} {hour.removeprefix('hour=')}"


def _hours(
    store: ObjectStore, model: str, columns: Sequence[str] | None, day: date | None = None
) -> "Iterator[list[pl.DataFrame]]":
    """Yield captured hours, the newest first, a few at a time."""
    import polars as pl

    prefix = names.model_prefix(model, "captured-traffic")
    keys = sorted(store.keys(f"{prefix}date={day}/" if day else prefix), reverse=True)

    def read(key: str) -> "pl.DataFrame":
        content = io.BytesIO(store.get(key))
        wanted = None if columns is None else [name for name in columns if name in pl.read_parquet_schema(content)]
        content.seek(0)
        return pl.read_parquet(content, columns=wanted)

    with ThreadPoolExecutor(_PARALLEL) as pool:
        for start in range(0, len(keys), _PARALLEL):
            yield list(pool.map(read, keys[start : start + _PARALLEL]))
