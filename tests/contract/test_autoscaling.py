"""A variant is scaled on its invocations, between the bounds it is registered with."""

from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from ml_platform.core.settings import Settings
from tests.contract.hosting_account import Account, eventually, register_image
from tests.contract.test_hosting_async import an_async_config, invoke
from tests.contract.test_hosting_async import stored as stored_answer
from tests.contract.test_hosting_serverless import skip

DIMENSION = "sagemaker:variant:DesiredInstanceCount"


@pytest.fixture
def account(sagemaker_settings: Settings, stand_in: str, images_file: Path) -> Account:
    register_image(images_file)
    return Account(stand_in, sagemaker_settings.bucket)


@pytest.fixture
def autoscaling(stand_in: str) -> Any:
    return boto3.client("application-autoscaling", endpoint_url=stand_in)


def test_a_variant_follows_its_traffic_within_its_bounds(account: Account, autoscaling: Any) -> None:
    endpoint = account.an_endpoint(account.a_config("first"))
    resource = f"endpoint/{endpoint}/variant/primary"
    place = {"ServiceNamespace": "sagemaker", "ResourceId": resource, "ScalableDimension": DIMENSION}
    autoscaling.register_scalable_target(**place, MinCapacity=1, MaxCapacity=2)
    tracking = {
        "TargetValue": 2.0,
        "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
    }
    autoscaling.put_scaling_policy(
        **place,
        PolicyName="busy",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration=tracking,
    )

    def instances() -> int:
        (variant,) = account.describe(endpoint)["ProductionVariants"]
        return int(variant["CurrentInstanceCount"])

    with account.steady_traffic(endpoint, clients=1) as traffic:
        eventually(lambda: instances() == 2)
    assert traffic.failures == []
    account.settled(endpoint)
    (activity,) = autoscaling.describe_scaling_activities(ServiceNamespace="sagemaker", ResourceId=resource)[
        "ScalingActivities"
    ]
    assert activity["Description"] == "Setting desired instance count to 2."
    (target,) = autoscaling.describe_scalable_targets(ServiceNamespace="sagemaker", ResourceIds=[resource])[
        "ScalableTargets"
    ]
    assert target["MaxCapacity"] == 2
    autoscaling.register_scalable_target(**place, MinCapacity=1, MaxCapacity=1)
    eventually(lambda: instances() == 1)
    autoscaling.deregister_scalable_target(**place)
    with pytest.raises(ClientError, match="No scalable target found"):
        autoscaling.deregister_scalable_target(**place)
    assert not autoscaling.describe_scaling_policies(ServiceNamespace="sagemaker", ResourceId=resource)[
        "ScalingPolicies"
    ]


def test_what_is_not_scaled_is_refused(autoscaling: Any) -> None:
    place = {"ServiceNamespace": "sagemaker", "ResourceId": "endpoint/none/variant/v", "ScalableDimension": DIMENSION}
    with pytest.raises(ClientError, match="does not exist"):
        autoscaling.register_scalable_target(**place, MinCapacity=1, MaxCapacity=2)
    with pytest.raises(ClientError, match="does not implement anything but"):
        autoscaling.register_scalable_target(
            **(place | {"ServiceNamespace": "ecs", "ScalableDimension": "ecs:service:DesiredCount"})
        )
    with pytest.raises(ClientError, match="does not implement GetPredictiveScalingForecast"):
        autoscaling.get_predictive_scaling_forecast(
            **place, PolicyName="p", StartTime="2026-01-01T00:00:00Z", EndTime="2026-01-02T00:00:00Z"
        )


def a_place(endpoint: str) -> dict[str, str]:
    resource = f"endpoint/{endpoint}/variant/primary"
    return {"ServiceNamespace": "sagemaker", "ResourceId": resource, "ScalableDimension": DIMENSION}


def instances(account: Account, endpoint: str) -> int:
    (variant,) = account.describe(endpoint)["ProductionVariants"]
    return int(variant["CurrentInstanceCount"])


def test_a_queue_without_instances_gets_one_by_a_step_and_loses_it_by_a_schedule(
    account: Account, autoscaling: Any, stand_in: str
) -> None:
    endpoint = account.an_endpoint(an_async_config(account))
    place = a_place(endpoint)
    autoscaling.register_scalable_target(**place, MinCapacity=0, MaxCapacity=2)
    autoscaling.put_scheduled_action(
        **place,
        ScheduledActionName="evening",
        Schedule="rate(1 minute)",
        ScalableTargetAction={"MinCapacity": 0, "MaxCapacity": 0},
    )
    eventually(lambda: instances(account, endpoint) == 0)
    (action,) = autoscaling.describe_scheduled_actions(ServiceNamespace="sagemaker", ResourceId=place["ResourceId"])[
        "ScheduledActions"
    ]
    assert action["ScalableTargetAction"] == {"MinCapacity": 0, "MaxCapacity": 0}
    autoscaling.delete_scheduled_action(**place, ScheduledActionName="evening")
    autoscaling.register_scalable_target(**place, MinCapacity=0, MaxCapacity=2)
    steps = {
        "AdjustmentType": "ChangeInCapacity",
        "StepAdjustments": [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}],
        "Cooldown": 0,
    }
    policy = autoscaling.put_scaling_policy(
        **place, PolicyName="wake", PolicyType="StepScaling", StepScalingPolicyConfiguration=steps
    )
    (stored,) = autoscaling.describe_scaling_policies(ServiceNamespace="sagemaker", ResourceId=place["ResourceId"])[
        "ScalingPolicies"
    ]
    assert stored["StepScalingPolicyConfiguration"] == steps
    boto3.client("cloudwatch", endpoint_url=stand_in).put_metric_alarm(
        AlarmName=f"wake-{endpoint}",
        Namespace="AWS/SageMaker",
        MetricName="HasBacklogWithoutCapacity",
        Dimensions=[{"Name": "EndpointName", "Value": endpoint}],
        Statistic="Maximum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="missing",
        AlarmActions=[policy["PolicyARN"]],
    )
    answer = invoke(account, endpoint, Body=b"1")
    assert eventually(lambda: stored_answer(account, answer["OutputLocation"]), seconds=40) == "later"
    newest = autoscaling.describe_scaling_activities(ServiceNamespace="sagemaker", ResourceId=place["ResourceId"])
    assert f"monitor alarm wake-{endpoint} in state ALARM triggered policy wake" in {
        activity["Cause"] for activity in newest["ScalingActivities"]
    }


def test_a_step_of_the_clock_ends_a_cool_down(account: Account, autoscaling: Any, stand_in: str) -> None:
    endpoint = account.an_endpoint(account.a_config("first"))
    place, cloudwatch = a_place(endpoint), boto3.client("cloudwatch", endpoint_url=stand_in)
    autoscaling.register_scalable_target(**place, MinCapacity=1, MaxCapacity=3)
    steps = {
        "AdjustmentType": "ChangeInCapacity",
        "StepAdjustments": [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}],
        "Cooldown": 3600,
    }
    policy = autoscaling.put_scaling_policy(
        **place, PolicyName="more", PolicyType="StepScaling", StepScalingPolicyConfiguration=steps
    )
    cloudwatch.put_metric_alarm(
        AlarmName=f"more-{endpoint}",
        Namespace="Shop",
        MetricName="Nothing",
        Statistic="Sum",
        Period=86_400,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        AlarmActions=[policy["PolicyARN"]],
    )

    def called() -> int:
        for state in ("OK", "ALARM"):
            cloudwatch.set_alarm_state(AlarmName=f"more-{endpoint}", StateValue=state, StateReason="by hand")
        return instances(account, endpoint)

    eventually(lambda: called() == 2)
    account.settled(endpoint)
    assert called() == 2
    skip(stand_in, 3600)
    eventually(lambda: called() == 3)


def test_a_step_of_the_clock_brings_a_schedule_that_has_a_rate(
    account: Account, endpoint: str, autoscaling: Any, stand_in: str
) -> None:
    autoscaling.put_scheduled_action(
        **a_place(endpoint),
        ScheduledActionName="hourly",
        Schedule="rate(1 hour)",
        ScalableTargetAction={"MinCapacity": 2, "MaxCapacity": 2},
    )
    skip(stand_in, 3600)
    eventually(lambda: instances(account, endpoint) == 2)


def test_a_metric_of_ones_own_is_tracked(account: Account, autoscaling: Any, stand_in: str) -> None:
    endpoint = account.an_endpoint(account.a_config("first"))
    place, cloudwatch = a_place(endpoint), boto3.client("cloudwatch", endpoint_url=stand_in)
    autoscaling.register_scalable_target(**place, MinCapacity=1, MaxCapacity=2)
    dimensions = [{"Name": "Endpoint", "Value": endpoint}]
    custom = {"MetricName": "Load", "Namespace": "Shop", "Dimensions": dimensions, "Statistic": "Average"}
    tracking = {"TargetValue": 10.0, "CustomizedMetricSpecification": custom, "DisableScaleIn": True}
    autoscaling.put_scaling_policy(
        **place,
        PolicyName="load",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration=tracking,
    )

    def loaded() -> bool:
        cloudwatch.put_metric_data(
            Namespace="Shop", MetricData=[{"MetricName": "Load", "Dimensions": dimensions, "Value": 20}]
        )
        return instances(account, endpoint) == 2

    eventually(loaded)


@pytest.mark.parametrize(
    ("operation", "request_", "message"),
    [
        ("put_scaling_policy", {"PolicyName": "p"}, "AdjustmentType and StepAdjustments are required"),
        (
            "put_scaling_policy",
            {
                "PolicyName": "p",
                "PolicyType": "StepScaling",
                "StepScalingPolicyConfiguration": {
                    "AdjustmentType": "ExactCapacity",
                    "StepAdjustments": [
                        {"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1},
                        {"MetricIntervalLowerBound": 5, "ScalingAdjustment": 2},
                    ],
                },
            },
            "intervals can't overlap",
        ),
        ("put_scaling_policy", {"PolicyName": "p", "PolicyType": "PredictiveScaling"}, "predictive scaling policies"),
        (
            "put_scheduled_action",
            {"ScheduledActionName": "s", "Schedule": "noon", "ScalableTargetAction": {"MinCapacity": 1}},
            "Schedule is not valid",
        ),
        ("put_scheduled_action", {"ScheduledActionName": "s"}, "Schedule and ScalableTargetAction are required"),
        (
            "put_scheduled_action",
            {
                "ScheduledActionName": "s",
                "Schedule": "rate(1 day)",
                "ScalableTargetAction": {"MinCapacity": 2, "MaxCapacity": 1},
            },
            "Maximum capacity cannot be less",
        ),
        ("delete_scheduled_action", {"ScheduledActionName": "absent"}, "No scheduled action found"),
        ("register_scalable_target", {"MinCapacity": 0, "MaxCapacity": 1}, "MinCapacity must be at least 1"),
    ],
)
def test_what_makes_no_sense_is_refused(
    endpoint: str, autoscaling: Any, operation: str, request_: dict[str, Any], message: str
) -> None:
    with pytest.raises(ClientError, match=message):
        getattr(autoscaling, operation)(**a_place(endpoint), **request_)


@pytest.fixture
def endpoint(account: Account, autoscaling: Any) -> str:
    name = account.an_endpoint(account.a_config("first"))
    autoscaling.register_scalable_target(**a_place(name), MinCapacity=1, MaxCapacity=1)
    return name
