"""A frozen clock at AWS's own pace: a step of minutes, and alarms, bakes and scaling have acted when it returns."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from ml_platform.core.settings import Settings
from ml_platform.testing.stand_in import ClockControl
from tests.conftest import free_port, start_stand_in
from tests.contract.hosting_account import Account, eventually, register_image
from tests.contract.test_autoscaling import a_place, instances
from tests.contract.test_cloudwatch import an_alarm, put, state
from tests.contract.test_hosting_rollouts import an_alarm as an_error_alarm
from tests.contract.test_hosting_rollouts import blue_green, size

MINUTE = 60


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stepped")


@pytest.fixture(scope="module")
def stepped(home: Path, ground_services: str, images_file: Path) -> Iterator[str]:
    """Address of a stand-in whose waits are AWS's own: without steps no test here would end."""
    port = free_port()
    process = start_stand_in(home, images_file, ground_services, port, "--time-scale", "1")
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture
def clock(stepped: str) -> ClockControl:
    clock = ClockControl(int(stepped.rpartition(":")[2]))
    clock.freeze()
    return clock


@pytest.fixture
def cloudwatch(stepped: str) -> Any:
    return boto3.client("cloudwatch", endpoint_url=stepped)


@pytest.fixture
def account(settings: Settings, stepped: str, images_file: Path) -> Account:
    register_image(images_file)
    return Account(stepped, settings.bucket)


def history(cloudwatch: Any, alarm: str) -> list[str]:
    """Return the states that an alarm went to, oldest first."""
    items = cloudwatch.describe_alarm_history(AlarmName=alarm, HistoryItemType="StateUpdate")["AlarmHistoryItems"]
    return [item["HistorySummary"].rpartition(" ")[2] for item in items[::-1]]


def test_an_alarm_changes_by_steps_and_by_nothing_else(cloudwatch: Any, clock: ClockControl) -> None:
    namespace = f"Shop/{uuid.uuid4().hex[:8]}"
    alarm = an_alarm(cloudwatch, namespace, EvaluationPeriods=2, TreatMissingData="notBreaching")
    clock.advance(2 * MINUTE)
    assert state(cloudwatch, alarm) == "OK"
    for expected in ("OK", "ALARM"):
        put(cloudwatch, namespace, 500)
        clock.advance(MINUTE)
        assert state(cloudwatch, alarm) == expected
    clock.advance(5 * MINUTE)
    assert state(cloudwatch, alarm) == "OK"
    assert history(cloudwatch, alarm) == ["OK", "ALARM", "OK"]


def test_a_breach_that_a_long_step_passes_over_is_not_missed(cloudwatch: Any, clock: ClockControl) -> None:
    namespace = f"Shop/{uuid.uuid4().hex[:8]}"
    alarm = an_alarm(cloudwatch, namespace, TreatMissingData="notBreaching")
    put(cloudwatch, namespace, 500)
    clock.advance(30 * 86_400)
    assert history(cloudwatch, alarm)[-2:] == ["ALARM", "OK"]


def test_answers_tell_real_time_however_far_the_clock_was_stepped(cloudwatch: Any, clock: ClockControl) -> None:
    namespace = f"Shop/{uuid.uuid4().hex[:8]}"
    clock.advance(86_400)
    put(cloudwatch, namespace, 7)
    alarm = an_alarm(cloudwatch, namespace)
    clock.advance(MINUTE)
    (described,) = cloudwatch.describe_alarms(AlarmNames=[alarm])["MetricAlarms"]
    at = described["StateUpdatedTimestamp"]
    found = cloudwatch.get_metric_statistics(
        Namespace=namespace,
        MetricName="Latency",
        StartTime=at.timestamp() - 120,
        EndTime=at.timestamp() + 120,
        Period=60,
        Statistics=["Sum"],
    )
    assert [point["Sum"] for point in found["Datapoints"]] == [7.0]


def test_a_variant_is_scaled_on_the_minutes_that_are_stepped_over(
    account: Account, stepped: str, clock: ClockControl
) -> None:
    endpoint = account.an_endpoint(account.a_config("first"))
    place, scaling = a_place(endpoint), boto3.client("application-autoscaling", endpoint_url=stepped)
    scaling.register_scalable_target(**place, MinCapacity=1, MaxCapacity=4)
    tracking = {
        "TargetValue": 5.0,
        "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
        "ScaleInCooldown": 0,
    }
    scaling.put_scaling_policy(
        **place,
        PolicyName="busy",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration=tracking,
    )

    def pass_minutes(count: int, requests: int) -> None:
        for _ in range(count):
            for _ in range(requests):
                account.invoke(endpoint)
            clock.advance(MINUTE)

    def asked() -> int:
        return int(account.describe(endpoint)["ProductionVariants"][0]["DesiredInstanceCount"])

    pass_minutes(2, requests=10)
    assert asked() == 1
    pass_minutes(1, requests=10)
    assert asked() == 2
    account.settled(endpoint)
    pass_minutes(14, requests=2)
    assert asked() == 2
    # The first minute after the change is not counted: it began before.
    pass_minutes(2, requests=2)
    assert asked() == 1
    eventually(lambda: instances(account, endpoint) == 1)


def test_an_alarm_in_the_midst_of_one_step_rolls_back_the_deployment_that_the_step_would_end(
    account: Account, stepped: str, clock: ClockControl
) -> None:
    blue, green = account.a_config("blue"), account.a_config("green", environment={"ANSWER_STATUS": "500"})
    endpoint = account.an_endpoint(blue)
    alarm = an_error_alarm(stepped, endpoint)
    deployment = blue_green(alarm, Type="CANARY", CanarySize=size(50), WaitIntervalInSeconds=600)
    account.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=green, DeploymentConfig=deployment)

    def an_error() -> bool:
        try:
            return account.invoke(endpoint) != "blue"
        except account.runtime.exceptions.ModelError:
            return True

    eventually(an_error)
    clock.advance(3600)
    described = account.settled(endpoint)
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", blue)
    assert alarm in described["FailureReason"]


def test_a_restart_takes_no_step_back(ground_services: str, images_file: Path, home: Path) -> None:
    port, own = free_port(), home / "restarted"
    cloudwatch: Any = boto3.client("cloudwatch", endpoint_url=f"http://127.0.0.1:{port}")
    control = ClockControl(port)
    process = start_stand_in(own, images_file, ground_services, port, "--time-scale", "1")
    try:
        control.freeze()
        alarm = an_alarm(cloudwatch, "Shop", TreatMissingData="notBreaching")
        control.advance(3600)
        put(cloudwatch, "Shop", 500)
        control.advance(MINUTE)
        assert state(cloudwatch, alarm) == "ALARM"
    finally:
        process.kill()
        process.wait(20)
    process = start_stand_in(own, images_file, ground_services, port, "--time-scale", "1")
    try:
        # Had the hour been taken back, the breach would lie ahead, and come again.
        control.advance(2 * 3600)
        assert history(cloudwatch, alarm)[-2:] == ["ALARM", "OK"]
        assert history(cloudwatch, alarm).count("ALARM") == 1
    finally:
        process.terminate()
        process.wait(20)
