"""What training and serving must agree on: the instant features are looked up at, their references, their defaults."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from ml_platform.core.clock import midnight
from ml_platform.core.errors import FeatureError
from ml_platform.features.store import trained_as
from ml_platform.features.tables import REQUEST_FEATURES
from ml_platform.features.windows.payments import FEATURE_TABLES

if TYPE_CHECKING:
    import polars as pl
    from feast import FeatureStore

Lookup = Literal["daily", "event"]
"""``daily``: as the online store serves it, filled up to the last midnight. ``event``: as of the payment itself."""

WHEN_ABSENT: Mapping[str, float] = {
    feature.name: feature.when_empty
    for table in FEATURE_TABLES
    for feature in table.features
    if feature.when_empty is not None
}
"""Value of a feature without a row: what its declaration says of an empty window. A mean of nothing stays missing."""


def lookup_instant(transaction_time: datetime) -> datetime:
    """Return the instant as of which a payment is served: the last one before its day (UTC) began."""
    return midnight(transaction_time.astimezone(UTC)) - timedelta(microseconds=1)


def references(store: "FeatureStore", service: str, features: Sequence[str]) -> dict[str, str]:
    """Return Feast's reference of each feature that is not part of the request, in the features' order.

    Raises:
        FeatureError: When the service does not exist or lacks a feature.
    """
    from feast.errors import FeatureServiceNotFoundException

    try:
        projections = store.get_feature_service(service).feature_view_projections
    except FeatureServiceNotFoundException as error:
        raise FeatureError(
            f"There is no feature service {service}; feature_repo/feature_services.py defines them."
        ) from (error)
    offered = {field.name: f"{view.name}:{field.name}" for view in projections for field in view.features}
    unknown = [name for name in features if name not in offered and name not in REQUEST_FEATURES]
    if unknown:
        raise FeatureError(
            f"Feature service {service} does not serve {', '.join(unknown)}. "
            f"It serves {', '.join(offered)}; the payment itself brings {', '.join(REQUEST_FEATURES)}."
        )
    return {name: offered[name] for name in features if name in offered}


def point_in_time_features(
    store: "FeatureStore",
    payments: "pl.DataFrame",
    *,
    service: str,
    features: Sequence[str],
    lookup: Lookup,
    as_known: bool = False,
    behind: "timedelta | pl.Expr" = timedelta(0),
) -> "pl.DataFrame":
    """Return ``transaction_id`` and the features of these payments as floats, in the payments' order.

    Args:
        store: The feature store.
        payments: ``transaction_id``, ``event_time``, ``customer_id``, ``terminal_id`` and ``amount``.
        service: Feast feature service that serves the features.
        features: Names, request features included.
        lookup: As of which instant.
        as_known: Whether only rows count that had been written by then.
        behind: As of how much earlier than that.

    Raises:
        FeatureError: When the service lacks a feature.
    """
    import polars as pl

    instant = pl.col("event_time") - behind
    if lookup == "daily":
        # lookup_instant, for a whole column. The rows of a day are written at the midnight that ends it.
        instant = instant.dt.truncate("1d") - (timedelta(0) if as_known else timedelta(microseconds=1))
    asked = payments.select(
        "transaction_id",
        "customer_id",
        "terminal_id",
        "amount",
        transaction_time="event_time",
        event_timestamp=instant,
    )
    joined = trained_as(store, service)
    if joined != service and lookup == "daily":
        raise FeatureError(
            f"Feature service {service} serves features as of the payment itself; training on last midnight's "
            "would differ. Set feature_lookup: event."
        )
    wanted = list(references(store, joined, features).values())
    found = asked.to_arrow()
    if wanted:
        found = store.get_historical_features(
            asked.to_pandas(), wanted, filter_by_created_timestamp=as_known
        ).to_arrow()
    return pl.DataFrame(found).select(
        "transaction_id",
        *(pl.col(name).cast(pl.Float64).fill_null(pl.lit(WHEN_ABSENT.get(name), pl.Float64)) for name in features),
    )


def service_definition(store: "FeatureStore", service: str) -> list[dict[str, Any]]:
    """Return what a feature service means, as JSON: views, features, types, time to live, on-demand source text."""
    views = {view.name: view for view in store.list_feature_views()}
    on_demand = {view.name: view for view in store.list_on_demand_feature_views()}
    return [
        {
            "view": projection.name,
            "features": [(field.name, str(field.dtype)) for field in projection.features],
            "keys": views[projection.name].join_keys if projection.name in views else [],
            "time_to_live": str(views[projection.name].ttl) if projection.name in views else None,
            "source_text": getattr(on_demand[projection.name].feature_transformation, "udf_string", None)
            if projection.name in on_demand
            else None,
        }
        for projection in store.get_feature_service(service).feature_view_projections
    ]
