"""Model packages beyond approval: life-cycle stage, cards inside packages, several described at once, tags by ARN."""

import json
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


def test_the_arn_of_a_package_is_in_small_letters(sagemaker: Any) -> None:
    name = unique("Pack")
    arn = sagemaker.create_model_package(ModelPackageName=name)["ModelPackageArn"]
    assert arn == f"{ACCOUNT}:model-package/{name.lower()}"
    for known_as in (arn, name):
        assert sagemaker.describe_model_package(ModelPackageName=known_as)["ModelPackageName"] == name
    with pytest.raises(ClientError, match="already exists"):
        sagemaker.create_model_package(ModelPackageName=name.upper())
    group = unique("Group")
    sagemaker.create_model_package_group(ModelPackageGroupName=group)
    assert package(sagemaker, group).endswith(f":model-package/{group.lower()}/1")


def test_a_groups_policy_is_kept_until_it_is_deleted(sagemaker: Any, group: str) -> None:
    statement = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:root"}}
    policy = json.dumps({"Statement": [statement | {"Action": "sagemaker:DescribeModelPackage", "Resource": "*"}]})
    arn = sagemaker.put_model_package_group_policy(ModelPackageGroupName=group, ResourcePolicy=policy)
    assert arn["ModelPackageGroupArn"] == f"{ACCOUNT}:model-package-group/{group}"
    assert sagemaker.get_model_package_group_policy(ModelPackageGroupName=group)["ResourcePolicy"] == policy
    sagemaker.delete_model_package_group_policy(ModelPackageGroupName=group)
    for call in (sagemaker.get_model_package_group_policy, sagemaker.delete_model_package_group_policy):
        with pytest.raises(ClientError, match="Cannot find resource policy"):
            call(ModelPackageGroupName=group)


@pytest.mark.parametrize("policy", ["{", "[]", '{"Statement": []}', '{"Statement": {"Effect": "Maybe"}}'])
def test_what_is_no_policy_is_refused(sagemaker: Any, group: str, policy: str) -> None:
    with pytest.raises(ClientError, match="Invalid resource policy"):
        sagemaker.put_model_package_group_policy(ModelPackageGroupName=group, ResourcePolicy=policy)
