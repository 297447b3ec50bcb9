"""An operating decision to re-threshold has an actor: the decision policy, and nothing else, is fitted again."""

from typing import get_args

import dagster as dg
import pytest
from dagster import DagsterInstance

from ml_platform.defs.schedules import REASON_TAG
from ml_platform.monitoring.decision import Action
from tests.defs.test_sensors import decide
from tests.defs.ticks import tick

SENSOR = "operating_decision_rethresholds"


def test_the_sensor_runs_from_the_start(definitions: dg.Definitions) -> None:
    assert definitions.resolve_sensor_def(SENSOR).default_status == dg.DefaultSensorStatus.RUNNING


def test_a_decision_to_rethreshold_fits_the_policy_again_and_names_the_decision(
    definitions: dg.Definitions, instance: DagsterInstance
) -> None:
    decide(instance, "rethreshold")
    (request,) = tick(definitions, instance, SENSOR).run_requests or []
    assert request.asset_selection == [dg.AssetKey(["card_fraud", "decision_policy"])]
    assert request.tags[REASON_TAG].endswith(": re-threshold")
    (again,) = tick(definitions, instance, SENSOR).run_requests or []
    assert again.run_key == request.run_key


@pytest.mark.parametrize("action", [action for action in get_args(Action) if action != "rethreshold"])
def test_another_decision_leaves_the_policy_alone(
    definitions: dg.Definitions, instance: DagsterInstance, action: str
) -> None:
    decide(instance, action)
    assert not tick(definitions, instance, SENSOR).run_requests
