"""When labels arrive: the share known by age, per source and for all payments, and how mature each day's labels are.

Two estimates, because two things are hidden. A payment without a label may still get one (censored): over all payments
the share known by age is Kaplan and Meier's. A source's label that has not arrived is not seen at all (truncated): of
what a source will say, the share that has arrived by age is the same estimate with time reversed (Lagakos, Barraj and
De Gruttola, 1988). Counting only what has arrived would make every source look faster than it is.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from ml_platform.aws.objects import ObjectNotFoundError, ObjectStore
from ml_platform.aws.tables import DailyTable
from ml_platform.core.svg import line_chart
from ml_platform.core.verdict import Verdict
from ml_platform.features.labels.conflicts import SOURCE
from ml_platform.features.labels.known import read_raw_labels
from ml_platform.features.tables import TRANSACTIONS

if TYPE_CHECKING:
    import polars as pl

KEY = "features/label-arrival.json"
ALL = "any label"


class ArrivalCurve(BaseModel):
    """Share of labels known by age in whole days, from 0 on."""

    model_config = ConfigDict(frozen=True)

    labels: int = Field(description="Labels, or labelled payments, that the estimate is made of.")
    share_known: tuple[float, ...] = Field(description="By age in days; the last entry holds for all greater ages.")

    def at(self, age_days: int) -> float:
        """Return the share known at an age."""
        if age_days < 0 or not self.share_known:
            return 0.0
        return self.share_known[min(age_days, len(self.share_known) - 1)]

    def days_until(self, share: float) -> int | None:
        """Return the first age at which this share is known; None when it never is."""
        return next((age for age, known in enumerate(self.share_known) if known >= share), None)

    def chart(self, title: str) -> str:
        """Draw the curve."""
        return line_chart(range(len(self.share_known)), self.share_known, title=title)


class DayMaturity(BaseModel):
    """How many of one day's payments have a label."""

    model_config = ConfigDict(frozen=True)

    day: date
    payments: int
    labelled: int

    @property
    def share(self) -> float:
        """Share of the day's payments that have a label."""
        return self.labelled / self.payments if self.payments else 1.0


class LabelArrival(BaseModel):
    """When labels arrive, as known at ``as_of``."""

    model_config = ConfigDict(frozen=True)

    as_of: datetime
    curves: dict[str, ArrivalCurve] = Field(description="By source; `any label` is over all payments.")
    days: tuple[DayMaturity, ...] = Field(description="Every day of payments, oldest first.")

    def matured_until(self, share: float = 0.9) -> date | None:
        """Return the newest day up to which every day has this share of its labels: the newest an evaluation can use.

        None when already the oldest day lacks them.
        """
        matured = None
        for day in self.days:
            if day.share < share:
                break
            matured = day.day
        return matured

    def verdict(self, after_days: int, share: float = 0.9) -> Verdict:
        """Whether all days older than ``after_days`` have this share of their labels."""
        due = [day for day in self.days if day.day < self.as_of.date() - timedelta(days=after_days)]
        late = [day for day in due if day.share < share]
        return Verdict.of(
            [
                *(
                    f"{day.day}: {day.labelled} of {day.payments} payments have a label "
                    f"({day.share:.0%} < {share:.0%}), {(self.as_of.date() - day.day).days} days after"
                    for day in late
                ),
                *([] if due else [f"no day of payments is older than {after_days} days: too early to tell"]),
            ]
        )


def measure_arrival(store: ObjectStore, as_of: datetime, days: int) -> LabelArrival:
    """Measure over the payments of the ``days`` before ``as_of``, and keep the result for ``read_arrival``."""
    import polars as pl

    first, last = as_of.date() - timedelta(days=days), as_of.date() - timedelta(days=1)
    payments = DailyTable(store, TRANSACTIONS).read(first, last, ["transaction_id", "event_time"])
    labels = read_raw_labels(store, first, as_of.date()).filter(
        (pl.col("known_time") <= as_of) & (pl.col("event_time").dt.date() >= first)
    )
    arrival = estimate(payments, labels, as_of) if payments.width else LabelArrival(as_of=as_of, curves={}, days=())
    store.put(KEY, arrival.model_dump_json().encode(), "application/json")
    return arrival


def read_arrival(store: ObjectStore) -> LabelArrival | None:
    """Return what was measured last; None before the first time."""
    try:
        return LabelArrival.model_validate_json(store.get(KEY))
    except ObjectNotFoundError:
        return None


def estimate(payments: "pl.DataFrame", labels: "pl.DataFrame", as_of: datetime) -> LabelArrival:
    """Estimate arrival from payments (``transaction_id``, ``event_time``) and the labels known at ``as_of``."""
    import polars as pl

    # Where nobody says who said it, what was said parts a quick source from a slow one.
    unnamed = pl.when(pl.col("label") == 1).then(pl.lit("says fraud")).otherwise(pl.lit("says genuine"))
    said = pl.col(SOURCE) if SOURCE in labels.columns else pl.lit(None, pl.String)
    labels = labels.with_columns(pl.coalesce(said, unnamed).alias(SOURCE))
    age = (pl.lit(as_of) - pl.col("event_time")).dt.total_days()
    first_said = labels.group_by(SOURCE, "transaction_id").agg(pl.col("event_time").first(), pl.col("known_time").min())
    delays = first_said.with_columns(
        _delay=(pl.col("known_time") - pl.col("event_time")).dt.total_days(), _limit=age
    ).sort(SOURCE)
    curves = {
        name: truncated_curve(part["_delay"].to_list(), part["_limit"].to_list())
        for (name,), part in delays.partition_by(SOURCE, as_dict=True, maintain_order=True).items()
    }
    first_known = labels.group_by("transaction_id").agg(pl.col("known_time").min())
    waited = payments.join(first_known, on="transaction_id", how="left").with_columns(
        _delay=(pl.col("known_time") - pl.col("event_time")).dt.total_days(), _limit=age
    )
    by_day = (
        waited.group_by(pl.col("event_time").dt.date().alias("day"))
        .agg(payments=pl.len(), labelled=pl.col("known_time").count())
        .sort("day")
    )
    return LabelArrival(
        as_of=as_of,
        curves={ALL: censored_curve(waited["_delay"].to_list(), waited["_limit"].to_list()), **curves},
        days=tuple(DayMaturity(**row) for row in by_day.iter_rows(named=True)),
    )


def censored_curve(delays: Sequence[int | None], ages: Sequence[int]) -> ArrivalCurve:
    """Return the share known by age (Kaplan and Meier). Payments without a label were watched up to their age.

    Args:
        delays: Whole days until the first label; None where there is none yet.
        ages: Age of each payment in whole days.
    """
    import numpy as np

    known = np.array([delay for delay in delays if delay is not None], dtype=int)
    watched = np.array([age if delay is None else delay for delay, age in zip(delays, ages, strict=True)], dtype=int)
    if not watched.size:
        return ArrivalCurve(labels=0, share_known=())
    last = int(watched.max())
    arrived = np.bincount(known, minlength=last + 1)
    at_risk = watched.size - np.concatenate(([0], np.cumsum(np.bincount(watched, minlength=last + 1))[:-1]))
    waiting = np.cumprod(1 - arrived / np.maximum(at_risk, 1))
    return ArrivalCurve(labels=int(known.size), share_known=tuple(float(share) for share in 1 - waiting))


def truncated_curve(delays: Sequence[int], limits: Sequence[int]) -> ArrivalCurve:
    """Return the share arrived by age of all that will arrive, where a label is only seen if it took at most its limit.

    Args:
        delays: Whole days until each label that arrived.
        limits: Age of its payment in whole days: a later label would not have been seen.
    """
    import numpy as np

    took, limit = np.array(delays, dtype=int), np.array(limits, dtype=int)
    if not took.size:
        return ArrivalCurve(labels=0, share_known=())
    last = int(took.max())
    ages = np.arange(last + 1)
    arrived = np.bincount(took, minlength=last + 1)
    # Seen up to age u are the labels that took at most u, of payments at least u old.
    at_risk = np.array([((took <= age) & (limit >= age)).sum() for age in ages])
    stays = 1 - arrived / np.maximum(at_risk, 1)
    later = np.concatenate((np.cumprod(stays[::-1])[::-1][1:], [1.0]))
    return ArrivalCurve(labels=int(took.size), share_known=tuple(float(share) for share in later))
