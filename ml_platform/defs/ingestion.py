"""Land validated transactions and late fraud labels, one partition a day."""

import dagster as dg

from ml_platform.components import payments
from ml_platform.components.metadata import rows, sentence, told
from ml_platform.core.verdict import Verdict
from ml_platform.defs.partitions import daily, days_of
from ml_platform.ingestion.expectations import FRESHNESS, QUARANTINE, SCHEMA, VOLUME
from ml_platform.resources.payments import PaymentsSource

_MEANINGS = {
    VOLUME: "Each day has about as many rows as the days before it.",
    FRESHNESS: "The newest landed day is as recent as the source promises, if it promises anything.",
    SCHEMA: "The source's columns are there and have the types that they had.",
    QUARANTINE: "Few of the rows were set aside.",
}


def _checks(asset: dg.AssetKey, *names: str) -> list[dg.AssetCheckSpec]:
    return [dg.AssetCheckSpec(name, asset=asset, description=_MEANINGS[name]) for name in names]


def _result(name: str, verdict: Verdict, **numbers: float) -> dg.AssetCheckResult:
    """A warning at most: rows that can be used are used, and a person is told."""
    return dg.AssetCheckResult(
        check_name=name,
        passed=verdict.passed,
        severity=dg.AssetCheckSeverity.WARN,
        description=told(verdict.failures),
        metadata={"reasons": sentence(verdict.failures), **numbers},
    )


@dg.asset(
    key=payments.TRANSACTIONS,
    partitions_def=daily,
    backfill_policy=dg.BackfillPolicy.single_run(),
    group_name="ingestion",
    kinds={"parquet", "s3"},
    owners=["team:ml-platform"],
    check_specs=_checks(payments.TRANSACTIONS, VOLUME, FRESHNESS, SCHEMA, QUARANTINE),
)
def transactions(context: dg.AssetExecutionContext, payments_source: PaymentsSource) -> dg.MaterializeResult:
    """Card payments by event day, validated; rows that break a rule are quarantined with their reason."""
    report = payments_source.land_transactions(*days_of(context))
    quarantined_percent = 100 * report.quarantined / max(report.accepted + report.quarantined, 1)
    return dg.MaterializeResult(
        metadata={
            **rows(report.accepted),
            "quarantined": report.quarantined,
            "quarantined_percent": quarantined_percent,
            "quarantine_reasons": dict(report.reasons),
            "empty_days": [day.isoformat() for day in report.empty_days],
            "amount_total": report.total_amount,
        },
        check_results=[
            _result(VOLUME, report.judged.volume, rows=report.accepted + report.quarantined),
            _result(FRESHNESS, report.judged.freshness),
            _result(SCHEMA, report.judged.schema),
            _result(QUARANTINE, report.judged.quarantine, quarantined_percent=quarantined_percent),
        ],
    )


@dg.asset(
    key=payments.FRAUD_LABELS,
    partitions_def=daily,
    backfill_policy=dg.BackfillPolicy.single_run(),
    group_name="ingestion",
    kinds={"parquet", "s3"},
    owners=["team:ml-platform"],
    check_specs=_checks(payments.FRAUD_LABELS, SCHEMA, QUARANTINE),
)
def fraud_labels(context: dg.AssetExecutionContext, payments_source: PaymentsSource) -> dg.MaterializeResult:
    """Fraud labels by the day on which they became known. Corrections append; the newest known wins."""
    report = payments_source.land_labels(*days_of(context))
    return dg.MaterializeResult(
        metadata={**rows(report.accepted), "quarantined": report.quarantined, "frauds": report.frauds},
        check_results=[_result(SCHEMA, report.judged.schema), _result(QUARANTINE, report.judged.quarantine)],
    )
