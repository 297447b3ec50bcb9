"""What runs on news from the source: days that it has and the platform has not, and rows that came late."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta

import dagster as dg
from dagster import DagsterEventType, DagsterInstance

from ml_platform.components import payments
from ml_platform.components.metadata import sentence, told
from ml_platform.core.clock import utc_now
from ml_platform.core.settings import Settings
from ml_platform.core.verdict import Verdict
from ml_platform.defs.run_attempts import ASK_TAG, days_under_way, next_attempt, range_tags, ranges_of
from ml_platform.defs.schedules import REASON_TAG
from ml_platform.ingestion.expectations import FRESHNESS
from ml_platform.resources.payments import PaymentsSource

RUNNING = dg.DefaultSensorStatus.RUNNING
FEATURES = (payments.CARD_ACTIVITY, payments.TERMINAL_RISK, payments.ONLINE_FEATURES)


@dg.sensor(target=[*payments.DAILY], default_status=RUNNING, minimum_interval_seconds=60)
def new_source_data(context: dg.SensorEvaluationContext, payments_source: PaymentsSource) -> dg.SensorResult:
    """Land the days that the source has and the platform has not, or has otherwise: one run for each range of days."""
    payments_source.refresh()
    landed = payments_source.days_landed(_days_computed(context.instance, payments.ONLINE_FEATURES))
    start = Settings.load().history_start
    missing = missing_days(payments_source.days_offered(), landed, start, utc_now().date())
    changed = [day for day in payments_source.days_changed() if day >= start]
    wanted = ranges_of([*missing, *changed])
    requests = list(_landing_runs(context.instance, payments_source, wanted, set(missing)))
    skipped = None
    if not wanted:
        skipped = "Every complete day that the source has is landed."
    elif not requests:
        skipped = f"{len(missing)} new and {len(changed)} changed days are being landed, or soon tried again."
    freshness = payments_source.freshness(utc_now())
    told_before = context.cursor
    return dg.SensorResult(
        run_requests=requests,
        skip_reason=skipped,
        asset_events=[_told(freshness)] if str(freshness.passed) != (told_before or "True") else [],
        cursor=str(freshness.passed),
    )


def _told(freshness: Verdict) -> dg.AssetCheckEvaluation:
    """The check that no landing makes when nothing is there to be landed."""
    return dg.AssetCheckEvaluation(
        asset_key=payments.TRANSACTIONS,
        check_name=FRESHNESS,
        passed=freshness.passed,
        severity=dg.AssetCheckSeverity.WARN,
        description=told(freshness.failures),
        metadata={"reasons": sentence(freshness.failures)},
    )


def _landing_runs(
    instance: DagsterInstance, source: PaymentsSource, wanted: list[tuple[date, date]], missing: set[date]
) -> Iterator[dg.RunRequest]:
    busy = days_under_way(instance)
    for first, last in wanted:
        days = [first + timedelta(days=offset) for offset in range((last - first).days + 1)]
        ask = f"{first}..{last} {source.version_of(days)}"
        key = next_attempt(instance, ask, utc_now())
        if key is None or busy & set(days):
            continue
        new = len(missing & set(days))
        told = [f"{new} new days"] if new else []
        told += [f"other rows for {len(days) - new} landed days"] if len(days) > new else []
        reason = f"the source has {' and '.join(told)}, {first} to {last}"
        yield dg.RunRequest(run_key=key, tags={**range_tags(first, last), ASK_TAG: ask, REASON_TAG: reason})


def missing_days(offered: tuple[date, date] | None, landed: list[date], history_start: date, today: date) -> list[date]:
    """Return the complete days that are offered and not landed, ascending.

    Args:
        offered: First and last day of the source; None when it has no end.
        landed: Days that have been landed.
        history_start: First day of all partitions.
        today: The day that is not over yet.
    """
    first, last = offered or (history_start, today)
    first, last = max(first, history_start), min(last, today - timedelta(days=1))
    span = (first + timedelta(days=offset) for offset in range((last - first).days + 1))
    return sorted(set(span) - set(landed))


@dg.sensor(target=[*FEATURES], default_status=RUNNING, minimum_interval_seconds=60)
def late_rows_reach_features(context: dg.SensorEvaluationContext, payments_source: PaymentsSource) -> dg.SensorResult:
    """Compute the features anew whose windows reach a day that changed after they had been computed."""
    settled: dict[str, int] = json.loads(context.cursor or "{}")
    revisions = {table: ledger.revision for table, ledger in payments_source.revisions().items()}
    if revisions == settled:
        return dg.SensorResult(skip_reason="No landed day has changed since features were last found to be right.")
    computed = {key.to_user_string(): _days_computed(context.instance, key) for key in FEATURES}
    stale = payments_source.stale_feature_days(computed, settled)
    if not stale:
        return dg.SensorResult(
            skip_reason="The features are younger than every row that they are made of.", cursor=json.dumps(revisions)
        )
    ask = f"{stale[0]}..{stale[-1]} at {'.'.join(str(revision) for revision in revisions.values())}"
    key = next_attempt(context.instance, ask, utc_now())
    if key is None or days_under_way(context.instance) & set(stale):
        return dg.SensorResult(skip_reason=f"{len(stale)} days are being computed anew, or soon tried again.")
    reason = f"late or corrected rows reach the features of {len(stale)} days, {stale[0]} to {stale[-1]}"
    tags = {**range_tags(stale[0], stale[-1]), ASK_TAG: ask, REASON_TAG: reason}
    return dg.SensorResult(run_requests=[dg.RunRequest(run_key=key, tags=tags)])


def _days_computed(instance: DagsterInstance, key: dg.AssetKey) -> Mapping[date, datetime]:
    """Return when each day of an asset was materialized last."""
    newest = instance.get_latest_storage_id_by_partition(key, DagsterEventType.ASSET_MATERIALIZATION)
    if not newest:
        return {}
    chosen = dg.AssetRecordsFilter(asset_key=key, storage_ids=list(newest.values()))
    records = instance.fetch_materializations(chosen, limit=len(newest)).records
    return {
        date.fromisoformat(record.partition_key): datetime.fromtimestamp(record.timestamp, UTC)
        for record in records
        if record.partition_key
    }
