"""Guarded deployments: traffic moves in steps while alarms are watched, and comes back when one goes off."""

import json
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import boto3
import pytest
from botocore.exceptions import ClientError

from ml_platform.core.settings import Settings
from tests.contract.hosting_account import Account, eventually, register_image
from tests.contract.test_hosting_metrics import metric


@pytest.fixture
def account(sagemaker_settings: Settings, stand_in: str, images_file: Path) -> Account:
    register_image(images_file)
    return Account(stand_in, sagemaker_settings.bucket)


def size(value: int, kind: str = "CAPACITY_PERCENT") -> dict[str, Any]:
    return {"Type": kind, "Value": value}


def blue_green(alarm: str | None = None, *, termination: int = 0, **routing: Any) -> dict[str, Any]:
    """Describe a deployment; a bake of 100 s takes 1 s here."""
    policy = {
        "TrafficRoutingConfiguration": {"WaitIntervalInSeconds": 100, **routing},
        "TerminationWaitInSeconds": termination,
        "MaximumExecutionTimeoutInSeconds": 1200,
    }
    return {"BlueGreenUpdatePolicy": policy, **watching(alarm)}


def rolling(alarm: str | None = None) -> dict[str, Any]:
    policy = {"MaximumBatchSize": size(50), "WaitIntervalInSeconds": 50, "MaximumExecutionTimeoutInSeconds": 1200}
    return {"RollingUpdatePolicy": policy, **watching(alarm)}


def watching(alarm: str | None) -> dict[str, Any]:
    return {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": alarm}]}} if alarm else {}


def an_alarm(stand_in: str, endpoint: str = "none") -> str:
    """Make an alarm on server errors of an endpoint's variant."""
    name = f"errors-{uuid.uuid4().hex[:8]}"
    cloudwatch: Any = boto3.client("cloudwatch", endpoint_url=stand_in)
    cloudwatch.put_metric_alarm(
        AlarmName=name,
        Namespace="AWS/SageMaker",
        MetricName="Invocation5XXErrors",
        Dimensions=[{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": "primary"}],
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=0,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
    )
    return name


def a_config(account: Account, answer: str, instances: int = 2, **environment: str) -> str:
    model = account.a_model(answer, **environment)
    account.sagemaker.create_endpoint_config(
        EndpointConfigName=model, ProductionVariants=[account.a_variant(model, InitialInstanceCount=instances)]
    )
    return model


def stages(account: Account, endpoint: str) -> list[tuple[str, float | None]]:
    """Follow a deployment to its end; return the stages seen, with the weight that green had."""
    seen: list[tuple[str, float | None]] = []

    def look() -> bool:
        pending = account.describe(endpoint).get("PendingDeploymentSummary")
        if pending:
            (variant,) = pending["ProductionVariants"]
            now = (variant["VariantStatus"][0]["Status"], variant.get("CurrentWeight"))
            if not seen or seen[-1] != now:
                seen.append(now)
        return pending is None

    eventually(look, seconds=60)
    return seen


def test_a_canary_takes_its_share_bakes_and_then_takes_all(account: Account, stand_in: str) -> None:
    blue, green = account.a_config("blue"), account.a_config("green")
    endpoint = account.an_endpoint(blue)
    # Long enough for the requests that are counted, on a busy machine too.
    routing = {"Type": "CANARY", "CanarySize": size(20), "WaitIntervalInSeconds": 400}
    deployment = blue_green(an_alarm(stand_in, endpoint), **routing, termination=20)
    with account.steady_traffic(endpoint, clients=2) as traffic:
        account.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=green, DeploymentConfig=deployment)
        eventually(
            lambda: account.describe(endpoint)["PendingDeploymentSummary"]["ProductionVariants"][0].get("CurrentWeight")
        )
        start = len(traffic.answers)
        assert account.describe(endpoint)["EndpointConfigName"] == blue
        traffic.reach(100)
        share = Counter(traffic.answers[start : start + 100])["green"] / 100
        seen = [stage for stage, _ in stages(account, endpoint)]
    described = account.describe(endpoint)
    assert 0.05 < share < 0.45
    assert seen[-1] == "Deleting"
    assert "Baking" in seen
    assert traffic.failures == []
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", green)
    assert described["LastDeploymentConfig"] == deployment
    assert "FailureReason" not in described
    assert account.invoke(endpoint) == "green"
    place = {"EndpointName": endpoint, "VariantName": "primary"}
    assert metric(stand_in, "Invocations", "Sum", **place, EndpointConfigName=green)
    assert metric(stand_in, "Invocations", "Sum", **place, EndpointConfigName=blue)


def test_an_alarm_brings_the_old_fleet_back(account: Account, stand_in: str) -> None:
    blue, green = account.a_config("blue"), account.a_config("green", environment={"ANSWER_STATUS": "500"})
    endpoint = account.an_endpoint(blue)
    alarm = an_alarm(stand_in, endpoint)
    deployment = blue_green(alarm, Type="CANARY", CanarySize=size(30), WaitIntervalInSeconds=3000)
    deployment["BlueGreenUpdatePolicy"]["MaximumExecutionTimeoutInSeconds"] = 7200
    with account.steady_traffic(endpoint, clients=2) as traffic:
        account.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=green, DeploymentConfig=deployment)
        described = account.settled(endpoint)
        failed = len(traffic.failures)
        traffic.reach(50)
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", blue)
    assert alarm in described["FailureReason"]
    assert described["LastDeploymentConfig"] == deployment
    assert "PendingDeploymentSummary" not in described
    assert failed
    assert len(traffic.failures) <= failed + 2, "a request of the old fleet failed after the rollback"
    place = {"EndpointName": endpoint, "VariantName": "primary"}
    assert metric(stand_in, "Invocation5XXErrors", "Average", **place, EndpointConfigName=green) == 1
    assert metric(stand_in, "Invocation5XXErrors", "Sum", **place, EndpointConfigName=blue) == 0


def test_an_alarm_that_is_over_at_once_brings_the_old_fleet_back_too(account: Account, stand_in: str) -> None:
    endpoint, green = account.an_endpoint(account.a_config("blue")), account.a_config("green")
    deployment = blue_green(alarm := an_alarm(stand_in), Type="ALL_AT_ONCE", WaitIntervalInSeconds=1000)
    account.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=green, DeploymentConfig=deployment)
    eventually(lambda: account.invoke(endpoint) == "green")
    cloudwatch: Any = boto3.client("cloudwatch", endpoint_url=stand_in)
    for state in ("ALARM", "OK"):
        cloudwatch.set_alarm_state(AlarmName=alarm, StateValue=state, StateReason="tried")
    assert alarm in account.settled(endpoint)["FailureReason"]


def test_linear_traffic_moves_in_equal_steps(account: Account) -> None:
    endpoint, green = account.an_endpoint(a_config(account, "blue")), a_config(account, "green")
    deployment = blue_green(Type="LINEAR", LinearStepSize=size(1, "INSTANCE_COUNT"), WaitIntervalInSeconds=40)
    account.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=green, DeploymentConfig=deployment)
    seen = stages(account, endpoint)
    assert [weight for stage, weight in seen if stage == "Baking"] == [0.5, 1.0]
    assert account.describe(endpoint)["EndpointConfigName"] == green


def test_rolling_replaces_instances_in_batches(account: Account) -> None:
    endpoint, green = account.an_endpoint(a_config(account, "blue")), a_config(account, "green")
    with account.steady_traffic(endpoint, clients=2) as traffic:
        account.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=green, DeploymentConfig=rolling())
        weights = [weight for stage, weight in stages(account, endpoint) if stage == "Baking"]
    assert weights == [0.5, 1.0], account.describe(endpoint).get("FailureReason")
    assert traffic.failures == []
    (variant,) = account.describe(endpoint)["ProductionVariants"]
    assert variant["CurrentInstanceCount"] == 2
    assert traffic.answers[-1] == "green"


def test_a_rolling_update_is_rolled_back_to_the_old_size(account: Account, stand_in: str) -> None:
    blue = a_config(account, "blue")
    endpoint, green = account.an_endpoint(blue), a_config(account, "green")
    alarm = an_alarm(stand_in)
    account.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=green, DeploymentConfig=rolling(alarm))

    def last_batch() -> bool:
        (variant,) = account.describe(endpoint)["PendingDeploymentSummary"]["ProductionVariants"]
        return bool(variant.get("CurrentWeight") == 1.0)

    eventually(last_batch)
    boto3.client("cloudwatch", endpoint_url=stand_in).set_alarm_state(
        AlarmName=alarm, StateValue="ALARM", StateReason="tried"
    )
    described = account.settled(endpoint)
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", blue)
    assert alarm in described["FailureReason"]
    assert described["ProductionVariants"][0]["CurrentInstanceCount"] == 2
    assert {account.invoke(endpoint) for _ in range(10)} == {"blue"}


@pytest.mark.parametrize(
    ("deployment", "message"),
    [
        (blue_green(Type="CANARY"), "type CANARY requires CanarySize"),
        (blue_green(Type="LINEAR", CanarySize=size(10)), "type LINEAR does not take CanarySize"),
        (blue_green(Type="CANARY", CanarySize=size(51)), "CanarySize must be at most 50 %"),
        (blue_green(Type="CANARY", CanarySize=size(1, "INSTANCE_COUNT")), "1 of 1 instance"),
        (blue_green(Type="LINEAR", LinearStepSize=size(9)), "LinearStepSize must be at least 10 %"),
        (blue_green(Type="ALL_AT_ONCE", termination=1100), "must be larger than the total waiting time"),
        (blue_green("no-such-alarm", Type="ALL_AT_ONCE"), "Could not find CloudWatch alarm.s. no-such-alarm"),
        (rolling() | blue_green(Type="ALL_AT_ONCE"), "either BlueGreenUpdatePolicy or RollingUpdatePolicy"),
    ],
)
def test_a_deployment_that_cannot_be_carried_out_is_refused(
    account: Account, deployment: dict[str, Any], message: str
) -> None:
    config = account.a_config("blue")
    with pytest.raises(ClientError, match=message):
        account.sagemaker.create_endpoint(EndpointName=config, EndpointConfigName=config, DeploymentConfig=deployment)


def test_a_deployment_that_takes_longer_than_it_may_is_rolled_back(account: Account) -> None:
    blue = account.a_config("blue")
    endpoint, green = account.an_endpoint(blue), account.a_config("green")
    # Ten bakes of 100 s: six of them are over after 600 s, which are 6 s here.
    deployment = blue_green(Type="LINEAR", LinearStepSize=size(10))
    deployment["BlueGreenUpdatePolicy"]["MaximumExecutionTimeoutInSeconds"] = 600
    account.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=green, DeploymentConfig=deployment)
    seen = [weight for stage, weight in stages(account, endpoint) if stage == "Baking"]
    described = account.describe(endpoint)
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", blue)
    assert "did not complete within MaximumExecutionTimeoutInSeconds (600)" in described["FailureReason"]
    assert 0.1 in seen
    assert 1.0 not in seen
    assert {account.invoke(endpoint) for _ in range(10)} == {"blue"}


@pytest.fixture
def rollback_fails(stand_in: str) -> Iterator[Callable[[str], None]]:
    """Let the next rollback of an endpoint fail."""
    yield lambda endpoint: add_fault(stand_in, endpoint)
    with urlopen(Request(f"{stand_in}/_stand-in/faults", method="DELETE"), timeout=10):  # noqa: S310 - http only
        pass


def add_fault(stand_in: str, endpoint: str) -> None:
    body = json.dumps({"kind": "rollback-failure", "target": endpoint}).encode()
    with urlopen(Request(f"{stand_in}/_stand-in/faults", body), timeout=10):  # noqa: S310 - http only
        pass


def a_failed_rollback(account: Account, stand_in: str, fail: Callable[[str], None]) -> tuple[str, str]:
    """Return an endpoint that is left on two fleets, half and half, and the alarm that did it."""
    endpoint, green = account.an_endpoint(a_config(account, "blue")), a_config(account, "green")
    alarm = an_alarm(stand_in)
    fail(endpoint)
    policy = rolling(alarm)
    policy["RollingUpdatePolicy"]["WaitIntervalInSeconds"] = 500
    account.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=green, DeploymentConfig=policy)

    def baking() -> bool:
        (variant,) = account.describe(endpoint)["PendingDeploymentSummary"]["ProductionVariants"]
        return bool(variant["VariantStatus"][0]["Status"] == "Baking")

    eventually(baking)
    cloudwatch: Any = boto3.client("cloudwatch", endpoint_url=stand_in)
    cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="tried")
    assert account.settled(endpoint, "UpdateRollbackFailed")["EndpointStatus"] == "UpdateRollbackFailed"
    return endpoint, alarm


def test_a_rollback_that_fails_leaves_both_fleets_until_the_next_update(
    account: Account, stand_in: str, rollback_fails: Callable[[str], None]
) -> None:
    endpoint, alarm = a_failed_rollback(account, stand_in, rollback_fails)
    described = account.describe(endpoint)
    assert alarm in described["FailureReason"]
    assert "The rollback failed" in described["FailureReason"]
    assert {account.invoke(endpoint) for _ in range(60)} == {"blue", "green"}
    change = [{"VariantName": "primary", "DesiredInstanceCount": 1}]
    with pytest.raises(ClientError, match="Cannot update failed endpoint"):
        account.sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=endpoint, DesiredWeightsAndCapacities=change
        )
    last = account.a_config("last")
    with account.steady_traffic(endpoint, clients=2) as traffic:
        account.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=last)
        described = account.settled(endpoint)
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", last)
    assert traffic.failures == []
    assert {account.invoke(endpoint) for _ in range(10)} == {"last"}


def test_an_endpoint_whose_rollback_failed_can_be_deleted(
    account: Account, stand_in: str, rollback_fails: Callable[[str], None]
) -> None:
    endpoint, _ = a_failed_rollback(account, stand_in, rollback_fails)
    account.sagemaker.delete_endpoint(EndpointName=endpoint)
    eventually(lambda: not account.sagemaker.list_endpoints(NameContains=endpoint)["Endpoints"])
