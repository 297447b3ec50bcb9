"""The payments of a training set's split, each with its label; whose features they have is of no matter here."""

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from ml_platform.aws.objects import ObjectStore
from ml_platform.aws.tables import DailyTable
from ml_platform.core.errors import FeatureError
from ml_platform.features.labels.known import known_fraud_intervals, labels_as_known, read_labels
from ml_platform.features.offline.targets import TARGETS
from ml_platform.features.offline.training_set_spec import LABEL, Split, TrainingSetSpec
from ml_platform.features.tables import TRANSACTIONS

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True)
class LabelledPayments:
    """The labelled payments of one split, and how many were left out."""

    frame: "pl.DataFrame"
    unlabelled: int
    """Their label was not known at ``as_of``."""

    dropped: int
    """Paid with a card known to be compromised."""

    labelled_by_day: dict[date, float]
    """Share of each day's payments whose own label was known: whether the split has matured."""


def labelled_payments(store: ObjectStore, spec: TrainingSetSpec, split: Split) -> LabelledPayments:
    """Return the payments of a split whose label was known at ``as_of``, with the label.

    Raises:
        FeatureError: When there are none, or none that a model can learn from.
    """
    first, last = spec.days()[split]
    transactions = DailyTable(store, TRANSACTIONS).read(first, last)
    if transactions.is_empty():
        raise FeatureError(
            f"There are no payments from {first} to {last}, the days of the {split} split as of {spec.as_of.date()}. "
            "Ingest them, choose a later as_of, or ask for fewer days."
        )
    known = labels_as_known(store, spec.as_of, first, last)
    labelled = TARGETS[spec.target](transactions, known)
    kept = labelled
    if split == "holdout" and spec.drop_known_compromised_cards:
        kept = _without_compromised_cards(store, labelled, spec)
    _require_something_to_learn(kept, spec, split)
    return LabelledPayments(
        kept,
        transactions.height - labelled.height,
        labelled.height - kept.height,
        _labelled_by_day(transactions, known),
    )


def _labelled_by_day(transactions: "pl.DataFrame", known: "pl.DataFrame") -> dict[date, float]:
    import polars as pl

    shares = (
        transactions.group_by(pl.col("event_time").dt.date().alias("day"))
        .agg(pl.col("transaction_id").is_in(known["transaction_id"].implode()).mean().alias("share"))
        .sort("day")
    )
    return dict(shares.iter_rows())


def _require_something_to_learn(labelled: "pl.DataFrame", spec: TrainingSetSpec, split: Split) -> None:
    first, last = spec.days()[split]
    if labelled.is_empty():
        raise FeatureError(
            f"Of no payment from {first} to {last} was the label known by {spec.as_of.date()}, so there is no {split} "
            "split. Ingest the labels that became known since, or choose an earlier as_of."
        )
    if split == "train" and not labelled[LABEL].sum():
        raise FeatureError(
            f"None of the {labelled.height} payments from {first} to {last} is positive for {spec.target}, so there is "
            "nothing to learn. Ask for more train_days, or choose a later as_of."
        )


def _without_compromised_cards(store: ObjectStore, rows: "pl.DataFrame", spec: TrainingSetSpec) -> "pl.DataFrame":
    """Drop, per day, cards whose fraud was known that morning: the Handbook's rule (chapter 3, ``get_test_set``).

    Those cards would be blocked by then. Frauds count from the first day of train, as there.
    """
    import polars as pl

    train_start, (_, last) = spec.days()["train"][0], spec.days()["holdout"]
    past = DailyTable(store, TRANSACTIONS).read(train_start, last, ["transaction_id", "customer_id"])
    frauds = known_fraud_intervals(read_labels(store, train_start, last)).join(past, on="transaction_id", how="inner")
    morning = pl.col("event_time").dt.truncate("1d")
    compromised = (
        rows.select("customer_id", _morning=morning)
        .unique()
        .join(frauds, on="customer_id", how="inner")
        .filter(
            (pl.col("known_from") < pl.col("_morning"))
            & (pl.col("known_until").is_null() | (pl.col("known_until") >= pl.col("_morning")))
        )
    )
    return (
        rows.with_columns(_morning=morning)
        .join(compromised, on=["customer_id", "_morning"], how="anti")
        .drop("_morning")
    )
