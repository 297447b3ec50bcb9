"""Parity: what the online store serves equals what the offline store says, value for value."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from ml_platform.aws.objects import ObjectStore
from ml_platform.aws.tables import DailyTable
from ml_platform.core.errors import FeatureError
from ml_platform.core.settings import Settings
from ml_platform.core.verdict import Verdict
from ml_platform.features.offline.lookup import point_in_time_features
from ml_platform.features.online.reader import OnlineFeatures, PaymentRequest
from ml_platform.features.store import feature_store
from ml_platform.features.tables import MODEL_FEATURES, TRANSACTIONS

if TYPE_CHECKING:
    import polars as pl

_SERVICE = "fraud_v1"
_DAYS_SAMPLED = 45
"""Longer than any time to live, so that expired rows are among the sample."""


class ParityReport(BaseModel):
    """How many values were compared, and which differ."""

    model_config = ConfigDict(frozen=True)

    as_of: datetime
    keys: int = Field(description="Pairs of card and terminal that were asked for.")
    values: int = Field(description="Feature values compared.")
    differences: dict[str, int] = Field(description="Number of differing values, by feature; empty means equal.")
    examples: tuple[str, ...] = Field(description="The first few differences.")

    @property
    def verdict(self) -> Verdict:
        """Whether training and serving agree."""
        failures = [
            f"{name}: {count} of {self.keys} keys differ online from offline"
            for name, count in self.differences.items()
        ]
        return Verdict.of([*failures, *([] if self.keys else ["no key could be compared"])])


def compare_online_with_offline(
    settings: Settings, store: ObjectStore, as_of: datetime, sample: int, seed: int
) -> ParityReport:
    """Ask both stores for the features of sampled cards and terminals on the day that begins at ``as_of``.

    Args:
        settings: The platform's settings.
        store: The bucket.
        as_of: Midnight (UTC) up to which the online store was materialized.
        sample: Number of payments to ask for; their cards and terminals come from the days before, and one pair is
            unknown to both stores.
        seed: Seed of the sample.

    Raises:
        FeatureError: When the online store is at another midnight: the comparison would find a difference of a day.
    """
    online = OnlineFeatures(settings, MODEL_FEATURES, _SERVICE)
    if online.materialized_until != as_of:
        raise FeatureError(
            f"The online store is filled up to {online.materialized_until:%Y-%m-%d}, not {as_of:%Y-%m-%d}; both stores "
            "can be compared only there. Materialize payments/online_features, or choose that day."
        )
    payments = _sampled_payments(store, as_of, sample, seed)
    requests = [
        PaymentRequest(
            customer_id=row["customer_id"],
            terminal_id=row["terminal_id"],
            amount=row["amount"],
            transaction_time=row["event_time"],
        )
        for row in payments.iter_rows(named=True)
    ]
    expected = point_in_time_features(
        feature_store(settings), payments, service=_SERVICE, features=MODEL_FEATURES, lookup="daily"
    )
    return _compare(as_of, requests, online.read(requests), expected.drop("transaction_id").to_dicts())


def _sampled_payments(store: ObjectStore, as_of: datetime, sample: int, seed: int) -> "pl.DataFrame":
    """Return imagined payments of the day after: known cards and terminals, paired at random, spread over the day."""
    import polars as pl

    last = as_of.astimezone(UTC).date() - timedelta(days=1)
    past = DailyTable(store, TRANSACTIONS).read(last - timedelta(days=_DAYS_SAMPLED), last)
    if past.is_empty():
        raise FeatureError(f"There are no payments in the {_DAYS_SAMPLED} days before {as_of:%Y-%m-%d} to sample from.")
    cards, terminals = (
        past[key].unique().sort().sample(sample - 1, with_replacement=True, seed=seed + shift)
        for shift, key in enumerate(("customer_id", "terminal_id"))
    )
    unknown = pl.Series(["never-seen"])
    step = timedelta(days=1) / sample
    return pl.DataFrame(
        {
            "transaction_id": [str(number) for number in range(sample)],
            "customer_id": pl.concat([cards, unknown], rechunk=True),
            "terminal_id": pl.concat([terminals, unknown], rechunk=True),
            "amount": past["amount"].sample(sample, with_replacement=True, seed=seed),
            "event_time": [as_of + number * step for number in range(sample)],
        }
    )


def _compare(
    as_of: datetime,
    requests: Sequence[PaymentRequest],
    served: Sequence[Mapping[str, float | None]],
    expected: Sequence[Mapping[str, float | None]],
) -> ParityReport:
    differing = [
        (name, request, online[name], offline[name])
        for request, online, offline in zip(requests, served, expected, strict=True)
        for name in MODEL_FEATURES
        if online[name] != offline[name]
    ]
    return ParityReport(
        as_of=as_of,
        keys=len(requests),
        values=len(requests) * len(MODEL_FEATURES),
        differences={name: count for name in MODEL_FEATURES if (count := sum(d[0] == name for d in differing))},
        examples=tuple(
            f"{name} of card {request['customer_id']}, terminal {request['terminal_id']}: "
            f"online {online}, offline {offline}"
            for name, request, online, offline in differing[:5]
        ),
    )
