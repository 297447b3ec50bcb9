"""Schedules ask for the right runs: ticked on a real instance, with the instant they would have been due."""

from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg
import pytest
from dagster import DagsterInstance

from ml_platform.defs.schedules import REASON_TAG

MONDAY = datetime(2026, 3, 30, 3, 0, tzinfo=UTC)
DAILY = {"transactions", "fraud_labels", "card_activity", "terminal_risk", "online_features"}


@pytest.fixture
def stored() -> Iterator[DagsterInstance]:
    """An instance on disk: a schedule that reads events opens it anew, from its reference."""
    with dg.instance_for_test() as instance:
        yield instance


def tick(definitions: dg.Definitions, instance: DagsterInstance, schedule: str, due: datetime) -> list[dg.RunRequest]:
    """Evaluate a schedule as the daemon would at the instant it is due."""
    context = dg.build_schedule_context(
        instance=instance, scheduled_execution_time=due, repository_def=definitions.get_repository_def()
    )
    return list(definitions.resolve_schedule_def(schedule).evaluate_tick(context).run_requests or [])


@pytest.mark.parametrize(
    ("schedule", "cron"),
    [("daily_payments", "30 0 * * *"), ("daily_monitoring", "0 6 * * *"), ("weekly_retraining", "0 3 * * 1")],
)
def test_a_schedule_runs_from_the_start_and_keeps_utc(definitions: dg.Definitions, schedule: str, cron: str) -> None:
    definition = definitions.resolve_schedule_def(schedule)
    assert definition.default_status == dg.DefaultScheduleStatus.RUNNING
    assert definition.cron_schedule == cron
    assert definition.execution_timezone == "UTC"


def test_there_are_no_other_schedules(definitions: dg.Definitions) -> None:
    found = {schedule.name for schedule in definitions.get_repository_def().schedule_defs}
    assert found == {"daily_payments", "daily_monitoring", "weekly_retraining"}


def test_daily_payments_asks_for_yesterday_and_says_why(definitions: dg.Definitions, instance: DagsterInstance) -> None:
    (request,) = tick(definitions, instance, "daily_payments", datetime(2026, 3, 1, 0, 30, tzinfo=UTC))
    assert request.partition_key == "2026-02-28"
    assert request.run_key == "2026-02-28"
    assert request.tags[REASON_TAG] == "the day 2026-02-28 is over"


def test_daily_payments_runs_everything_a_day_brings_up_to_date(definitions: dg.Definitions) -> None:
    job = definitions.resolve_schedule_def("daily_payments").job
    selected = job.selection.resolve(definitions.resolve_asset_graph())
    assert {key.to_user_string() for key in selected} == {f"payments/{asset}" for asset in DAILY}


def test_weekly_retraining_asks_for_one_run_per_model(definitions: dg.Definitions, instance: DagsterInstance) -> None:
    (request,) = tick(definitions, instance, "weekly_retraining", MONDAY)
    assert [key.to_user_string() for key in request.asset_selection or ()] == [
        "card_fraud/training_set",
        "card_fraud/model_candidate",
        "card_fraud/evaluation_report",
        "card_fraud/model_package",
    ]
    assert request.tags[REASON_TAG] == "weekly retraining"
    assert request.tags["model"] == "card_fraud"


def test_daily_monitoring_asks_for_the_reports_and_the_decision(
    definitions: dg.Definitions, stored: DagsterInstance
) -> None:
    stored.report_runless_asset_event(
        dg.AssetMaterialization(["card_fraud", "captured_traffic"], partition="2026-03-30-05:00")
    )
    (request,) = tick(definitions, stored, "daily_monitoring", datetime(2026, 3, 30, 6, tzinfo=UTC))
    assert [key.to_user_string() for key in request.asset_selection or ()] == [
        "card_fraud/drift_report",
        "card_fraud/skew_report",
        "card_fraud/performance_report",
        "card_fraud/operating_decision",
    ]
    assert request.tags[REASON_TAG] == "daily monitoring"


def test_daily_monitoring_leaves_a_model_without_traffic_alone(
    definitions: dg.Definitions, stored: DagsterInstance
) -> None:
    assert tick(definitions, stored, "daily_monitoring", datetime(2026, 3, 30, 6, tzinfo=UTC)) == []


def test_the_same_instant_has_the_same_run_key_and_the_next_one_another(
    definitions: dg.Definitions, instance: DagsterInstance
) -> None:
    first, again, later = (
        tick(definitions, instance, "weekly_retraining", due)[0].run_key
        for due in (MONDAY, MONDAY, MONDAY.replace(day=6, month=4))
    )
    assert first == again != later
