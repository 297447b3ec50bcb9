"""One endpoint's life: created, captured, updated by canary, brought back by an alarm, deleted.

The tests use one endpoint in this order, because an account takes minutes and money for each.
"""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.aws.life import Life

pytestmark = pytest.mark.timeout(7200)


@pytest.fixture(scope="module")
def endpoint(life: Life) -> str:
    """An endpoint that answers ``blue``, or what an earlier test made of it."""
    name, config = life.name("endpoint"), life.a_config("blue")
    life.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
    life.wait("endpoint_in_service", EndpointName=name)
    return name


def canary(life: Life, *alarms: str) -> dict[str, Any]:
    """Half of the fleet first; then the rest, unless an alarm goes off."""
    routing = {
        "Type": "CANARY",
        "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 50},
        "WaitIntervalInSeconds": life.target.bake_seconds,
    }
    policy = {"TrafficRoutingConfiguration": routing, "TerminationWaitInSeconds": 0}
    rollback = {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name} for name in alarms]}}
    return {"BlueGreenUpdatePolicy": policy, **(rollback if alarms else {})}


def test_an_endpoint_answers_and_what_it_said_is_captured(life: Life, endpoint: str) -> None:
    described = life.sagemaker.describe_endpoint(EndpointName=endpoint)
    assert described["EndpointStatus"] == "InService"
    assert described["ProductionVariants"][0]["CurrentInstanceCount"] == 1
    assert life.ask(endpoint, InferenceId="order-42") == "blue"
    with pytest.raises(ClientError) as caught:
        life.ask(endpoint, TargetVariant="there-is-none")
    assert caught.value.response["Error"]["Code"] in ("ValidationError", "ValidationException")
    prefix = f"{life.prefix}/capture/{endpoint}/primary/"

    def captured() -> list[dict[str, Any]]:
        found = life.s3.list_objects_v2(Bucket=life.target.bucket, Prefix=prefix).get("Contents", [])
        texts = [life.get(f"s3://{life.target.bucket}/{one['Key']}").decode() for one in found]
        return [json.loads(line) for text in texts for line in text.splitlines()]

    (line,) = life.eventually(captured)
    assert line["eventMetadata"]["inferenceId"] == "order-42"
    assert (line["captureData"]["endpointInput"]["data"], line["captureData"]["endpointOutput"]["data"]) == (
        "1",
        "blue",
    )


def test_names_in_use_are_refused(life: Life, endpoint: str) -> None:
    config = life.sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointConfigName"]
    with pytest.raises(ClientError, match="Cannot create already existing endpoint"):
        life.sagemaker.create_endpoint(EndpointName=endpoint, EndpointConfigName=config)


def test_a_canary_replaces_the_fleet_without_a_failed_request(life: Life, endpoint: str) -> None:
    green = life.a_config("green", instances=2)
    with life.steady_traffic(endpoint) as traffic:
        life.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=green, DeploymentConfig=canary(life))
        assert life.sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointStatus"] == "Updating"
        described = life.settled(endpoint)
        life.eventually(lambda: traffic.answers[-1], lambda answer: answer == "green")
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", green)
    assert traffic.failures == []
    assert set(traffic.answers) == {"blue", "green"}


def test_an_alarm_brings_the_old_fleet_back(life: Life, endpoint: str) -> None:
    old = life.sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointConfigName"]
    bad = life.a_config("red", instances=2, environment={"ANSWER_STATUS": "500"})
    alarm = an_alarm(life, endpoint)
    with life.steady_traffic(endpoint) as traffic:
        life.sagemaker.update_endpoint(
            EndpointName=endpoint, EndpointConfigName=bad, DeploymentConfig=canary(life, alarm)
        )
        described = life.settled(endpoint)
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", old)
    assert alarm in described["FailureReason"]
    assert traffic.failures, "the bad fleet was never asked"
    assert isinstance(traffic.failures[0], ClientError)
    assert traffic.failures[0].response["Error"]["Code"] == "ModelError"
    assert life.ask(endpoint) == traffic.answers[0]


def an_alarm(life: Life, endpoint: str) -> str:
    """Make an alarm on server errors of the endpoint."""
    name = life.name("errors")
    cloudwatch = life.target.client("cloudwatch")
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


def test_a_deleted_endpoint_is_gone_and_its_config_stays(life: Life, endpoint: str) -> None:
    config = life.sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointConfigName"]
    life.sagemaker.delete_endpoint(EndpointName=endpoint)
    life.wait("endpoint_deleted", EndpointName=endpoint)
    with pytest.raises(ClientError):
        life.ask(endpoint)
    assert life.sagemaker.describe_endpoint_config(EndpointConfigName=config)["EndpointConfigName"] == config
