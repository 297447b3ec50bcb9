"""Search through unmodified boto3: operators, nesting, order, pages, and questions that make no sense."""

from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from ml_platform.core.settings import Settings
from tests.contract.sagemaker_requests import ROLE, SCRIPT_IMAGE, SERVER_IMAGE, ended_training_job, training_job, unique


@pytest.fixture
def sagemaker(sagemaker_settings: Settings) -> Any:
    return boto3.client("sagemaker")


@pytest.fixture
def group(sagemaker: Any) -> str:
    """A group with three versions: 1 approved, 2 rejected, 3 pending and tagged."""
    name = unique("searched")
    sagemaker.create_model_package_group(ModelPackageGroupName=name)
    for status in ("Approved", "Rejected", "PendingManualApproval"):
        arn = sagemaker.create_model_package(
            ModelPackageGroupName=name,
            ModelApprovalStatus=status,
            CustomerMetadataProperties={"auc": f"0.{len(status)}"},
        )["ModelPackageArn"]
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "owner.team", "Value": "risk"}])
    return name


def condition(name: str, operator: str | None = None, value: str | None = None) -> dict[str, str]:
    return {"Name": name} | ({"Operator": operator} if operator else {}) | ({"Value": value} if value else {})


def versions(sagemaker: Any, group: str, *filters: dict[str, str], **members: Any) -> list[int]:
    inner = [{"Filters": list(filters), **members}] if filters else [members] if members else []
    expression = {"Filters": [condition("ModelPackageGroupName", "Equals", group)]}
    if inner:
        expression["SubExpressions"] = inner
    found = sagemaker.search(
        Resource="ModelPackage", SearchExpression=expression, SortBy="ModelPackageVersion", SortOrder="Ascending"
    )
    return [each["ModelPackage"]["ModelPackageVersion"] for each in found["Results"]]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ([condition("ModelApprovalStatus", "Equals", "Approved")], [1]),
        ([condition("ModelApprovalStatus", "NotEquals", "Approved")], [2, 3]),
        ([condition("ModelApprovalStatus", None, "Rejected")], [2]),
        ([condition("ModelApprovalStatus", "In", "Approved, Rejected")], [1, 2]),
        ([condition("ModelApprovalStatus", "Contains", "Manual")], [3]),
        (
            [condition("ModelPackageVersion", "GreaterThan", "1"), condition("ModelPackageVersion", "LessThan", "3")],
            [2],
        ),
        ([condition("ModelPackageVersion", "GreaterThanOrEqualTo", "2.5")], [3]),
        ([condition("CustomerMetadataProperties.auc", "LessThanOrEqualTo", "0.3")], [3]),
        ([condition("Tags.owner.team", "Equals", "risk")], [3]),
        ([condition("Tags.owner.team", "NotExists")], [1, 2]),
        ([condition("ApprovalDescription", "Exists")], []),
        ([condition("CreationTime", "LessThan", "2020-01-01T00:00:00")], []),
        ([condition("CreationTime", "GreaterThan", "2020-01-01T00:00:00Z")], [1, 2, 3]),
    ],
)
def test_operators_compare_by_the_propertys_type(
    sagemaker: Any, group: str, filters: list[dict[str, str]], expected: list[int]
) -> None:
    assert versions(sagemaker, group, *filters) == expected


def test_expressions_nest_and_join_with_and_or(sagemaker: Any, group: str) -> None:
    either = [condition("ModelApprovalStatus", "Equals", "Approved"), condition("ModelPackageVersion", "Equals", "3")]
    assert versions(sagemaker, group, *either, Operator="Or") == [1, 3]
    assert versions(sagemaker, group, *either, Operator="And") == []


def test_results_come_in_order_over_all_pages(sagemaker: Any, group: str) -> None:
    pages = list(
        sagemaker.get_paginator("search").paginate(
            Resource="ModelPackage",
            SearchExpression={"Filters": [condition("ModelPackageGroupName", "Equals", group)]},
            SortBy="CreationTime",
            PaginationConfig={"PageSize": 2},
        )
    )
    found = [each["ModelPackage"]["ModelPackageVersion"] for page in pages for each in page["Results"]]
    assert found == [3, 2, 1]
    assert pages[0]["TotalHits"] == {"Value": 3, "Relation": "EqualTo"}
    group_found = sagemaker.search(
        Resource="ModelPackageGroup",
        SearchExpression={"Filters": [condition("ModelPackageGroupName", "Equals", group)]},
    )
    assert len(group_found["Results"]) == 1


def test_training_jobs_are_found_by_parameters_metrics_and_channels(
    sagemaker: Any, sagemaker_settings: Settings
) -> None:
    bucket, name = sagemaker_settings.bucket, unique("found")
    boto3.client("s3").put_object(Bucket=bucket, Key="train/one.csv", Body=b"1")
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/train/", "S3DataDistributionType": "FullyReplicated"}
    algorithm = {
        "TrainingImage": SCRIPT_IMAGE,
        "TrainingInputMode": "File",
        "MetricDefinitions": [{"Name": "validation:loss", "Regex": "loss=([0-9.]+)"}],
    }
    sagemaker.create_training_job(
        **training_job(
            bucket,
            name,
            AlgorithmSpecification=algorithm,
            HyperParameters={"mode": "report", "tree.depth": "7"},
            InputDataConfig=[{"ChannelName": "train", "DataSource": {"S3DataSource": source}}],
        )
    )
    ended_training_job(sagemaker, name)
    channel = [
        condition("InputDataConfig.ChannelName", "Equals", "train"),
        condition("InputDataConfig.DataSource.S3DataSource.S3Uri", "Contains", bucket),
    ]
    expression = {
        "Filters": [
            condition("TrainingJobStatus", "Equals", "Completed"),
            condition("HyperParameters.tree.depth", "GreaterThan", "6"),
            condition("Metrics.validation:loss", "LessThan", "0.3"),
        ],
        "NestedFilters": [{"NestedPropertyName": "InputDataConfig", "Filters": channel}],
    }
    found = sagemaker.search(Resource="TrainingJob", SearchExpression=expression)["Results"]
    assert [each["TrainingJob"]["TrainingJobName"] for each in found] == [name]
    channel[0]["Value"] = "validation"
    assert sagemaker.search(Resource="TrainingJob", SearchExpression=expression)["Results"] == []


def test_a_model_is_found_with_the_endpoints_that_run_it(sagemaker: Any) -> None:
    name = unique("model")
    sagemaker.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer={"Image": SERVER_IMAGE})
    named = {"Filters": [condition("ModelName", "Equals", name)]}
    [found] = sagemaker.search(Resource="Model", SearchExpression=named)["Results"]
    assert found["Model"]["Model"]["ModelName"] == name
    assert found["Model"]["Endpoints"] == []
    nobody = {"Filters": [condition("EndpointName", "Equals", name)]}
    assert sagemaker.search(Resource="Endpoint", SearchExpression=nobody)["Results"] == []


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ({"Filters": [condition("Nonsense", "Equals", "1")]}, "Unknown property name: Nonsense"),
        ({"Filters": [condition("RoleArn.Deeper", "Equals", "1")]}, "Unknown property name"),
        ({"Operator": "Or"}, "at least one filter"),
        ({"Filters": [condition("TrainingJobName", "GreaterThan", "a")]}, "not supported for text"),
        ({"Filters": [condition("CreationTime", "Contains", "a")]}, "only supported for text"),
        ({"Filters": [condition("CreationTime", "LessThan", "soon")]}, "ISO 8601"),
        ({"Filters": [condition("TrainingTimeInSeconds", "LessThan", "long")]}, "not a number"),
        ({"Filters": [condition("TrainingJobName", "Equals")]}, "needs a Value"),
        ({"Filters": [condition("TrainingJobName", "Exists", "x")]}, "takes no Value"),
        ({"Filters": [condition("TrainingJobName", "Contains", "x")] * 2}, "usage limit of 1 exceeded"),
        (
            {"NestedFilters": [{"NestedPropertyName": "RoleArn", "Filters": [condition("RoleArn.x", "Exists")]}]},
            "not a nested property",
        ),
    ],
)
def test_an_expression_that_makes_no_sense_is_refused(sagemaker: Any, expression: dict[str, Any], message: str) -> None:
    with pytest.raises(ClientError, match=message):
        sagemaker.search(Resource="TrainingJob", SearchExpression=expression)


def test_what_the_stand_in_does_not_keep_cannot_be_searched(sagemaker: Any) -> None:
    with pytest.raises(ClientError, match="does not implement search for Experiment"):
        sagemaker.search(Resource="Experiment")
    with pytest.raises(ClientError, match="enum value set"):
        sagemaker.search(Resource="Coffee")
