"""From filed changes to raw rows with our column names, which ``quality`` judges. Pure."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ml_platform.ingestion.schema import ARRIVED_AT, LABEL_COLUMNS, PARTITION_DAY, PAYLOAD, TRANSACTION_COLUMNS
from ml_platform.ingestion.source_columns import names_of

if TYPE_CHECKING:
    import polars as pl

_UNPACKED = "_unpacked"
_SOURCE = "source"


def raw_transactions(changes: "pl.DataFrame | None", mapping: Mapping[str, str]) -> "pl.DataFrame":
    """Return the payments that were not deleted; a column that no row has is null."""
    import polars as pl

    extras = (PAYLOAD, ARRIVED_AT, PARTITION_DAY)
    if changes is None:
        return _empty((*TRANSACTION_COLUMNS, *extras))
    kept = changes.filter(pl.col("operation") != "delete")
    arrived, day = pl.col("arrived_at").alias(ARRIVED_AT), pl.col("day").alias(PARTITION_DAY)
    return with_columns_of_row(kept, TRANSACTION_COLUMNS, mapping).select(*TRANSACTION_COLUMNS, PAYLOAD, arrived, day)


def raw_labels(changes: "pl.DataFrame | None", mapping: Mapping[str, str]) -> "pl.DataFrame":
    """Return the labels; what was once known of a payment is kept when the payment is deleted."""
    import polars as pl

    if changes is None:
        return _empty((*LABEL_COLUMNS, ARRIVED_AT, PARTITION_DAY))
    return with_columns_of_row(changes, (_SOURCE,), mapping).select(
        pl.col("key").alias("transaction_id"),
        "label",
        "event_time",
        "known_time",
        _SOURCE,
        pl.col("arrived_at").alias(ARRIVED_AT),
        pl.col("day").alias(PARTITION_DAY),
    )


def with_columns_of_row(changes: "pl.DataFrame", columns: Sequence[str], mapping: Mapping[str, str]) -> "pl.DataFrame":
    """Add columns of ours, as they are found in the source's own row."""
    import polars as pl

    candidates = {column: names_of(column, mapping) for column in columns}
    fields = pl.Struct(dict.fromkeys([name for names in candidates.values() for name in names], pl.String()))
    ours = [
        pl.coalesce(pl.col(_UNPACKED).struct.field(name) for name in names).alias(column)
        for column, names in candidates.items()
    ]
    unpacked = changes.with_columns(pl.col("row").str.json_decode(fields).alias(_UNPACKED))
    return unpacked.with_columns(ours).drop(_UNPACKED)


def _empty(columns: Sequence[str]) -> "pl.DataFrame":
    import polars as pl

    types: dict[str, pl.DataType] = dict.fromkeys(columns, pl.String())
    types |= {PARTITION_DAY: pl.Date(), ARRIVED_AT: pl.Datetime("us", "UTC")}
    return pl.DataFrame(schema={name: types[name] for name in columns})
