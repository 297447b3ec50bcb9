"""Model registry, models and tags through unmodified boto3: versions, approval, absent and taken names."""

from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from ml_platform.core.settings import Settings
from tests.contract.sagemaker_requests import ROLE, SERVER_IMAGE, archive, unique

ACCOUNT = "arn:aws:sagemaker:us-east-1:000000000000"


@pytest.fixture
def sagemaker(sagemaker_settings: Settings) -> Any:
    return boto3.client("sagemaker")


@pytest.fixture
def artifact(sagemaker_settings: Settings) -> str:
    bucket = sagemaker_settings.bucket
    boto3.client("s3").put_object(Bucket=bucket, Key="model.tar.gz", Body=archive({"offset": "1"}))
    return f"s3://{bucket}/model.tar.gz"


@pytest.fixture
def group(sagemaker: Any) -> str:
    name = unique("group")
    arn = sagemaker.create_model_package_group(ModelPackageGroupName=name, ModelPackageGroupDescription="Cards")
    assert arn["ModelPackageGroupArn"] == f"{ACCOUNT}:model-package-group/{name}"
    return name


def package(sagemaker: Any, group: str, **members: Any) -> str:
    container = {"Image": SERVER_IMAGE, "ModelDataUrl": "s3://bucket/model.tar.gz"}
    specification = {
        "Containers": [container],
        "SupportedContentTypes": ["text/csv"],
        "SupportedResponseMIMETypes": ["text/csv"],
    }
    request = {"ModelPackageGroupName": group, "InferenceSpecification": specification} | members
    return str(sagemaker.create_model_package(**request)["ModelPackageArn"])


def test_versions_count_up_and_are_never_used_again(sagemaker: Any, group: str) -> None:
    arns = [package(sagemaker, group) for _ in range(2)]
    assert arns == [f"{ACCOUNT}:model-package/{group}/{version}" for version in (1, 2)]
    sagemaker.delete_model_package(ModelPackageName=arns[1])
    assert package(sagemaker, group).endswith("/3")
    with pytest.raises(ClientError, match="does not exist"):
        sagemaker.describe_model_package(ModelPackageName=arns[1])


def test_a_package_waits_for_approval_and_keeps_who_decided_why(sagemaker: Any, group: str) -> None:
    arn = package(sagemaker, group, CustomerMetadataProperties={"fingerprint": "abc", "draft": "yes"})
    before = sagemaker.describe_model_package(ModelPackageName=arn)
    assert before["ModelApprovalStatus"] == "PendingManualApproval"
    assert before["ModelPackageStatus"] == "Completed"
    assert before["ModelPackageVersion"] == 1
    sagemaker.update_model_package(
        ModelPackageArn=arn,
        ModelApprovalStatus="Approved",
        ApprovalDescription="gate passed",
        CustomerMetadataProperties={"reviewer": "team"},
        CustomerMetadataPropertiesToRemove=["draft"],
    )
    after = sagemaker.describe_model_package(ModelPackageName=arn)
    assert (after["ModelApprovalStatus"], after["ApprovalDescription"]) == ("Approved", "gate passed")
    assert after["CustomerMetadataProperties"] == {"fingerprint": "abc", "reviewer": "team"}
    assert after["InferenceSpecification"] == before["InferenceSpecification"]


def test_packages_are_listed_by_approval_over_all_pages(sagemaker: Any, group: str) -> None:
    for status in ("Approved", "Rejected", "Approved", "PendingManualApproval"):
        package(sagemaker, group, ModelApprovalStatus=status)
    pages = sagemaker.get_paginator("list_model_packages").paginate(
        ModelPackageGroupName=group,
        ModelApprovalStatus="Approved",
        SortBy="CreationTime",
        SortOrder="Descending",
        PaginationConfig={"PageSize": 1},
    )
    found = [entry["ModelPackageVersion"] for page in pages for entry in page["ModelPackageSummaryList"]]
    assert found == [3, 1]


def test_a_group_is_deleted_only_when_empty(sagemaker: Any, group: str) -> None:
    arn = package(sagemaker, group)
    with pytest.raises(sagemaker.exceptions.ConflictException):
        sagemaker.delete_model_package_group(ModelPackageGroupName=group)
    sagemaker.delete_model_package(ModelPackageName=arn)
    sagemaker.delete_model_package_group(ModelPackageGroupName=group)
    with pytest.raises(ClientError, match="does not exist"):
        sagemaker.describe_model_package_group(ModelPackageGroupName=group)


def test_group_names_are_unique_and_must_exist(sagemaker: Any, group: str) -> None:
    with pytest.raises(ClientError, match="already exists"):
        sagemaker.create_model_package_group(ModelPackageGroupName=group)
    with pytest.raises(ClientError, match="does not exist"):
        package(sagemaker, "nobody")
    with pytest.raises(ClientError, match="Both ModelPackageName and ModelPackageGroupName"):
        package(sagemaker, group, ModelPackageName="also")
    listed = sagemaker.list_model_package_groups(NameContains=group)["ModelPackageGroupSummaryList"]
    assert [entry["ModelPackageGroupDescription"] for entry in listed] == ["Cards"]


def test_a_package_without_a_group_has_no_version_and_no_approval(sagemaker: Any) -> None:
    name = unique("single")
    arn = sagemaker.create_model_package(ModelPackageName=name)["ModelPackageArn"]
    described = sagemaker.describe_model_package(ModelPackageName=name)
    assert described["ModelPackageArn"] == arn
    assert "ModelApprovalStatus" not in described
    listed = sagemaker.list_model_packages(NameContains=name)["ModelPackageSummaryList"]
    assert [entry["ModelPackageArn"] for entry in listed] == [arn]
    with pytest.raises(ClientError, match="only be updated for versioned"):
        sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")


def test_a_model_runs_an_image_or_a_package(sagemaker: Any, group: str, artifact: str) -> None:
    by_image, by_package = unique("image"), unique("package")
    container = {"Image": SERVER_IMAGE, "ModelDataUrl": artifact, "Environment": {"A": "b"}}
    arn = sagemaker.create_model(ModelName=by_image, ExecutionRoleArn=ROLE, PrimaryContainer=container)["ModelArn"]
    described = sagemaker.describe_model(ModelName=by_image)
    assert described["PrimaryContainer"] == container
    assert described["ModelArn"] == arn == f"{ACCOUNT}:model/{by_image}"
    specification = {
        "Containers": [{"Image": SERVER_IMAGE, "ModelDataUrl": artifact}],
        "SupportedContentTypes": ["text/csv"],
        "SupportedResponseMIMETypes": ["text/csv"],
    }
    version = package(sagemaker, group, InferenceSpecification=specification)
    sagemaker.create_model(ModelName=by_package, ExecutionRoleArn=ROLE, PrimaryContainer={"ModelPackageName": version})
    names = [model["ModelName"] for model in sagemaker.list_models(NameContains=by_package)["Models"]]
    assert names == [by_package]
    sagemaker.delete_model(ModelName=by_image)
    with pytest.raises(ClientError, match="Could not find model"):
        sagemaker.describe_model(ModelName=by_image)


@pytest.mark.parametrize(
    ("container", "message"),
    [
        ({"Image": "x/unknown:1"}, "Requested image x/unknown:1 not found"),
        ({"Image": SERVER_IMAGE, "ModelDataUrl": "s3://no-such-bucket-here/m.tar.gz"}, "Could not access model data"),
        ({"ModelPackageName": f"{ACCOUNT}:model-package/nobody/1"}, "does not exist"),
        ({"Environment": {"A": "b"}}, "must name an Image or a ModelPackageName"),
    ],
)
def test_a_model_that_could_not_run_is_refused(sagemaker: Any, container: dict[str, Any], message: str) -> None:
    name = unique("refused")
    with pytest.raises(ClientError, match=message):
        sagemaker.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container)
    with pytest.raises(ClientError, match="Could not find model"):
        sagemaker.describe_model(ModelName=name)


def test_a_model_name_is_used_once(sagemaker: Any, artifact: str) -> None:
    request = {
        "ModelName": unique("twice"),
        "ExecutionRoleArn": ROLE,
        "PrimaryContainer": {"Image": SERVER_IMAGE, "ModelDataUrl": artifact},
    }
    sagemaker.create_model(**request)
    with pytest.raises(ClientError, match="already existing model"):
        sagemaker.create_model(**request)


def test_tags_are_kept_by_arn_and_go_with_their_resource(sagemaker: Any) -> None:
    name = unique("tagged")
    arn = sagemaker.create_model_package_group(
        ModelPackageGroupName=name, Tags=[{"Key": "team", "Value": "risk"}, {"Key": "cost", "Value": "1"}]
    )["ModelPackageGroupArn"]
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "cost", "Value": "2"}])
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=["team"])
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "cost", "Value": "2"}]
    sagemaker.delete_model_package_group(ModelPackageGroupName=name)
    with pytest.raises(ClientError, match="Could not find"):
        sagemaker.list_tags(ResourceArn=arn)
    sagemaker.create_model_package_group(ModelPackageGroupName=name)
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == []
