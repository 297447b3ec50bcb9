"""Sensors ask for the right runs: ticked on a real instance, with real files and a real bucket behind them."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path
from typing import get_args

import dagster as dg
import polars as pl
import pytest
from dagster import DagsterInstance
from dagster._core.definitions.sensor_definition import SensorExecutionData

from ml_platform.aws.objects import ObjectStore
from ml_platform.cli.runs import RANGE_END_TAG, RANGE_START_TAG, Runs
from ml_platform.components import payments
from ml_platform.core.errors import SourceDataError
from ml_platform.core.settings import Settings
from ml_platform.defs.schedules import REASON_TAG
from ml_platform.defs.sensors import missing_days
from ml_platform.monitoring.decision import Action

DECISION = dg.AssetKey(["card_fraud", "operating_decision"])
START = date(2026, 1, 5)


def day(number: int) -> date:
    return START + timedelta(days=number)


def tick(definitions: dg.Definitions, instance: DagsterInstance, sensor: str) -> SensorExecutionData:
    """Evaluate a sensor as the daemon would."""
    with dg.build_sensor_context(
        instance=instance,
        definitions=definitions,
        resources=dict(definitions.resources or {}),
        repository_name=definitions.get_repository_def().name,
    ) as context:
        return definitions.resolve_sensor_def(sensor).evaluate_tick(context)


@pytest.mark.parametrize(
    "sensor", ["new_source_data", "operating_decision_retrains", "approved_package_goes_live", "automation"]
)
def test_a_sensor_runs_from_the_start(definitions: dg.Definitions, sensor: str) -> None:
    assert definitions.resolve_sensor_def(sensor).default_status == dg.DefaultSensorStatus.RUNNING


# Missing days


@pytest.mark.parametrize(
    ("offered", "landed", "today", "missing"),
    [
        pytest.param((0, 2), [], 9, [0, 1, 2], id="nothing is landed"),
        pytest.param((0, 2), [0, 1, 2], 9, [], id="everything is landed"),
        pytest.param((0, 4), [0, 2], 9, [1, 3, 4], id="a gap counts"),
        pytest.param((0, 9), [], 3, [0, 1, 2], id="a day that is not over is not complete"),
        pytest.param((-5, 1), [], 9, [0, 1], id="days before the history are left alone"),
        pytest.param((-5, -2), [], 9, [], id="the source ends before the history"),
        pytest.param((4, 6), [], 3, [], id="the source begins after today"),
        pytest.param(None, [0], 3, [1, 2], id="a source without an end offers every complete day"),
        pytest.param(None, [], 0, [], id="the first day is not over"),
        pytest.param((0, 1), [0, 1, 2, 3], 9, [], id="more is landed than the source still has"),
    ],
)
def test_missing_days(offered: tuple[int, int] | None, landed: list[int], today: int, missing: list[int]) -> None:
    span = (day(offered[0]), day(offered[1])) if offered else None
    assert missing_days(span, [day(number) for number in landed], START, day(today)) == [day(n) for n in missing]


# New source data


def write_days(path: Path, count: int) -> None:
    """Write a source with the first days of the history, ten payments each."""
    rows = [
        {
            "transaction_id": f"{number}-{payment}",
            "event_time": datetime.combine(day(number), time(payment), UTC),
            "customer_id": f"c{payment}",
            "terminal_id": f"t{payment}",
            "amount": 10.0 + payment,
            "label": int(payment == 3),
        }
        for number in range(count)
        for payment in range(10)
    ]
    pl.DataFrame(rows).write_parquet(path)


@pytest.fixture
def source(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "payments.parquet"
    write_days(path, 3)
    monkeypatch.setenv("ML_PLATFORM_SOURCE", str(path))
    return path


@pytest.fixture
def runs(definitions: dg.Definitions, instance: DagsterInstance) -> Runs:
    return Runs(definitions, instance)


# Without the online store, which takes Feast: that whole days land is in ``tests/loop``.
TABLES = [key.to_user_string() for key in payments.DAILY if key != payments.ONLINE_FEATURES]


def test_new_source_data_asks_for_the_missing_days_as_one_run_until_they_are_landed(
    definitions: dg.Definitions, instance: DagsterInstance, runs: Runs, source: Path, store: ObjectStore
) -> None:
    (first,) = tick(definitions, instance, "new_source_data").run_requests or []
    assert (first.tags[RANGE_START_TAG], first.tags[RANGE_END_TAG]) == ("2026-01-05", "2026-01-07")
    assert first.tags[REASON_TAG] == "the source has 3 new days, 2026-01-05 to 2026-01-07"
    runs.materialize(TABLES, tags=first.tags)
    skipped = tick(definitions, instance, "new_source_data")
    assert not skipped.run_requests
    assert skipped.skip_message == "Every complete day that the source has is landed."

    write_days(source, 5)
    (second,) = tick(definitions, instance, "new_source_data").run_requests or []
    assert (second.tags[RANGE_START_TAG], second.tags[RANGE_END_TAG]) == ("2026-01-08", "2026-01-09")
    assert second.run_key != first.run_key
    runs.materialize(TABLES, tags=second.tags)
    assert not tick(definitions, instance, "new_source_data").run_requests


def test_a_day_that_is_missing_between_landed_ones_is_asked_for_alone(
    definitions: dg.Definitions, instance: DagsterInstance, runs: Runs, source: Path
) -> None:
    for landed in (0, 2):
        runs.materialize(TABLES, partition=day(landed).isoformat())
    (request,) = tick(definitions, instance, "new_source_data").run_requests or []
    assert (request.tags[RANGE_START_TAG], request.tags[RANGE_END_TAG]) == ("2026-01-06", "2026-01-06")


@pytest.mark.parametrize("done", range(1, len(TABLES)))
def test_days_whose_run_died_half_way_are_asked_for_again(
    definitions: dg.Definitions, instance: DagsterInstance, runs: Runs, source: Path, done: int
) -> None:
    runs.materialize(TABLES[:done], days=(day(0), day(2)))
    (request,) = tick(definitions, instance, "new_source_data").run_requests or []
    assert (request.tags[RANGE_START_TAG], request.tags[RANGE_END_TAG]) == ("2026-01-05", "2026-01-07")


def test_a_source_that_is_not_there_is_a_clear_error_of_the_tick(
    definitions: dg.Definitions, instance: DagsterInstance, source: Path
) -> None:
    source.unlink()
    with pytest.raises(SourceDataError, match=r"payments\.parquet"):
        tick(definitions, instance, "new_source_data")


# Operating decision


def decide(instance: DagsterInstance, action: str) -> None:
    """Let a model's operating decision be materialized, by a real run."""

    @dg.asset(key=DECISION)
    def stub() -> dg.MaterializeResult:
        return dg.MaterializeResult(metadata={"action": action})

    assert dg.materialize([stub], instance=instance).success


def test_no_decision_retrains_nothing(definitions: dg.Definitions, instance: DagsterInstance) -> None:
    outcome = tick(definitions, instance, "operating_decision_retrains")
    assert not outcome.run_requests
    assert outcome.skip_message == "No model's newest operating decision is to retrain."


@pytest.mark.parametrize("action", [action for action in get_args(Action) if action != "retrain"])
def test_another_decision_retrains_nothing(definitions: dg.Definitions, instance: DagsterInstance, action: str) -> None:
    decide(instance, action)
    assert not tick(definitions, instance, "operating_decision_retrains").run_requests


def test_a_decision_to_retrain_asks_for_the_training_stage_and_names_the_decision(
    definitions: dg.Definitions, instance: DagsterInstance
) -> None:
    decide(instance, "retrain")
    (request,) = tick(definitions, instance, "operating_decision_retrains").run_requests or []
    assert [key.path[-1] for key in request.asset_selection or ()] == [
        "training_set",
        "model_candidate",
        "evaluation_report",
        "model_package",
    ]
    assert request.tags["model"] == "card_fraud"
    assert request.tags[REASON_TAG].endswith(": retrain")


def test_each_decision_to_retrain_is_one_run_key(definitions: dg.Definitions, instance: DagsterInstance) -> None:
    """The daemon runs a run key once; the loop test lets it do so."""

    def ticks() -> Iterator[str | None]:
        for _ in range(2):
            decide(instance, "retrain")
            for _ in range(2):
                (request,) = tick(definitions, instance, "operating_decision_retrains").run_requests or []
                yield request.run_key

    same = [before == after for before, after in pairwise(ticks())]
    assert same == [True, False, True]


def test_a_later_all_clear_takes_a_decision_to_retrain_back(
    definitions: dg.Definitions, instance: DagsterInstance
) -> None:
    decide(instance, "retrain")
    decide(instance, "nothing")
    assert not tick(definitions, instance, "operating_decision_retrains").run_requests


# Approved package


def test_nothing_is_deployed_while_nothing_is_approved(
    definitions: dg.Definitions, instance: DagsterInstance, sagemaker_settings: Settings
) -> None:
    """That an approved package goes live, and only once, is in ``tests/loop``: it takes an endpoint."""
    outcome = tick(definitions, instance, "approved_package_goes_live")
    assert not outcome.run_requests
    assert outcome.skip_message
