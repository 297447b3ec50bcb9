"""Labels as they were known: every label carries the instant at which it became known, and the newest known holds."""

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from ml_platform.aws.objects import ObjectStore
from ml_platform.aws.tables import DailyTable
from ml_platform.core.settings import Settings
from ml_platform.features.labels.conflicts import SOURCE, LabelPolicy, settle
from ml_platform.features.tables import FRAUD_LABELS

if TYPE_CHECKING:
    import polars as pl


def read_labels(store: ObjectStore, first: date, last: date) -> "pl.DataFrame":
    """Return all labels that became known from day ``first`` to day ``last``, corrections included.

    Where several sources speak, these are the labels that held, by the policy of the settings.
    """
    return settled_by_settings(read_raw_labels(store, first, last))


def settled_by_settings(labels: "pl.DataFrame") -> "pl.DataFrame":
    """Return the labels that held among what every source said, by the policy of the settings."""
    return settle(labels, LabelPolicy.from_settings(Settings.load())) if SOURCE in labels.columns else labels


def read_raw_labels(store: ObjectStore, first: date, last: date) -> "pl.DataFrame":
    """Return what every source said from day ``first`` to day ``last``."""
    labels = DailyTable(store, FRAUD_LABELS).read(first, last)
    return labels if labels.width else no_labels()


def labels_as_known(store: ObjectStore, cutoff: datetime, first_event: date, last_event: date) -> "pl.DataFrame":
    """Return one label per transaction of the given event days: the newest known at ``cutoff``.

    Transactions whose label was not known at ``cutoff`` are absent: unknown is not "no fraud".

    Args:
        store: The bucket.
        cutoff: Only labels with ``known_time <= cutoff`` exist.
        first_event: First day of the transactions. No label is known before its transaction.
        last_event: Last day of the transactions, included.
    """
    import polars as pl

    known = read_labels(store, first_event, cutoff.astimezone(UTC).date()).filter(
        (pl.col("known_time") <= cutoff) & pl.col("event_time").dt.date().is_between(first_event, last_event)
    )
    # Of two labels learnt in the same instant the fraud holds, as everywhere.
    return known.sort("transaction_id", "known_time", "label").unique(
        "transaction_id", keep="last", maintain_order=True
    )


def no_labels() -> "pl.DataFrame":
    """Return labels of a table that holds none."""
    import polars as pl

    instant = pl.Datetime("us", "UTC")
    return pl.DataFrame(
        schema={"transaction_id": pl.String, "label": pl.Int8, "event_time": instant, "known_time": instant}
    )


def known_fraud_intervals(labels: "pl.DataFrame") -> "pl.DataFrame":
    """Return when each transaction was known to be a fraud: ``transaction_id``, ``known_from``, ``known_until``.

    The newest label known at an instant holds, so a correction to 0 ends the interval (``known_until`` is exclusive;
    null: to this day). Of two labels learnt in the same instant the fraud holds.
    """
    import polars as pl

    ever_fraud = labels.filter(pl.col("label") == 1).select("transaction_id").unique()
    return (
        labels.join(ever_fraud, on="transaction_id", how="semi")
        .sort("transaction_id", "known_time", "label")
        .select(
            "transaction_id",
            "label",
            known_from="known_time",
            known_until=pl.col("known_time").shift(-1).over("transaction_id"),
        )
        .filter(pl.col("label") == 1)
        .drop("label")
    )
