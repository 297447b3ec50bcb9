"""Replay captured requests through the offline store: as it is now, and as each cause of skew would have it.

Only requests that differ are asked about again; when all is well this is one point-in-time join.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from ml_platform.aws.objects import ObjectStore
from ml_platform.aws.tables import DailyTable
from ml_platform.core.settings import Settings
from ml_platform.features.offline.lookup import Lookup, point_in_time_features, references
from ml_platform.features.skew.finished import Unknown, finished_without
from ml_platform.features.skew.serving_record import rewritten_since
from ml_platform.features.store import feature_store, trained_as
from ml_platform.features.tables import TRANSACTIONS

if TYPE_CHECKING:
    import polars as pl

Hypothesis = Literal["late_data", "time_to_live", "missed_materialization"]

DAYS_BEHIND = 7
"""A store that is further behind than this is found by its freshness long before."""


_NEWEST = 5
_DAYS_UNKNOWN = [Unknown(days=days) for days in range(DAYS_BEHIND + 1)]
_PAYMENTS_UNKNOWN = [
    *(Unknown(places=frozenset({place})) for place in range(1, _NEWEST + 1)),
    *(Unknown(places=frozenset(range(1, place + 1))) for place in range(2, _NEWEST + 1)),
]


@dataclass(frozen=True, slots=True)
class Replay:
    """The offline store, asked about payments that were served by one model."""

    settings: Settings
    store: ObjectStore
    service: str
    features: tuple[str, ...]
    lookup: Lookup

    def landed(self, captured: "pl.DataFrame") -> "pl.DataFrame":
        """Return the captured requests whose payment has landed, with the payment's own columns (``amount_landed``).

        Args:
            captured: ``transaction_id``, ``inference_time`` and the features as served.
        """
        import polars as pl

        table = DailyTable(self.store, TRANSACTIONS)
        days = table.days()
        if not days:
            return captured.clear()
        columns = ("transaction_id", "event_time", "customer_id", "terminal_id", "amount")
        payments = table.read(days[0], days[-1], columns).rename({"amount": "amount_landed"})
        return captured.join(
            payments.unique("transaction_id", keep="last"), on="transaction_id", how="inner", maintain_order="left"
        ).with_columns(pl.col("inference_time").cast(pl.Datetime("us", "UTC")))

    def views(self) -> dict[str, str | None]:
        """Return the view of each feature, in the model's order; None for what the request itself brings."""
        feast = feature_store(self.settings)
        # A service that finishes windows at request time has views without a table; its tables are what can be late.
        found = references(feast, trained_as(feast, self.service), self.features)
        return {name: found[name].split(":")[0] if name in found else None for name in self.features}

    def offline(self, requests: "pl.DataFrame") -> "pl.DataFrame":
        """Return what the offline store says today: what a training set would hold."""
        return self._asked(requests)

    def would_have_been(self, requests: "pl.DataFrame") -> "list[tuple[Hypothesis, pl.DataFrame]]":
        """Return what would have been served under each cause, the likeliest first."""
        if self.lookup == "event":
            return list(self._had_it_not_known(requests))
        import polars as pl

        lags = pl.DataFrame({"_behind": [timedelta(days=day) for day in range(1, DAYS_BEHIND + 1)]})
        # All lags in one join: most of a call's cost does not depend on the number of rows.
        behind = self._asked(lags.join(requests, how="cross"), behind=pl.col("_behind"))
        return [
            ("late_data", self._asked(requests, as_known=True)),
            ("time_to_live", self._asked(requests, ignore_time_to_live=True)),
            *(("missed_materialization", part) for part in behind.iter_slices(requests.height)),
        ]

    def _had_it_not_known(self, requests: "pl.DataFrame") -> "Iterator[tuple[Hypothesis, pl.DataFrame]]":
        """Yield what a service that finishes windows at request time would have served without what was unknown.

        First whole days, as when a materialization was missed and nothing streamed; then payments that came later
        than the next one of the same card or terminal. Where both would have served the same the store was behind.
        """
        all_known = self.offline(requests)
        for unknown in (*_DAYS_UNKNOWN, *_PAYMENTS_UNKNOWN):
            windows = finished_without(self.store, requests, unknown)
            cause: Hypothesis = "missed_materialization" if unknown.places == frozenset() else "late_data"
            yield cause, all_known.with_columns(windows.select(name for name in self.features if name in windows))

    def rewritten(self, requests: "pl.DataFrame") -> "dict[str, pl.Series]":
        """Return by view, of each request, whether the table's rows were rewritten since it was served."""
        import polars as pl

        midnights = requests["event_time"].dt.truncate("1d").to_list()
        by_table = rewritten_since(self.store, list(zip(requests["inference_time"].to_list(), midnights, strict=True)))
        table_of = {
            view.name: getattr(view.batch_source, "path", "")
            for view in feature_store(self.settings).list_feature_views()
        }
        return {
            view: pl.Series(by_table[table], dtype=pl.Boolean) for view, table in table_of.items() if table in by_table
        }

    def _asked(
        self,
        requests: "pl.DataFrame",
        *,
        as_known: bool = False,
        ignore_time_to_live: bool = False,
        behind: "timedelta | pl.Expr" = timedelta(0),
    ) -> "pl.DataFrame":
        feast = feature_store(self.settings)
        if ignore_time_to_live:
            feast.config.offline_store.ignore_time_to_live = True
        payments = requests.drop("amount", strict=False).rename({"amount_landed": "amount"})
        return point_in_time_features(
            feast,
            payments,
            service=self.service,
            features=self.features,
            lookup=self.lookup,
            as_known=as_known,
            behind=behind,
        )
