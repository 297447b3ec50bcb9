"""Automation fires when it should and only then: conditions evaluated on a real instance, as the daemon does."""

from datetime import UTC, datetime

import dagster as dg
import pytest
from dagster import DagsterInstance

CANDIDATE = dg.AssetKey(["card_fraud", "model_candidate"])
EVALUATION = dg.AssetKey(["card_fraud", "evaluation_report"])
PACKAGE = dg.AssetKey(["card_fraud", "model_package"])
BATCH = dg.AssetKey(["card_fraud", "batch_scores"])
TRAFFIC = dg.AssetKey(["card_fraud", "captured_traffic"])
ENDPOINT = dg.AssetKey(["card_fraud", "live_endpoint"])
POLICY = dg.AssetKey(["card_fraud", "decision_policy"])
UPSTREAM = [dg.AssetKey(["card_fraud", "training_set"]), CANDIDATE, EVALUATION]


class Daemon:
    """Evaluates the conditions of some assets, tick after tick."""

    def __init__(self, definitions: dg.Definitions, instance: DagsterInstance, *assets: dg.AssetKey) -> None:
        self.definitions = definitions
        self.instance = instance
        self.selection = dg.AssetSelection.assets(*assets)
        self.cursor = None

    def tick(self, at: datetime | None = None) -> dict[dg.AssetKey, set[str]]:
        """Return the partitions requested of each asset; an unpartitioned asset has one without a name."""
        result = dg.evaluate_automation_conditions(
            self.definitions, self.instance, self.selection, evaluation_time=at, cursor=self.cursor
        )
        self.cursor = result.cursor
        subsets = {item.key: item.true_subset for item in result.results if not item.true_subset.is_empty}
        return {
            key: {asset.partition_key or "" for asset in subset.expensively_compute_asset_partitions()}
            for key, subset in subsets.items()
        }


def finish(instance: DagsterInstance, key: dg.AssetKey) -> None:
    """Let an asset be materialized, by a real run."""

    @dg.asset(key=key)
    def stub() -> None: ...

    assert dg.materialize([stub], instance=instance).success


def evaluate(instance: DagsterInstance, *, passed: bool) -> None:
    """Let an evaluation end with a verdict, by a real run."""
    gate = dg.AssetCheckSpec("challenger_earns_promotion", asset=EVALUATION, blocking=True)

    @dg.asset(key=EVALUATION, check_specs=[gate])
    def stub() -> dg.MaterializeResult:
        return dg.MaterializeResult(check_results=[dg.AssetCheckResult(passed=passed)])

    dg.materialize([stub], instance=instance, raise_on_error=False)


@pytest.fixture
def registry(definitions: dg.Definitions, instance: DagsterInstance) -> Daemon:
    """A daemon that has seen a platform on which everything up to a good evaluation is there."""
    for key in UPSTREAM[:-1]:
        finish(instance, key)
    evaluate(instance, passed=True)
    finish(instance, PACKAGE)
    finish(instance, BATCH)
    daemon = Daemon(definitions, instance, PACKAGE, BATCH)
    daemon.tick()
    assert daemon.tick() == {}
    return daemon


def test_the_automation_sensor_is_the_only_one_of_its_kind_and_runs(definitions: dg.Definitions) -> None:
    sensors = [
        sensor
        for sensor in definitions.get_repository_def().sensor_defs
        if isinstance(sensor, dg.AutomationConditionSensorDefinition)
    ]
    assert [(sensor.name, sensor.default_status) for sensor in sensors] == [
        ("automation", dg.DefaultSensorStatus.RUNNING)
    ]


def test_a_passing_evaluation_is_registered_and_a_batch_is_scored_with_it(
    registry: Daemon, instance: DagsterInstance
) -> None:
    evaluate(instance, passed=True)
    assert registry.tick() == {PACKAGE: {""}, BATCH: {""}}
    assert registry.tick() == {}


def test_each_deployment_fits_the_decision_policy_again(definitions: dg.Definitions, instance: DagsterInstance) -> None:
    """A rollback is a run of ``live_endpoint`` too: no version decides for long by the policy of another."""
    finish(instance, ENDPOINT)
    daemon = Daemon(definitions, instance, POLICY)
    daemon.tick()
    finish(instance, POLICY)
    assert daemon.tick() == {}
    finish(instance, ENDPOINT)
    assert daemon.tick() == {POLICY: {""}}


def test_a_stopped_candidate_is_not_registered(registry: Daemon, instance: DagsterInstance) -> None:
    evaluate(instance, passed=False)
    assert registry.tick() == {}
    assert registry.tick() == {}


def test_the_candidate_after_a_stopped_one_is_registered(registry: Daemon, instance: DagsterInstance) -> None:
    evaluate(instance, passed=False)
    registry.tick()
    evaluate(instance, passed=True)
    assert PACKAGE in registry.tick()


def test_a_new_training_set_is_trained_on_and_judged(definitions: dg.Definitions, instance: DagsterInstance) -> None:
    for key in UPSTREAM:
        finish(instance, key)
    daemon = Daemon(definitions, instance, CANDIDATE, EVALUATION)
    daemon.tick()
    finish(instance, UPSTREAM[0])
    assert daemon.tick() == {CANDIDATE: {""}, EVALUATION: {""}}


def test_the_hour_that_ended_is_captured_once_five_minutes_later(
    definitions: dg.Definitions, instance: DagsterInstance
) -> None:
    finish(instance, ENDPOINT)
    daemon = Daemon(definitions, instance, TRAFFIC)
    ended, begun = "2026-03-02-09:00", "2026-03-02-10:00"
    assert daemon.tick(datetime(2026, 3, 2, 9, 59, tzinfo=UTC)) == {}
    assert daemon.tick(datetime(2026, 3, 2, 10, 4, tzinfo=UTC)) == {}
    assert daemon.tick(datetime(2026, 3, 2, 10, 6, tzinfo=UTC)) == {TRAFFIC: {ended, begun}}
    assert daemon.tick(datetime(2026, 3, 2, 10, 7, tzinfo=UTC)) == {}
    assert ended not in daemon.tick(datetime(2026, 3, 2, 11, 6, tzinfo=UTC))[TRAFFIC]
