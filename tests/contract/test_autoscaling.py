"""A variant is scaled on its invocations, between the bounds it is registered with."""

from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from ml_platform.core.settings import Settings
from tests.contract.hosting_account import Account, eventually, register_image

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
    with pytest.raises(ClientError, match="does not implement PutScheduledAction"):
        autoscaling.put_scheduled_action(**place, ScheduledActionName="x")
