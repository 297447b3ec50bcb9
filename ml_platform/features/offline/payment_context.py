"""What a holdout is cut and costed by beside its features: amount, tenant, and how long card and terminal are known.

No model sees these. They are of the payments as landed now, and of the days that the training set rests on, so that
whatever changes them makes its evidence stale.
"""

from datetime import date, timedelta
from typing import TYPE_CHECKING

from ml_platform.aws.objects import ObjectStore
from ml_platform.aws.tables import DailyTable
from ml_platform.features.offline.training_set_spec import TrainingSetSpec
from ml_platform.features.tables import TRANSACTIONS
from ml_platform.features.windows.payments import FEATURE_TABLES
from ml_platform.features.windows.reach import first_day_read

if TYPE_CHECKING:
    import polars as pl

_DAY = 86_400_000_000
_AGES = {"customer_id": "card_age_days", "terminal_id": "terminal_age_days"}


def first_day_behind(spec: TrainingSetSpec) -> date:
    """Return the first day of payments that a training set is made of."""
    # A daily look-up serves the features of the midnight before.
    oldest = spec.days()["train"][0] - timedelta(days=1)
    return min(first_day_read(table, oldest) for table in FEATURE_TABLES)


def with_context(store: ObjectStore, spec: TrainingSetSpec, holdout: "pl.DataFrame") -> "pl.DataFrame":
    """Return the holdout's rows, in their order, with the columns of their payments that they lack.

    ``card_age_days`` and ``terminal_age_days`` are the days since the first payment that the training set's days hold:
    at the event, and never more than is landed. ``tenant`` is there when the source names one.
    """
    import polars as pl

    first, last = spec.days()["holdout"]
    payments = DailyTable(store, TRANSACTIONS).read(first, last)
    if payments.is_empty():
        return holdout
    past = DailyTable(store, TRANSACTIONS).read(first_day_behind(spec), last, [*_AGES, "event_time"])
    lacking = sorted(({"amount", "tenant"} & set(payments.columns)) - set(holdout.columns))
    context = payments.select("transaction_id", *lacking)
    found = holdout.join(context, on="transaction_id", how="left", maintain_order="left")
    for key, age in _AGES.items():
        seen = past.group_by(key).agg(_first=pl.col("event_time").min())
        days = (pl.col("event_time") - pl.col("_first")).dt.total_microseconds() / _DAY
        found = found.join(seen, on=key, how="left", maintain_order="left").with_columns(days.alias(age)).drop("_first")
    return found
