"""Model packages beyond approval: life-cycle stage, cards inside packages, several described at once, tags by ARN."""

from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from ml_platform.core.settings import Settings
from tests.contract.sagemaker_requests import unique

ACCOUNT = "arn:aws:sagemaker:us-east-1:000000000000"
STAGING = {"Stage": "Staging", "StageStatus": "Waiting", "StageDescription": "shadow first"}


@pytest.fixture
def sagemaker(sagemaker_settings: Settings) -> Any:
    return boto3.client("sagemaker")


@pytest.fixture
def group(sagemaker: Any) -> str:
    name = unique("group")
    sagemaker.create_model_package_group(ModelPackageGroupName=name)
    return name


def package(sagemaker: Any, group: str, **members: Any) -> str:
    return str(sagemaker.create_model_package(ModelPackageGroupName=group, **members)["ModelPackageArn"])


def test_a_package_moves_through_life_cycle_stages(sagemaker: Any, group: str) -> None:
    arn = package(sagemaker, group, ModelLifeCycle=STAGING)
    assert sagemaker.describe_model_package(ModelPackageName=arn)["ModelLifeCycle"] == STAGING
    production = {"Stage": "Production", "StageStatus": "Approved"}
    sagemaker.update_model_package(ModelPackageArn=arn, ModelLifeCycle=production)
    assert sagemaker.describe_model_package(ModelPackageName=arn)["ModelLifeCycle"] == production
    listed = sagemaker.list_model_packages(ModelPackageGroupName=group)["ModelPackageSummaryList"]
    assert listed[0]["ModelLifeCycle"] == production


def test_several_packages_are_described_at_once_and_what_is_missing_is_named(sagemaker: Any, group: str) -> None:
    arns = [package(sagemaker, group) for _ in range(2)]
    lost = f"{ACCOUNT}:model-package/{group}/9"
    answer = sagemaker.batch_describe_model_package(ModelPackageArnList=[*arns, lost])
    assert {arn: found["ModelPackageVersion"] for arn, found in answer["ModelPackageSummaries"].items()} == {
        arns[0]: 1,
        arns[1]: 2,
    }
    error = answer["BatchDescribeModelPackageErrorMap"][lost]
    assert error["ErrorCode"] == "ValidationException"
    assert "does not exist" in error["ErrorResponse"]


def test_a_card_in_a_package_must_be_a_model_card(sagemaker: Any, group: str) -> None:
    card = {"ModelCardContent": '{"model_overview": {"model_creator": "risk"}}', "ModelCardStatus": "Draft"}
    arn = package(sagemaker, group, ModelCard=card)
    assert sagemaker.describe_model_package(ModelPackageName=arn)["ModelCard"] == card
    broken = card | {"ModelCardContent": '{"overview": {}}'}
    with pytest.raises(ClientError, match=r"extraneous key \[overview\]"):
        sagemaker.update_model_package(ModelPackageArn=arn, ModelCard=broken)


def test_additional_specifications_have_their_own_names(sagemaker: Any, group: str) -> None:
    extra = {"Name": "small", "Containers": [{"Image": "x/y:1"}]}
    arn = package(sagemaker, group, AdditionalInferenceSpecifications=[extra])
    with pytest.raises(ClientError, match="unique names"):
        sagemaker.update_model_package(ModelPackageArn=arn, AdditionalInferenceSpecificationsToAdd=[extra])


def test_packages_are_tagged_by_arn_and_an_unknown_arn_is_refused(sagemaker: Any, group: str) -> None:
    arn = package(sagemaker, group)
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "stage", "Value": "x"}])
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "stage", "Value": "x"}]
    for unknown in (f"{arn}9", f"{ACCOUNT}:no-such-kind/{group}", arn.replace("000000000000", "111111111111")):
        with pytest.raises(ClientError, match=r"Could not find|Invalid ARN"):
            sagemaker.add_tags(ResourceArn=unknown, Tags=[{"Key": "stage", "Value": "x"}])


def test_a_package_is_deleted_once_and_takes_its_tags_with_it(sagemaker: Any, group: str) -> None:
    arn = package(sagemaker, group, ModelApprovalStatus="Approved")
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "stage", "Value": "x"}])
    sagemaker.delete_model_package(ModelPackageName=arn)
    for call in (sagemaker.delete_model_package, sagemaker.describe_model_package):
        with pytest.raises(ClientError, match="does not exist"):
            call(ModelPackageName=arn)
    with pytest.raises(ClientError, match="Could not find"):
        sagemaker.list_tags(ResourceArn=arn)
    sagemaker.delete_model_package_group(ModelPackageGroupName=group)
