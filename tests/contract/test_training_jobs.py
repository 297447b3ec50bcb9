"""Training jobs through unmodified boto3: a real process, SageMaker's files, and every way a job can end."""

import json
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from ml_platform.core.settings import Settings
from tests.contract.sagemaker_requests import (
    SCRIPT_IMAGE,
    archive_members,
    ended_training_job,
    seen_by,
    training_job,
    unique,
    wait_for,
)


@pytest.fixture
def sagemaker(sagemaker_settings: Settings) -> Any:
    return boto3.client("sagemaker")


@pytest.fixture
def bucket(sagemaker_settings: Settings) -> str:
    return sagemaker_settings.bucket


def put(bucket: str, key: str, text: str) -> str:
    boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=text.encode())
    return f"s3://{bucket}/{key}"


def channel(name: str, uri: str) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "ContentType": "text/csv", "DataSource": {"S3DataSource": source}}


def log_lines(name: str) -> list[str]:
    logs = boto3.client("logs")
    group = "/aws/sagemaker/TrainingJobs"
    streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{name}/")["logStreams"]
    assert len(streams) == 1
    assert streams[0]["logStreamName"].startswith(f"{name}/algo-1-")
    events = logs.get_log_events(logGroupName=group, logStreamName=streams[0]["logStreamName"], startFromHead=True)[
        "events"
    ]
    return [event["message"] for event in events]


def test_a_job_goes_through_every_phase_and_leaves_its_model_in_s3(sagemaker: Any, bucket: str) -> None:
    name = unique("phases")
    arn = sagemaker.create_training_job(**training_job(bucket, name))["TrainingJobArn"]
    assert arn == f"arn:aws:sagemaker:us-east-1:000000000000:training-job/{name}"
    sagemaker.get_waiter("training_job_completed_or_stopped").wait(
        TrainingJobName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 20}
    )
    job = sagemaker.describe_training_job(TrainingJobName=name)
    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Completed"
    phases = [transition["Status"] for transition in job["SecondaryStatusTransitions"]]
    assert phases == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert all("EndTime" in transition for transition in job["SecondaryStatusTransitions"])
    assert job["ModelArtifacts"]["S3ModelArtifacts"] == f"s3://{bucket}/jobs/{name}/output/model.tar.gz"
    assert job["BillableTimeInSeconds"] >= 1
    assert job["CreationTime"] <= job["TrainingStartTime"] <= job["TrainingEndTime"]
    assert "_Process" not in job


def test_the_container_sees_sagemakers_files_and_nothing_of_the_host(
    sagemaker: Any, bucket: str, stand_in: str
) -> None:
    put(bucket, "data/train/part-0.csv", "1,2")
    put(bucket, "data/train/more/part-1.csv", "3,4")
    one = put(bucket, "data/one.csv", "5")
    name = unique("layout")
    request = training_job(
        bucket,
        name,
        HyperParameters={"mode": "report", "depth": "7"},
        Environment={"COLOUR": "green"},
        InputDataConfig=[channel("train", f"s3://{bucket}/data/train"), channel("validation", one)],
    )
    sagemaker.create_training_job(**request)
    seen = seen_by(bucket, ended_training_job(sagemaker, name))
    assert seen["argv"] == ["train"]
    assert seen["data"] == {"train/part-0.csv": "1,2", "train/more/part-1.csv": "3,4", "validation/one.csv": "5"}
    assert seen["config"]["hyperparameters.json"] == {"mode": "report", "depth": "7"}
    assert seen["config"]["inputdataconfig.json"]["train"] == {
        "ContentType": "text/csv",
        "TrainingInputMode": "File",
        "S3DistributionType": "FullyReplicated",
        "RecordWrapperType": "None",
    }
    resources = seen["config"]["resourceconfig.json"]
    assert resources["hosts"] == [resources["current_host"]]
    assert resources["current_instance_type"] == "ml.m5.large"
    environment = seen["environment"]
    assert environment["TRAINING_JOB_NAME"] == name
    assert environment["TRAINING_JOB_ARN"].endswith(name)
    assert environment["COLOUR"] == "green"
    assert not {key for key in environment if key.startswith(("AWS_", "ML_PLATFORM"))} - {"AWS_REGION"}


def test_log_lines_and_metrics_are_read(sagemaker: Any, bucket: str) -> None:
    name = unique("metrics")
    algorithm = {
        "TrainingImage": SCRIPT_IMAGE,
        "TrainingInputMode": "File",
        "MetricDefinitions": [
            {"Name": "loss", "Regex": r"loss=([0-9.]+)"},
            {"Name": "absent", "Regex": r"absent=([0-9.]+)"},
        ],
    }
    sagemaker.create_training_job(**training_job(bucket, name, AlgorithmSpecification=algorithm))
    job = ended_training_job(sagemaker, name)
    assert {metric["MetricName"]: metric["Value"] for metric in job["FinalMetricDataList"]} == {"loss": 0.25}
    assert log_lines(name) == ["epoch 1 loss=0.75", "epoch 2 loss=0.25", " ", "no newline at the end"]


def test_log_lines_appear_while_the_job_runs(sagemaker: Any, bucket: str) -> None:
    name = unique("live")
    sagemaker.create_training_job(**training_job(bucket, name, mode="wait"))
    logs = boto3.client("logs")

    def streams() -> list[Any]:
        try:
            found = logs.describe_log_streams(
                logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=f"{name}/"
            )
        except logs.exceptions.ResourceNotFoundException:
            return []
        return list(found["logStreams"])

    wait_for(streams, bool)
    wait_for(lambda: log_lines(name), lambda lines: "waiting" in lines)
    assert sagemaker.describe_training_job(TrainingJobName=name)["TrainingJobStatus"] == "InProgress"
    sagemaker.stop_training_job(TrainingJobName=name)
    ended_training_job(sagemaker, name)


def test_output_data_becomes_its_own_archive(sagemaker: Any, bucket: str) -> None:
    name = unique("output")
    sagemaker.create_training_job(**training_job(bucket, name, mode="output"))
    ended_training_job(sagemaker, name)
    assert archive_members(bucket, f"s3://{bucket}/jobs/{name}/output/output.tar.gz") == {"figures.txt": b"42"}


def test_the_failure_file_becomes_the_failure_reason(sagemaker: Any, bucket: str) -> None:
    name = unique("fail")
    sagemaker.create_training_job(**training_job(bucket, name, mode="fail"))
    job = ended_training_job(sagemaker, name)
    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Failed"
    assert job["FailureReason"] == "AlgorithmError: no such column: amount, exit code: 3"
    assert job["SecondaryStatusTransitions"][-1]["StatusMessage"] == job["FailureReason"]
    assert "ModelArtifacts" not in job


def test_a_crash_without_a_failure_file_is_a_failure_too(sagemaker: Any, bucket: str) -> None:
    name = unique("crash")
    sagemaker.create_training_job(**training_job(bucket, name, mode="crash"))
    assert ended_training_job(sagemaker, name)["FailureReason"].startswith("AlgorithmError: , exit code: ")


def test_a_stopped_job_gets_sigterm_and_keeps_what_it_saved(sagemaker: Any, bucket: str) -> None:
    name = unique("stop")
    sagemaker.create_training_job(**training_job(bucket, name, mode="wait"))
    wait_for(
        lambda: sagemaker.describe_training_job(TrainingJobName=name)["SecondaryStatus"], lambda s: s == "Training"
    )
    wait_for_waiting(name)
    sagemaker.stop_training_job(TrainingJobName=name)
    assert sagemaker.describe_training_job(TrainingJobName=name)["TrainingJobStatus"] in ("Stopping", "Stopped")
    job = ended_training_job(sagemaker, name)
    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Stopped"
    assert archive_members(bucket, job["ModelArtifacts"]["S3ModelArtifacts"])["stopped"] == b"by SIGTERM"
    with pytest.raises(ClientError, match="rejected because the training job is in status Stopped"):
        sagemaker.stop_training_job(TrainingJobName=name)


def wait_for_waiting(name: str) -> None:
    def lines() -> list[str]:
        try:
            return log_lines(name)
        except (AssertionError, ClientError):
            return []

    wait_for(lines, lambda found: "waiting" in found)


def test_a_job_deaf_to_sigterm_is_killed_after_the_grace(sagemaker: Any, bucket: str) -> None:
    name = unique("deaf")
    sagemaker.create_training_job(**training_job(bucket, name, mode="wait-deaf"))
    wait_for_waiting(name)
    sagemaker.stop_training_job(TrainingJobName=name)
    assert ended_training_job(sagemaker, name)["TrainingJobStatus"] == "Stopped"


def test_a_job_that_runs_too_long_is_stopped(sagemaker: Any, bucket: str) -> None:
    name = unique("long")
    request = training_job(bucket, name, mode="wait", StoppingCondition={"MaxRuntimeInSeconds": 1})
    sagemaker.create_training_job(**request)
    job = ended_training_job(sagemaker, name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")


def test_a_channel_without_objects_fails_the_job_with_the_address(sagemaker: Any, bucket: str) -> None:
    name = unique("empty")
    uri = f"s3://{bucket}/nothing/here"
    sagemaker.create_training_job(**training_job(bucket, name, InputDataConfig=[channel("train", uri)]))
    reason = ended_training_job(sagemaker, name)["FailureReason"]
    assert "No S3 objects found" in reason
    assert uri in reason


def test_a_bucket_that_is_not_there_fails_the_job(sagemaker: Any, bucket: str) -> None:
    name = unique("bucket")
    uri = "s3://there-is-no-such-bucket/x"
    sagemaker.create_training_job(**training_job(bucket, name, InputDataConfig=[channel("train", uri)]))
    assert "NoSuchBucket" in ended_training_job(sagemaker, name)["FailureReason"]


def test_an_s3_key_cannot_leave_its_channel(sagemaker: Any, bucket: str) -> None:
    put(bucket, "evil/../../../../escaped.csv", "x")
    name = unique("evil")
    request = training_job(bucket, name, InputDataConfig=[channel("train", f"s3://{bucket}/evil/")])
    sagemaker.create_training_job(**request)
    assert "refused S3 key" in ended_training_job(sagemaker, name)["FailureReason"]


def test_an_own_entry_point_replaces_the_images(sagemaker: Any, bucket: str) -> None:
    name = unique("entry")
    script = 'echo "{\\"shell\\": \\"$0 $1\\"}" > "${SAGEMAKER_BASE_DIR:-/opt/ml}/model/report.json"'
    algorithm = {
        "TrainingImage": SCRIPT_IMAGE,
        "TrainingInputMode": "File",
        "ContainerEntrypoint": ["/bin/bash"],
        "ContainerArguments": ["-c", script, "zero", "one"],
    }
    sagemaker.create_training_job(**training_job(bucket, name, AlgorithmSpecification=algorithm))
    assert seen_by(bucket, ended_training_job(sagemaker, name)) == {"shell": "zero one"}


def test_a_name_is_used_once(sagemaker: Any, bucket: str) -> None:
    name = unique("twice")
    sagemaker.create_training_job(**training_job(bucket, name))
    with pytest.raises(sagemaker.exceptions.ResourceInUse, match="already exists"):
        sagemaker.create_training_job(**training_job(bucket, name))
    ended_training_job(sagemaker, name)
    sagemaker.delete_training_job(TrainingJobName=name)
    with pytest.raises(ClientError, match="Requested resource not found"):
        sagemaker.describe_training_job(TrainingJobName=name)


def algorithm(image: str = SCRIPT_IMAGE, regex: str = "(.)") -> dict[str, Any]:
    definitions = [{"Name": "loss", "Regex": regex}]
    return {"TrainingImage": image, "TrainingInputMode": "File", "MetricDefinitions": definitions}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"AlgorithmSpecification": algorithm(image="x/unknown:1")}, "Cannot find image"),
        ({"AlgorithmSpecification": algorithm(regex="(")}, "Invalid regular expression"),
        ({"AlgorithmSpecification": algorithm(regex="loss")}, "must capture the value"),
        ({"EnableManagedSpotTraining": True}, "MaxWaitTimeInSeconds"),
        ({"InputDataConfig": [channel("a", "s3://b/c"), channel("a", "s3://b/d")]}, "must be unique"),
    ],
)
def test_what_cannot_be_done_is_refused_at_creation(
    sagemaker: Any, bucket: str, change: dict[str, Any], message: str
) -> None:
    name = unique("refused")
    with pytest.raises(ClientError, match=message):
        sagemaker.create_training_job(**training_job(bucket, name, **change))
    with pytest.raises(ClientError, match="not found"):
        sagemaker.describe_training_job(TrainingJobName=name)


def test_jobs_can_be_filtered_by_status_before_paging(sagemaker: Any, bucket: str) -> None:
    prefix = unique("listed")
    for number, mode in enumerate(["fail", "report", "fail"]):
        sagemaker.create_training_job(**training_job(bucket, f"{prefix}-{number}", mode=mode))
    for number in range(3):
        ended_training_job(sagemaker, f"{prefix}-{number}")
    page = sagemaker.list_training_jobs(NameContains=prefix, StatusEquals="Failed", MaxResults=1, SortBy="Name")
    assert [job["TrainingJobName"] for job in page["TrainingJobSummaries"]] == [f"{prefix}-0"]
    following = sagemaker.list_training_jobs(
        NameContains=prefix, StatusEquals="Failed", MaxResults=1, SortBy="Name", NextToken=page["NextToken"]
    )
    assert [job["TrainingJobName"] for job in following["TrainingJobSummaries"]] == [f"{prefix}-2"]
    assert "NextToken" not in following
    assert json.dumps(page, default=str).count("HyperParameters") == 0
