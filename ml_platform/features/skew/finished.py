"""What a service that finishes its windows at request time would have served, had it not known something yet.

The windows are computed by the engine of the tables and not by the code that serves them: a fault of that is no cause.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from ml_platform.aws.objects import ObjectStore
from ml_platform.aws.tables import DailyTable
from ml_platform.features.labels.known import read_labels
from ml_platform.features.offline.lookup import WHEN_ABSENT
from ml_platform.features.windows.declaration import FeatureTable
from ml_platform.features.windows.on_polars.engine import window_features
from ml_platform.features.windows.payments import FEATURE_TABLES
from ml_platform.features.windows.reach import first_day_read

if TYPE_CHECKING:
    import polars as pl

_REQUEST, _AT, _UNTIL, _PLACE = "_request", "_at", "_until", "_place"


@dataclass(frozen=True, slots=True)
class Unknown:
    """What was not known when a request was served.

    ``days``: everything from the midnight on that began the payment's day, so many days earlier; None: all is known.
    ``places``: these of the key's earlier payments, the newest being 1.
    """

    days: int | None = None
    places: frozenset[int] = frozenset()


def finished_without(store: ObjectStore, requests: "pl.DataFrame", unknown: Unknown) -> "pl.DataFrame":
    """Return the window features of payments, in their order, as of each of them and without what was unknown.

    Args:
        store: The bucket.
        requests: ``transaction_id``, ``event_time``, ``customer_id``, ``terminal_id`` and ``amount_landed``.
        unknown: What was not known; the payment itself always is.
    """
    import polars as pl

    until = pl.col(_AT) + timedelta(microseconds=1)
    if unknown.days is not None:
        until = pl.col(_AT).dt.truncate("1d") - timedelta(days=unknown.days)
    asked = requests.with_row_index(_REQUEST).with_columns(
        pl.col(_REQUEST).cast(pl.String), pl.col("event_time").alias(_AT), amount="amount_landed"
    )
    asked = asked.with_columns(until.alias(_UNTIL))
    found = [_of_table(store, table, asked, unknown.places) for table in FEATURE_TABLES]
    return pl.concat(found, how="horizontal")


def _of_table(store: ObjectStore, table: FeatureTable, asked: "pl.DataFrame", places: frozenset[int]) -> "pl.DataFrame":
    """Return a table's features of each request: every request is an entity of its own, with what it may know."""
    import polars as pl

    columns = table.columns_read
    # The oldest request may not have known its newest days: windows still reach back from the request itself.
    days = asked.select(first=pl.col(_AT).min().dt.date(), last=pl.col(_AT).max().dt.date()).row(0)
    first = first_day_read(table, days[0])
    rows = DailyTable(store, table.source).read(first, days[1], columns)
    past = (
        rows.join(asked.select(table.key, _REQUEST, _AT, _UNTIL, _own=table.row_id), on=table.key)
        .filter(
            (pl.col(table.event_time) <= pl.col(_AT))
            & (pl.col(table.event_time) < pl.col(_UNTIL))
            & (pl.col(table.row_id) != pl.col("_own"))
        )
        .with_columns(pl.col(table.event_time).rank("ordinal", descending=True).over(_REQUEST).alias(_PLACE))
        .filter(~pl.col(_PLACE).is_in(list(places)))
    )
    seen = pl.concat([past.select(*columns, _REQUEST, _UNTIL), asked.select(*columns, _REQUEST, _UNTIL)])
    labels = None
    if table.labels is not None:
        ids = seen.select(table.row_id, _REQUEST, _UNTIL)
        known = read_labels(store, first, days[1]).join(ids, left_on="transaction_id", right_on=table.row_id)
        labels = known.filter(pl.col("known_time") < pl.col(_UNTIL)).with_columns(_numbered("transaction_id"))
    numbered = seen.with_columns(_numbered(table.row_id), pl.col(_REQUEST).alias(table.key))
    own = asked.select(_numbered(table.row_id))
    computed = own.join(window_features(table, numbered, labels), on=table.row_id, how="left", maintain_order="left")
    return computed.select(
        pl.col(name).cast(pl.Float64).fill_null(pl.lit(WHEN_ABSENT.get(name), pl.Float64))
        for name in table.feature_names
    )


def _numbered(column: str) -> "pl.Expr":
    """Make a payment's id one of the request's alone: the same payment may be known to one and not to another."""
    import polars as pl

    return pl.concat_str(column, pl.lit("#"), _REQUEST).alias(column)
