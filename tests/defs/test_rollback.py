"""An operating decision to roll back is a person's to carry out, and the sensor's when the setting says so."""

import dagster as dg
import pytest
from dagster import DagsterInstance

from ml_platform.aws.manifests import Manifests
from ml_platform.aws.objects import ObjectStore
from ml_platform.core.clock import utc_now
from ml_platform.defs.schedules import REASON_TAG
from ml_platform.monitoring.decision import OperatingDecision
from tests.defs.test_sensors import decide
from tests.defs.ticks import tick

SENSOR = "operating_decision_rolls_back"


def test_by_default_the_command_is_named_and_nothing_runs(
    definitions: dg.Definitions, instance: DagsterInstance
) -> None:
    decide(instance, "roll_back")
    outcome = tick(definitions, instance, SENSOR)
    assert not outcome.run_requests
    assert "ml-platform rollback card_fraud" in (outcome.skip_message or "")


def test_by_setting_the_version_that_was_judged_is_rolled_back(
    definitions: dg.Definitions, instance: DagsterInstance, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ML_PLATFORM_ROLL_BACK_BY_DECISION", "true")
    decided = OperatingDecision(
        model="card_fraud", action="roll_back", reasons=("it fell",), decided_at=utc_now(), package_arn="package/x/7"
    )
    Manifests(store, "card_fraud").write("operating_decision", decided)
    decide(instance, "roll_back")
    (request,) = tick(definitions, instance, SENSOR).run_requests or []
    config = request.run_config["ops"]["card_fraud__live_endpoint"]["config"]
    assert config == {"roll_back_version": 7, "reason": "it fell", "by": "operating decision"}
    assert request.asset_selection == [dg.AssetKey(["card_fraud", "live_endpoint"])]
    assert request.tags[REASON_TAG].endswith(": roll back")


def test_another_decision_rolls_nothing_back(definitions: dg.Definitions, instance: DagsterInstance) -> None:
    decide(instance, "retrain")
    outcome = tick(definitions, instance, SENSOR)
    assert (outcome.run_requests, outcome.skip_message) == ([], "No model's newest operating decision is to roll back.")
