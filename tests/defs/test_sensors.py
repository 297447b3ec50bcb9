"""Sensors ask for the right runs: ticked on a real instance, with real files and a real bucket behind them."""

from collections.abc import Iterator
from itertools import pairwise
from typing import get_args

import dagster as dg
import pytest
from dagster import DagsterInstance

from ml_platform.core.settings import Settings
from ml_platform.defs.schedules import REASON_TAG
from ml_platform.monitoring.decision import Action
from tests.defs.ticks import tick

DECISION = dg.AssetKey(["card_fraud", "operating_decision"])


@pytest.mark.parametrize(
    "sensor",
    [
        "new_source_data",
        "late_rows_reach_features",
        "operating_decision_retrains",
        "operating_decision_rolls_back",
        "approved_package_goes_live",
        "automation",
    ],
)
def test_a_sensor_runs_from_the_start(definitions: dg.Definitions, sensor: str) -> None:
    assert definitions.resolve_sensor_def(sensor).default_status == dg.DefaultSensorStatus.RUNNING


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
