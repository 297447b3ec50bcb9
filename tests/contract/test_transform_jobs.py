"""Transform jobs through unmodified boto3: a real model server, one output object for each input object."""

import json
import uuid
from datetime import datetime
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from ml_platform.core.settings import Settings
from tests.contract.sagemaker_requests import ROLE, SERVER_IMAGE, archive, unique, wait_for


@pytest.fixture
def sagemaker(sagemaker_settings: Settings) -> Any:
    return boto3.client("sagemaker")


@pytest.fixture
def bucket(sagemaker_settings: Settings) -> str:
    return sagemaker_settings.bucket


@pytest.fixture
def model(sagemaker: Any, bucket: str) -> str:
    """A model that answers each row with its sum and a half."""
    boto3.client("s3").put_object(Bucket=bucket, Key="model.tar.gz", Body=archive({"offset": "0.5"}))
    name = unique("model")
    container = {"Image": SERVER_IMAGE, "ModelDataUrl": f"s3://{bucket}/model.tar.gz"}
    sagemaker.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container)
    return name


def put(bucket: str, key: str, text: str) -> None:
    boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=text.encode())


def get(bucket: str, key: str) -> str:
    return boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read().decode()


def transform(bucket: str, model: str, **overrides: Any) -> dict[str, Any]:
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/in/"}}
    return {
        "TransformJobName": unique("transform"),
        "ModelName": model,
        "TransformInput": {"DataSource": source, "ContentType": "text/csv", "SplitType": "Line"},
        "TransformOutput": {"S3OutputPath": f"s3://{bucket}/out", "AssembleWith": "Line", "Accept": "text/csv"},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
    } | overrides


def ended(sagemaker: Any, request: dict[str, Any]) -> dict[str, Any]:
    sagemaker.create_transform_job(**request)
    return wait_for(
        lambda: sagemaker.describe_transform_job(TransformJobName=request["TransformJobName"]),
        lambda job: job["TransformJobStatus"] not in ("InProgress", "Stopping"),
    )


def test_each_object_gets_an_output_beside_its_relative_name(sagemaker: Any, bucket: str, model: str) -> None:
    put(bucket, "in/a.csv", "1,2\n3,4")
    put(bucket, "in/deep/b.csv", "5,6\r\n\n")
    job = ended(sagemaker, transform(bucket, model))
    assert job["TransformJobStatus"] == "Completed", job
    assert job["CreationTime"] <= job["TransformStartTime"] <= job["TransformEndTime"]
    assert get(bucket, "out/a.csv.out") == "3.5\n7.5\n"
    assert get(bucket, "out/deep/b.csv.out") == "11.5\n"


def test_identifiers_travel_around_the_model_by_filters_and_a_join(sagemaker: Any, bucket: str, model: str) -> None:
    put(bucket, "in/a.csv", '"order, one",1,2\norder-2,3,4\n')
    processing = {"InputFilter": "$[1:]", "JoinSource": "Input", "OutputFilter": "$[0,-1]"}
    job = ended(sagemaker, transform(bucket, model, DataProcessing=processing, MaxConcurrentTransforms=2))
    assert job["TransformJobStatus"] == "Completed", job
    assert get(bucket, "out/a.csv.out") == '"order, one",3.5\norder-2,7.5\n'


def test_many_parallel_requests_keep_the_order_of_the_input(sagemaker: Any, bucket: str, model: str) -> None:
    put(bucket, "in/many.csv", "".join(f"{number}\n" for number in range(40)))
    request = transform(bucket, model, BatchStrategy="SingleRecord", MaxConcurrentTransforms=4, MaxPayloadInMB=1)
    assert ended(sagemaker, request)["TransformJobStatus"] == "Completed"
    assert get(bucket, "out/many.csv.out") == "".join(f"{number + 0.5}\n" for number in range(40))


def test_json_lines_are_joined_under_sagemakers_own_member(sagemaker: Any, bucket: str, model: str) -> None:
    put(bucket, "in/a.jsonl", '{"id": "x", "values": [1, 2]}\n')
    request = transform(bucket, model, DataProcessing={"JoinSource": "Input"})
    request["TransformInput"]["ContentType"] = "application/jsonlines"
    assert ended(sagemaker, request)["TransformJobStatus"] == "Completed"
    assert get(bucket, "out/a.jsonl.out") == '{"id": "x", "values": [1, 2], "SageMakerOutput": {"sum": 3}}\n'


def test_a_json_document_that_is_not_split_is_filtered_and_joined_whole(
    sagemaker: Any, bucket: str, model: str
) -> None:
    put(bucket, "in/a.json", '{"id": "x", "features": {"values": [1, 2]}, "more": 0}')
    processing = {
        "InputFilter": "$.features",
        "JoinSource": "Input",
        "OutputFilter": "$['id','SageMakerOutput']",
    }
    request = transform(bucket, model, DataProcessing=processing)
    request["TransformInput"] |= {"ContentType": "application/json", "SplitType": "None"}
    assert ended(sagemaker, request)["TransformJobStatus"] == "Completed"
    assert json.loads(get(bucket, "out/a.json.out")) == {"id": "x", "SageMakerOutput": {"sum": 3}}


@pytest.mark.parametrize(
    "source",
    [
        {"SplitType": "None"},
        {"ContentType": "application/jsonlines", "SplitType": "None"},
        {"ContentType": "image/png"},
    ],
)
def test_filters_are_refused_where_there_are_no_records_to_apply_them_to(
    sagemaker: Any, bucket: str, model: str, source: dict[str, str]
) -> None:
    request = transform(bucket, model, DataProcessing={"OutputFilter": "$[0]"})
    request["TransformInput"] |= source
    with pytest.raises(ClientError, match="Filters and JoinSource require"):
        sagemaker.create_transform_job(**request)


def test_the_server_knows_that_it_serves_a_batch_and_its_log_is_kept(sagemaker: Any, bucket: str, model: str) -> None:
    put(bucket, "in/a.csv", "1\n")
    name = ended(sagemaker, transform(bucket, model))["TransformJobName"]
    logs = boto3.client("logs")
    group = "/aws/sagemaker/TransformJobs"
    streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{name}/i-")["logStreams"]
    events = logs.get_log_events(logGroupName=group, logStreamName=streams[0]["logStreamName"])["events"]
    assert any("POST /invocations" in event["message"] and "batch=true" in event["message"] for event in events)


def test_objects_of_a_manifest_are_divided_among_instances(sagemaker: Any, bucket: str, model: str) -> None:
    for name in ("a", "b", "c"):
        put(bucket, f"parts/{name}.csv", "1,2\n")
    put(bucket, "list", json.dumps([{"prefix": f"s3://{bucket}/parts/"}, "a.csv", "c.csv", "b.csv"]))
    request = transform(bucket, model)
    request["TransformInput"]["DataSource"]["S3DataSource"] = {
        "S3DataType": "ManifestFile",
        "S3Uri": f"s3://{bucket}/list",
    }
    request["TransformResources"]["InstanceCount"] = 2
    job = ended(sagemaker, request)
    assert job["TransformJobStatus"] == "Completed", job
    assert [get(bucket, f"out/{name}.csv.out") for name in ("a", "b", "c")] == ["3.5\n"] * 3
    prefix = f"{job['TransformJobName']}/i-"
    streams = boto3.client("logs").describe_log_streams(
        logGroupName="/aws/sagemaker/TransformJobs", logStreamNamePrefix=prefix
    )["logStreams"]
    assert len(streams) == 2


@pytest.mark.parametrize(("advise", "requests"), [("yes", 3), ("", 1)])
def test_the_server_says_how_it_likes_its_batches(
    sagemaker: Any, bucket: str, model: str, advise: str, requests: int
) -> None:
    put(bucket, "in/a.csv", "1\n2\n3\n")
    job = ended(sagemaker, transform(bucket, model, Environment={"ADVISE": advise}))
    assert get(bucket, "out/a.csv.out") == "1.5\n2.5\n3.5\n"
    logs, group = boto3.client("logs"), "/aws/sagemaker/TransformJobs"
    streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{job['TransformJobName']}/i-")
    name = streams["logStreams"][0]["logStreamName"]
    events = logs.get_log_events(logGroupName=group, logStreamName=name)["events"]
    assert sum("POST /invocations" in event["message"] for event in events) == requests


def test_captured_batches_are_manifests_and_each_answer_has_an_id(sagemaker: Any, bucket: str, model: str) -> None:
    put(bucket, "in/a.csv", "1\n2\n")
    capture = {"DestinationS3Uri": f"s3://{bucket}/capture", "GenerateInferenceId": True}
    job = ended(sagemaker, transform(bucket, model, DataCaptureConfig=capture))
    assert job["TransformJobStatus"] == "Completed", job
    lines = [line.split(",") for line in get(bucket, "out/a.csv.out").splitlines()]
    assert [line[0] for line in lines] == ["1.5", "2.5"]
    assert len({uuid.UUID(line[1]) for line in lines}) == 2
    assert all(datetime.fromisoformat(line[2]).tzinfo for line in lines)
    listed = boto3.client("s3").list_objects_v2(Bucket=bucket, Prefix="capture/")["Contents"]
    manifests = [json.loads(get(bucket, one["Key"])) for one in listed]
    assert manifests == [
        [{"prefix": f"s3://{bucket}/in/"}, "a.csv"],
        [{"prefix": f"s3://{bucket}/out/"}, "a.csv.out"],
    ]


def test_a_row_the_model_refuses_fails_the_job_with_the_reason(sagemaker: Any, bucket: str, model: str) -> None:
    put(bucket, "in/a.csv", "1\nnot a number\n")
    job = ended(sagemaker, transform(bucket, model))
    assert job["TransformJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: See job logs for more information")
    assert "cannot score" in job["FailureReason"]


@pytest.mark.parametrize(
    ("text", "change", "reason"),
    [
        ("1\n", {"TransformInput": "nothing"}, "No S3 objects found"),
        ("1\n", {"DataProcessing": {"InputFilter": "$[7]"}}, "names a column"),
        ("x" * (1 << 20) + "\n", {"MaxPayloadInMB": 1}, "larger than MaxPayloadInMB"),
        ("\udcff", {}, "cannot be read"),
    ],
)
def test_unusable_input_fails_the_job_with_the_reason(
    sagemaker: Any, bucket: str, model: str, text: str, change: dict[str, Any], reason: str
) -> None:
    boto3.client("s3").put_object(Bucket=bucket, Key="in/a.csv", Body=text.encode(errors="surrogateescape"))
    request = transform(bucket, model)
    if change.get("TransformInput"):
        request["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"] = f"s3://{bucket}/nothing"
    else:
        request |= change
    assert reason in ended(sagemaker, request)["FailureReason"]


def test_a_server_that_never_becomes_healthy_fails_the_job(sagemaker: Any, bucket: str) -> None:
    put(bucket, "broken.tar.gz", "this is no archive")
    put(bucket, "in/a.csv", "1\n")
    name = unique("broken")
    container = {"Image": SERVER_IMAGE, "ModelDataUrl": f"s3://{bucket}/broken.tar.gz"}
    sagemaker.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container)
    job = ended(sagemaker, transform(bucket, name))
    assert job["TransformJobStatus"] == "Failed"
    assert "failed to respond to ping" in job["FailureReason"]


def test_a_job_can_be_stopped_once(sagemaker: Any, bucket: str, model: str) -> None:
    put(bucket, "in/a.csv", "".join(f"{number}\n" for number in range(20_000)))
    request = transform(bucket, model, BatchStrategy="SingleRecord")
    sagemaker.create_transform_job(**request)
    name = request["TransformJobName"]
    sagemaker.stop_transform_job(TransformJobName=name)
    sagemaker.get_waiter("transform_job_completed_or_stopped").wait(
        TransformJobName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 20}
    )
    assert sagemaker.describe_transform_job(TransformJobName=name)["TransformJobStatus"] == "Stopped"
    with pytest.raises(ClientError, match="rejected because the transform job is in status Stopped"):
        sagemaker.stop_transform_job(TransformJobName=name)


def test_names_are_checked_when_a_job_is_created(sagemaker: Any, bucket: str, model: str) -> None:
    with pytest.raises(ClientError, match="Could not find model"):
        sagemaker.create_transform_job(**transform(bucket, "nobody"))
    with pytest.raises(ClientError, match="is not supported"):
        sagemaker.create_transform_job(**transform(bucket, model, DataProcessing={"InputFilter": "$.a"}))
    put(bucket, "in/a.csv", "1\n")
    request = transform(bucket, model)
    ended(sagemaker, request)
    with pytest.raises(sagemaker.exceptions.ResourceInUse):
        sagemaker.create_transform_job(**request)
    listed = sagemaker.list_transform_jobs(NameContains=request["TransformJobName"])["TransformJobSummaries"]
    assert [job["TransformJobStatus"] for job in listed] == ["Completed"]
    with pytest.raises(ClientError, match="not found"):
        sagemaker.describe_transform_job(TransformJobName="nobody")
