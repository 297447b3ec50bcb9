"""Land validated transactions and late fraud labels, one partition a day."""

import dagster as dg

from ml_platform.components import payments
from ml_platform.components.metadata import rows, sentence, told
from ml_platform.core.verdict import Verdict
from ml_platform.defs.partitions import daily, days_of
from ml_platform.resources.payments import PaymentsSource

MAX_QUARANTINED_PERCENT = 1.0


@dg.asset(
    key=payments.TRANSACTIONS,
    partitions_def=daily,
    backfill_policy=dg.BackfillPolicy.single_run(),
    group_name="ingestion",
    kinds={"parquet", "s3"},
    owners=["team:ml-platform"],
    check_specs=[
        dg.AssetCheckSpec(
            "quarantine_is_small",
            asset=payments.TRANSACTIONS,
            description=f"At most {MAX_QUARANTINED_PERCENT:g} % of the rows were set aside.",
        )
    ],
)
def transactions(context: dg.AssetExecutionContext, payments_source: PaymentsSource) -> dg.MaterializeResult:
    """Card payments by event day, validated; rows that break a rule are quarantined with their reason."""
    report = payments_source.land_transactions(*days_of(context))
    quarantined_percent = 100 * report.quarantined / max(report.accepted + report.quarantined, 1)
    verdict = Verdict.of(
        [f"{quarantined_percent:.2f} % of the rows quarantined > {MAX_QUARANTINED_PERCENT:g} %"]
        if quarantined_percent > MAX_QUARANTINED_PERCENT
        else []
    )
    return dg.MaterializeResult(
        metadata={
            **rows(report.accepted),
            "quarantined": report.quarantined,
            "quarantined_percent": quarantined_percent,
            "quarantine_reasons": dict(report.reasons),
            "amount_total": report.total_amount,
        },
        check_results=[
            dg.AssetCheckResult(
                check_name="quarantine_is_small",
                passed=verdict.passed,
                severity=dg.AssetCheckSeverity.WARN,
                description=told(verdict.failures),
                metadata={"reasons": sentence(verdict.failures), "quarantined_percent": quarantined_percent},
            )
        ],
    )


@dg.asset(
    key=payments.FRAUD_LABELS,
    partitions_def=daily,
    backfill_policy=dg.BackfillPolicy.single_run(),
    group_name="ingestion",
    kinds={"parquet", "s3"},
    owners=["team:ml-platform"],
)
def fraud_labels(context: dg.AssetExecutionContext, payments_source: PaymentsSource) -> dg.MaterializeResult:
    """Fraud labels by the day on which they became known. Corrections append; the newest known wins."""
    report = payments_source.land_labels(*days_of(context))
    return dg.MaterializeResult(
        metadata={**rows(report.accepted), "quarantined": report.quarantined, "frauds": report.frauds}
    )
