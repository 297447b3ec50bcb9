"""Card and terminal features per day, and the online store that serves them."""

from datetime import UTC, datetime, time, timedelta

import dagster as dg

from ml_platform.components import payments
from ml_platform.components.metadata import rows, sentence, told
from ml_platform.defs.ingestion import fraud_labels, transactions
from ml_platform.defs.partitions import daily, days_of
from ml_platform.resources.feature_store import FeatureStore

PARITY_SAMPLE = 200


def _window(days: int) -> dg.TimeWindowPartitionMapping:
    """Each day depends on itself and on the days before it that its windows reach back to."""
    return dg.TimeWindowPartitionMapping(start_offset=-days, end_offset=0, allow_nonexistent_upstream_partitions=True)


@dg.asset(
    key=payments.CARD_ACTIVITY,
    deps=[dg.AssetDep(transactions, partition_mapping=_window(30))],
    partitions_def=daily,
    backfill_policy=dg.BackfillPolicy.single_run(),
    group_name="features",
    kinds={"polars", "parquet"},
    owners=["team:ml-platform"],
)
def card_activity(context: dg.AssetExecutionContext, feature_store: FeatureStore) -> dg.MaterializeResult:
    """Count and mean amount of each card's payments over the last 1, 7 and 30 days, as of each payment."""
    return dg.MaterializeResult(metadata=rows(feature_store.compute_card_activity(*days_of(context)).rows))


@dg.asset(
    key=payments.TERMINAL_RISK,
    deps=[
        dg.AssetDep(transactions, partition_mapping=_window(37)),
        dg.AssetDep(fraud_labels, partition_mapping=_window(37)),
    ],
    partitions_def=daily,
    backfill_policy=dg.BackfillPolicy.single_run(),
    group_name="features",
    kinds={"polars", "parquet"},
    owners=["team:ml-platform"],
)
def terminal_risk(context: dg.AssetExecutionContext, feature_store: FeatureStore) -> dg.MaterializeResult:
    """Payments and share of known frauds per terminal over 1, 7 and 30 days, ending 7 days before each payment."""
    return dg.MaterializeResult(metadata=rows(feature_store.compute_terminal_risk(*days_of(context)).rows))


@dg.asset(
    key=payments.ONLINE_FEATURES,
    deps=[card_activity, terminal_risk],
    partitions_def=daily,
    backfill_policy=dg.BackfillPolicy.single_run(),
    group_name="features",
    kinds={"feast", "sqlite"},
    owners=["team:ml-platform"],
    check_specs=[
        dg.AssetCheckSpec(
            "online_equals_offline",
            asset=payments.ONLINE_FEATURES,
            description="A sample of keys has the same values in the online store and in the offline store.",
        )
    ],
)
def online_features(context: dg.AssetExecutionContext, feature_store: FeatureStore) -> dg.MaterializeResult:
    """The newest feature row of every card and terminal, in Feast's online store."""
    first, last = days_of(context)
    day_end = datetime.combine(last + timedelta(days=1), time(), UTC)
    report = feature_store.materialize_online(day_end, (last - first).days + 1)
    parity = feature_store.compare_stores(report.end, PARITY_SAMPLE)
    return dg.MaterializeResult(
        metadata={"seconds": report.seconds, "filled_until": dg.MetadataValue.timestamp(report.end)},
        check_results=[
            dg.AssetCheckResult(
                check_name="online_equals_offline",
                passed=parity.verdict.passed,
                description=told(parity.verdict.failures),
                metadata={"reasons": sentence(parity.verdict.failures), "values_compared": parity.values},
            )
        ],
    )
