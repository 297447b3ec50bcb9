"""What runs by the clock: yesterday's payments and features, monitoring, and the weekly retraining. All UTC."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg

from ml_platform.components import payments
from ml_platform.defs.model_graph import MONITORING_STAGE, TRAINING_STAGE, models_in, stage_of

REASON_TAG = "ml_platform/reason"
RUNNING = dg.DefaultScheduleStatus.RUNNING


@dg.schedule(
    cron_schedule="30 0 * * *",
    target=[*payments.DAILY],
    default_status=RUNNING,
    execution_timezone="UTC",
)
def daily_payments(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """Half past midnight: land yesterday's payments and labels, compute their features, serve them online."""
    yesterday = (context.scheduled_execution_time.astimezone(UTC) - timedelta(days=1)).date().isoformat()
    return dg.RunRequest(run_key=yesterday, partition_key=yesterday, tags={REASON_TAG: f"the day {yesterday} is over"})


@dg.schedule(
    cron_schedule="0 6 * * *",
    target=dg.AssetSelection.groups("monitoring"),
    default_status=RUNNING,
    execution_timezone="UTC",
)
def daily_monitoring(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Six in the morning: drift, performance and decision of every model whose traffic has been captured."""
    models = [model for model in models_in(context.repository_def) if _has_traffic(context, model)]
    yield from _one_run_per_model(context, models, MONITORING_STAGE, "daily monitoring")
    if not models:
        yield dg.SkipReason("No model's traffic has been captured yet, so there is nothing to monitor.")


@dg.schedule(
    cron_schedule="0 3 * * 1",
    target=dg.AssetSelection.groups("training", "evaluation", "registry"),
    default_status=RUNNING,
    execution_timezone="UTC",
)
def weekly_retraining(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
    """Monday at three: a new candidate of every model, judged by the gate."""
    yield from _one_run_per_model(context, models_in(context.repository_def), TRAINING_STAGE, "weekly retraining")


def _has_traffic(context: dg.ScheduleEvaluationContext, model: str) -> bool:
    captured = dg.AssetKey([model, "captured_traffic"])
    return context.instance.get_latest_materialization_event(captured) is not None


def _one_run_per_model(
    context: dg.ScheduleEvaluationContext, models: Sequence[str], stage: tuple[str, ...], reason: str
) -> Iterator[dg.RunRequest]:
    instant: datetime = context.scheduled_execution_time
    for model in models:
        yield dg.RunRequest(
            run_key=f"{model}-{instant:%Y%m%dT%H%M}",
            asset_selection=stage_of(model, stage),
            tags={REASON_TAG: reason, "model": model},
        )
