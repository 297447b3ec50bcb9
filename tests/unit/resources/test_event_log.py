"""The batching event log leaves behind what Dagster's own leaves behind."""

from pathlib import Path

import dagster as dg
import pytest
import yaml

# Dagster calls the backfill policy beta; the platform's own definitions use it.
pytestmark = pytest.mark.filterwarnings("ignore::dagster._utils.warnings.BetaWarning")
DAYS = dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-01-11")
LANDED = dg.AssetKey("landed")
BATCHING = {
    "module": "ml_platform.resources.event_log",
    "class": "BatchingSqliteEventLogStorage",
    "config": {"home": {"env": "ML_PLATFORM_HOME"}},
}


def definitions() -> dg.Definitions:
    @dg.asset(partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run())
    def landed(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        return dg.MaterializeResult(metadata={"days": len(context.partition_keys)})

    @dg.asset_check(asset=landed)
    def looks_good() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=True)

    return dg.Definitions([landed], asset_checks=[looks_good])


def what_a_run_leaves(home: Path, config: dict[str, object]) -> list[object]:
    (home / "dagster").mkdir(parents=True)
    (home / "dagster" / "dagster.yaml").write_text(yaml.safe_dump(config))
    job = definitions().resolve_implicit_global_asset_job_def()
    span = {"dagster/asset_partition_range_start": "2026-01-01", "dagster/asset_partition_range_end": "2026-01-10"}
    with dg.DagsterInstance.from_config(str(home / "dagster")) as instance:
        result = job.execute_in_process(instance=instance, tags=span, partition_key=None)
        assert result.success
        records = instance.fetch_materializations(LANDED, limit=100).records
        newest = instance.get_latest_materialization_event(LANDED)
        (summary,) = instance.get_asset_records([LANDED])
        assert newest is not None
        return [
            sorted((record.partition_key, record.asset_materialization.metadata["days"].value) for record in records),
            newest.asset_materialization.partition if newest.asset_materialization else None,
            summary.asset_entry.last_run_id == result.run_id,
            instance.get_materialized_partitions(LANDED),
            sorted(log.dagster_event.event_type_value for log in instance.all_logs(result.run_id) if log.dagster_event),
        ]


def test_a_range_run_leaves_the_same_in_the_log_as_with_dagsters_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DAGSTER_EVENT_BATCH_SIZE", raising=False)
    dagsters_own = what_a_run_leaves(tmp_path / "own", {})
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "4")
    monkeypatch.setenv("ML_PLATFORM_HOME", str(tmp_path / "batching"))
    assert what_a_run_leaves(tmp_path / "batching", {"event_log_storage": BATCHING}) == dagsters_own
    assert (tmp_path / "batching" / "dagster" / "history" / "runs" / "index.db").exists()
