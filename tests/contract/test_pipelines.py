"""Pipelines through unmodified boto3: definitions and their versions; running one is refused."""

import json
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from ml_platform.core.settings import Settings
from tests.contract.sagemaker_requests import ROLE, unique


def definition(*steps: str) -> str:
    return json.dumps({"Version": "2020-12-01", "Steps": [{"Name": step, "Type": "Training"} for step in steps]})


@pytest.fixture
def sagemaker(sagemaker_settings: Settings) -> Any:
    return boto3.client("sagemaker")


@pytest.fixture
def pipeline(sagemaker: Any) -> str:
    name = unique("pipeline")
    request = {"PipelineName": name, "PipelineDefinition": definition("Train"), "RoleArn": ROLE}
    arn = sagemaker.create_pipeline(**request, ClientRequestToken="t" * 32)["PipelineArn"]
    assert arn == f"arn:aws:sagemaker:us-east-1:000000000000:pipeline/{name}"
    return name


def test_an_update_makes_a_version(sagemaker: Any, pipeline: str) -> None:
    two = definition("Train", "Register")
    answer = sagemaker.update_pipeline(PipelineName=pipeline, PipelineDefinition=two, PipelineDescription="more")
    assert answer["PipelineVersionId"] == 2
    newest = sagemaker.describe_pipeline(PipelineName=answer["PipelineArn"])
    assert (newest["PipelineDefinition"], newest["PipelineStatus"]) == (two, "Active")
    first = sagemaker.describe_pipeline(PipelineName=pipeline, PipelineVersionId=1)
    assert first["PipelineDefinition"] == definition("Train")
    with pytest.raises(sagemaker.exceptions.ResourceNotFound):
        sagemaker.describe_pipeline(PipelineName=pipeline, PipelineVersionId=3)


def test_a_name_is_used_once_but_a_request_may_be_sent_twice(sagemaker: Any, pipeline: str) -> None:
    request = {"PipelineName": pipeline, "PipelineDefinition": definition("Train"), "RoleArn": ROLE}
    assert sagemaker.create_pipeline(**request, ClientRequestToken="t" * 32)["PipelineArn"].endswith(pipeline)
    with pytest.raises(ClientError, match="Pipeline names must be unique within"):
        sagemaker.create_pipeline(**request)


def test_a_definition_can_be_in_s3(sagemaker: Any, sagemaker_settings: Settings) -> None:
    name, bucket = unique("from-s3"), sagemaker_settings.bucket
    boto3.client("s3").put_object(Bucket=bucket, Key="p.json", Body=definition("Train").encode())
    location = {"Bucket": bucket, "ObjectKey": "p.json"}
    sagemaker.create_pipeline(PipelineName=name, PipelineDefinitionS3Location=location, RoleArn=ROLE)
    assert sagemaker.describe_pipeline(PipelineName=name)["PipelineDefinition"] == definition("Train")
    with pytest.raises(ClientError, match="Unable to read"):
        sagemaker.update_pipeline(
            PipelineName=name, PipelineDefinitionS3Location={"Bucket": bucket, "ObjectKey": "none"}
        )


def test_pipelines_are_listed_by_prefix_and_found(sagemaker: Any, pipeline: str) -> None:
    request = {"PipelineName": f"{pipeline}-2", "PipelineDefinition": definition(), "RoleArn": ROLE}
    sagemaker.create_pipeline(**request)
    pages = sagemaker.get_paginator("list_pipelines").paginate(
        PipelineNamePrefix=pipeline, SortBy="Name", SortOrder="Ascending", PaginationConfig={"PageSize": 1}
    )
    assert [each["PipelineName"] for page in pages for each in page["PipelineSummaries"]] == [pipeline, f"{pipeline}-2"]
    named = {"Name": "PipelineName", "Operator": "Equals", "Value": pipeline}
    found = sagemaker.search(Resource="Pipeline", SearchExpression={"Filters": [named]})["Results"]
    assert [each["Pipeline"]["PipelineDisplayName"] for each in found] == [pipeline]


def test_an_execution_is_refused_and_there_are_none(sagemaker: Any, pipeline: str) -> None:
    with pytest.raises(ClientError, match="does not implement the execution of pipelines"):
        sagemaker.start_pipeline_execution(PipelineName=pipeline)
    assert sagemaker.list_pipeline_executions(PipelineName=pipeline)["PipelineExecutionSummaries"] == []


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"Version": "1", "Steps": []}',
        '{"Version": "2020-12-01"}',
        '{"Version": "2020-12-01", "Steps": [{"Name": "a"}]}',
        definition("a", "a"),
    ],
)
def test_what_is_no_definition_is_refused(sagemaker: Any, pipeline: str, text: str) -> None:
    with pytest.raises(ClientError, match="Unable to parse pipeline definition"):
        sagemaker.update_pipeline(PipelineName=pipeline, PipelineDefinition=text)


def test_a_deleted_pipeline_is_gone(sagemaker: Any, pipeline: str) -> None:
    sagemaker.delete_pipeline(PipelineName=pipeline)
    for call in (sagemaker.describe_pipeline, sagemaker.delete_pipeline, sagemaker.list_pipeline_executions):
        with pytest.raises(sagemaker.exceptions.ResourceNotFound):
            call(PipelineName=pipeline)


def test_versions_are_listed_newest_first_and_can_be_named(sagemaker: Any, pipeline: str) -> None:
    arn = sagemaker.update_pipeline(PipelineName=pipeline, PipelineDescription="more")["PipelineArn"]
    sagemaker.update_pipeline_version(PipelineArn=arn, PipelineVersionId=1, PipelineVersionDisplayName="first")
    listed = sagemaker.list_pipeline_versions(PipelineName=pipeline)["PipelineVersionSummaries"]
    assert [each["PipelineVersionId"] for each in listed] == [2, 1]
    assert (listed[1]["PipelineVersionDisplayName"], listed[1]["PipelineArn"]) == ("first", arn)
    assert listed[0]["CreationTime"] >= listed[1]["CreationTime"]
    page = sagemaker.list_pipeline_versions(PipelineName=pipeline, SortOrder="Ascending", MaxResults=1)
    assert [each["PipelineVersionId"] for each in page["PipelineVersionSummaries"]] == [1]
    assert page["NextToken"]
    with pytest.raises(sagemaker.exceptions.ResourceNotFound):
        sagemaker.update_pipeline_version(PipelineArn=arn, PipelineVersionId=9, PipelineVersionDisplayName="none")
