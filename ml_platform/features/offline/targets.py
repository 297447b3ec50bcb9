"""What a model can be trained to predict: one label per payment, from the labels known at the cut-off."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import polars as pl

Target = Literal["transaction_fraud", "terminal_compromised"]


def transaction_fraud(transactions: "pl.DataFrame", known: "pl.DataFrame") -> "pl.DataFrame":
    """Whether the payment is a fraud."""
    return transactions.join(known.select("transaction_id", "label"), on="transaction_id", how="inner")


def terminal_compromised(transactions: "pl.DataFrame", known: "pl.DataFrame") -> "pl.DataFrame":
    """Whether the payment's terminal sees any fraud on the payment's day (UTC).

    All payments of one terminal and day share a label: the greatest of those known. A day with no known label at all
    has none. The score answers "is this terminal compromised today?", asked at each payment.
    """
    import polars as pl

    terminal_day = ["terminal_id", pl.col("event_time").dt.date().alias("_day")]
    labels = (
        transactions.join(known.select("transaction_id", "label"), on="transaction_id", how="inner")
        .group_by(terminal_day)
        .agg(pl.col("label").max())
    )
    return (
        transactions.with_columns(terminal_day[1:])
        .join(labels, on=["terminal_id", "_day"], how="inner", maintain_order="left")
        .drop("_day")
    )


TARGETS: Mapping[Target, Callable[["pl.DataFrame", "pl.DataFrame"], "pl.DataFrame"]] = {
    "transaction_fraud": transaction_fraud,
    "terminal_compromised": terminal_compromised,
}
"""Each takes payments and their known labels, and returns the payments that have a label, with it."""
