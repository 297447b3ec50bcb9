"""Card and terminal features per day, and the online store that serves them."""

from datetime import UTC, datetime, time, timedelta

import dagster as dg

from ml_platform.components import payments
from ml_platform.components.automation import every_morning
from ml_platform.components.feature_columns import table_metadata
from ml_platform.components.metadata import numbers, picture, rows, sentence, told
from ml_platform.defs.ingestion import fraud_labels, transactions
from ml_platform.defs.partitions import daily, days_of
from ml_platform.resources.feature_store import FeatureStore

PARITY_SAMPLE = 200


def _window(days: int) -> dg.TimeWindowPartitionMapping:
    """Each day depends on itself and on the days before it that its windows reach back to."""
    return dg.TimeWindowPartitionMapping(start_offset=-days, end_offset=0, allow_nonexistent_upstream_partitions=True)


@dg.asset(
    key=payments.CARD_ACTIVITY,
    metadata=table_metadata(payments.CARD_ACTIVITY.to_user_string()),
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
    metadata=table_metadata(payments.TERMINAL_RISK.to_user_string()),
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


def _key(source: str) -> str:
    """A source of labels is named by whoever labels; a key of metadata has no blanks."""
    return source.replace(" ", "_")


@dg.asset(
    key=payments.LABEL_ARRIVAL,
    deps=[transactions, fraud_labels],
    group_name="features",
    kinds={"polars"},
    owners=["team:ml-platform"],
    automation_condition=every_morning(),
    check_specs=[
        dg.AssetCheckSpec(
            "labels_mature_in_time",
            asset=payments.LABEL_ARRIVAL,
            description="Every day of payments has nearly all of its labels once the label delay is over.",
        )
    ],
)
def label_arrival(feature_store: FeatureStore) -> dg.MaterializeResult:
    """How fast labels become known, per source and for all payments, and how mature each day's labels are."""
    arrival, verdict = feature_store.measure_label_arrival()
    matured = arrival.matured_until()
    return dg.MaterializeResult(
        metadata={
            "labels_known_by": dg.MetadataValue.timestamp(arrival.as_of),
            "matured_until": str(matured) if matured else "no day yet",
            **numbers({f"days_until_90_percent_{_key(name)}": c.days_until(0.9) for name, c in arrival.curves.items()}),
            **{
                f"arrival_{_key(name)}": picture(c.chart(f"share known by age in days: {name}"))
                for name, c in arrival.curves.items()
            },
            "maturity_by_day": dg.MetadataValue.table(
                [
                    dg.TableRecord({"day": str(day.day), "payments": day.payments, "labelled": round(day.share, 4)})
                    for day in arrival.days[::-1]
                ]
            ),
        },
        check_results=[
            dg.AssetCheckResult(
                check_name="labels_mature_in_time",
                passed=verdict.passed,
                severity=dg.AssetCheckSeverity.WARN,
                description=told(verdict.failures),
                metadata={"reasons": sentence(verdict.failures)},
            )
        ],
    )


@dg.asset(
    key=payments.FEATURE_CATALOGUE,
    deps=[transactions, card_activity, terminal_risk],
    group_name="features",
    kinds={"polars"},
    owners=["team:ml-platform"],
    automation_condition=every_morning(),
)
def feature_catalogue(feature_store: FeatureStore) -> dg.MaterializeResult:
    """Every feature for a person: meaning, unit, owner, source, freshness, missing values, values, and its models."""
    from ml_platform.features.catalogue.shown import markdown_tables

    catalogue = feature_store.catalogue()
    return dg.MaterializeResult(
        metadata={
            **{name: dg.MetadataValue.md(table) for name, table in markdown_tables(catalogue).items()},
            **{
                entry.name: picture(entry.figures.plot(f"{entry.name} ({entry.unit})"))
                for entry in catalogue
                if entry.figures is not None
            },
            **numbers({f"null_rate_{e.name}": e.figures.null_rate for e in catalogue if e.figures is not None}),
        }
    )
