"""Runs and sensor ticks on the platform's own Dagster instance, executed in this process.

The runs are the same as a daemon's: same definitions, same instance, same event log, visible in the UI afterwards.
Only the start-up of a process per run is saved.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import dagster as dg
from dagster import AssetCheckEvaluation, DagsterInstance

from ml_platform.core.errors import MLPlatformError

RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class RunFailedError(MLPlatformError):
    """A run failed for another reason than a blocking check."""


@dataclass(frozen=True, slots=True)
class Run:
    """One finished run."""

    run_id: str
    materialized: frozenset[str]
    checks: tuple[AssetCheckEvaluation, ...]

    def blocked_by(self) -> tuple[AssetCheckEvaluation, ...]:
        """The blocking checks that failed."""
        return tuple(check for check in self.checks if check.blocking and not check.passed)


class Runs:
    """Materializes assets and ticks sensors of one code location on one instance."""

    def __init__(self, definitions: dg.Definitions, instance: DagsterInstance) -> None:
        self.definitions = definitions
        self.instance = instance
        self._job = definitions.resolve_implicit_global_asset_job_def()

    def materialize(
        self,
        assets: Sequence[str],
        *,
        days: tuple[date, date] | None = None,
        partition: str | None = None,
        ops: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Run:
        """Run some assets, given as ``payments/transactions``; ``days`` makes it one run over a partition range.

        Raises:
            RunFailedError: When a step failed; a failed blocking check is a result, not an error.
        """
        span = {RANGE_START_TAG: days[0].isoformat(), RANGE_END_TAG: days[1].isoformat()} if days else {}
        keys = [dg.AssetKey(asset.split("/")) for asset in assets]
        return self._execute(keys, {**span, **(tags or {})}, partition, {"ops": dict(ops)} if ops else {})

    def tick(self, sensor: str) -> tuple[list[Run], str | None]:
        """Evaluate a sensor once and execute what it asks for; also return its reason for asking for nothing.

        The cursor and run keys are kept in the instance, as the daemon does: asking twice runs once.
        """
        definition = self.definitions.resolve_sensor_def(sensor)
        with dg.build_sensor_context(
            instance=self.instance,
            definitions=self.definitions,
            resources=dict(self.definitions.resources or {}),
            repository_name=self.definitions.get_repository_def().name,
        ) as context:
            outcome = definition.evaluate_tick(context)
        requests = [request for request in outcome.run_requests or [] if not self._already_ran(sensor, request.run_key)]
        return [self._serve(sensor, request) for request in requests], outcome.skip_message

    def _already_ran(self, sensor: str, run_key: str | None) -> bool:
        if run_key is None:
            return False
        tags = {"dagster/sensor_name": sensor, "dagster/run_key": run_key}
        return bool(self.instance.get_run_records(dg.RunsFilter(tags=tags), limit=1))

    def _serve(self, sensor: str, request: dg.RunRequest) -> Run:
        tags = {**request.tags, "dagster/sensor_name": sensor}
        if request.run_key:
            tags["dagster/run_key"] = request.run_key
        return self._execute(list(request.asset_selection or []), tags, request.partition_key, dict(request.run_config))

    def _execute(
        self, keys: Sequence[dg.AssetKey], tags: Mapping[str, str], partition: str | None, config: Mapping[str, Any]
    ) -> Run:
        result = self._job.execute_in_process(
            asset_selection=keys,
            tags=dict(tags),
            partition_key=partition,
            run_config={**QUIET, **config},
            instance=self.instance,
            raise_on_error=False,
        )
        run = Run(
            run_id=result.run_id,
            materialized=frozenset(
                event.asset_key.to_user_string()
                for event in result.get_asset_materialization_events()
                if event.asset_key is not None
            ),
            checks=tuple(result.get_asset_check_evaluations()),
        )
        if not result.success and not run.blocked_by():
            raise RunFailedError(_why(result))
        return run


def _why(result: dg.ExecuteInProcessResult) -> str:
    """The reason of the first failed step, as short as a person needs it."""
    for event in result.get_step_failure_events():
        error = event.step_failure_data.error
        while error is not None and error.cause is not None:
            error = error.cause
        if error is not None:
            return (
                f"Step {event.step_key} failed: {error.message.strip()} (run {result.run_id}; `make dev` shows its log)"
            )
    return f"Run {result.run_id} failed; `make dev` shows its log."
