"""Checkpoints, spot capacity, retries and warm pools: what a training job survives, and what it is billed."""

import json
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from ml_platform.core.settings import Settings
from tests.contract.sagemaker_requests import (
    SCRIPT_IMAGE,
    archive_members,
    ended_training_job,
    training_job,
    unique,
    wait_for,
)
from tests.contract.test_hosting_serverless import skip
from tests.contract.test_restart import containers_of, running

SCRIPT = str(Path(__file__).parent / "images" / "distributed.py")


@pytest.fixture
def sagemaker(sagemaker_settings: Settings) -> Any:
    return boto3.client("sagemaker")


@pytest.fixture
def bucket(sagemaker_settings: Settings) -> str:
    return sagemaker_settings.bucket


@pytest.fixture
def add_fault(stand_in: str) -> Callable[..., None]:
    """Let something go wrong in the stand-in."""

    def add(kind: str, target: str, times: int | None = 1, **parameters: Any) -> None:
        fault = {"kind": kind, "target": target, "times": times, "parameters": parameters}
        request = urllib.request.Request(f"{stand_in}/_stand-in/faults", json.dumps(fault).encode())  # noqa: S310 - http
        urllib.request.urlopen(request).close()  # noqa: S310

    return add


def counting(bucket: str, name: str, steps: int, **overrides: Any) -> dict[str, Any]:
    algorithm = {
        "TrainingImage": SCRIPT_IMAGE,
        "TrainingInputMode": "File",
        "ContainerEntrypoint": [sys.executable, SCRIPT],
        "MetricDefinitions": [{"Name": "steps", "Regex": "steps=([0-9]+);"}],
    }
    checkpoints = {"S3Uri": f"s3://{bucket}/checkpoints/{name}"}
    return (
        training_job(
            bucket,
            name,
            AlgorithmSpecification=algorithm,
            HyperParameters={"mode": "count", "steps": str(steps)},
            CheckpointConfig=checkpoints,
        )
        | overrides
    )


def on_spot(longest_wait: int = 60, longest_run: int = 60) -> dict[str, Any]:
    condition = {"MaxRuntimeInSeconds": longest_run, "MaxWaitTimeInSeconds": longest_wait}
    return {"EnableManagedSpotTraining": True, "StoppingCondition": condition}


def text(bucket: str, key: str) -> str | None:
    s3 = boto3.client("s3")
    if not s3.list_objects_v2(Bucket=bucket, Prefix=key).get("Contents"):
        return None
    return s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode()


def history(bucket: str, job: dict[str, Any]) -> list[str]:
    members = archive_members(bucket, job["ModelArtifacts"]["S3ModelArtifacts"])
    return members["history"].decode().splitlines()


def phases(job: dict[str, Any]) -> list[str]:
    return [transition["Status"] for transition in job["SecondaryStatusTransitions"]]


def test_checkpoints_reach_s3_while_the_job_runs_and_the_next_job_begins_with_them(sagemaker: Any, bucket: str) -> None:
    first, second = unique("first"), unique("second")
    sagemaker.create_training_job(**counting(bucket, first, 10_000))
    step = wait_for(lambda: text(bucket, f"checkpoints/{first}/step"), lambda value: value is not None)
    assert sagemaker.describe_training_job(TrainingJobName=first)["SecondaryStatus"] == "Training"
    sagemaker.stop_training_job(TrainingJobName=first)
    assert ended_training_job(sagemaker, first)["TrainingJobStatus"] == "Stopped"
    last = int(text(bucket, f"checkpoints/{first}/step") or 0)
    assert last >= int(step)
    config = {"S3Uri": f"s3://{bucket}/checkpoints/{first}/", "LocalPath": "/opt/ml/kept"}
    request = counting(bucket, second, last + 1, CheckpointConfig=config)
    request["HyperParameters"]["checkpoints"] = "kept"
    sagemaker.create_training_job(**request)
    job = ended_training_job(sagemaker, second)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert history(bucket, job) == ["start at 0", "SIGTERM", f"start at {last}"]


def test_an_interrupted_spot_job_resumes_from_its_checkpoint_and_is_billed_less(
    sagemaker: Any, bucket: str, add_fault: Any
) -> None:
    name = unique("spot")
    add_fault("spot-interruption", name, seconds=0.6)
    sagemaker.create_training_job(**counting(bucket, name, 60, **on_spot()))
    job = ended_training_job(sagemaker, name)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    attempt = ["Starting", "Downloading", "Training"]
    assert phases(job) == [*attempt, "Interrupted", *attempt, "Uploading", "Completed"]
    began, ended, resumed = history(bucket, job)
    assert (began, ended) == ("start at 0", "SIGTERM")
    assert int(resumed.removeprefix("start at ")) > 0
    assert job["BillableTimeInSeconds"] < job["TrainingTimeInSeconds"]
    assert [metric["Value"] for metric in job["FinalMetricDataList"]] == [60.0]


def test_without_capacity_a_job_fails_and_a_spot_job_waits(sagemaker: Any, bucket: str, add_fault: Any) -> None:
    name, patient, late = unique("none"), unique("patient"), unique("late")
    for target, times in ((name, 1), (patient, 2), (late, None)):
        add_fault("capacity", target, times)
    sagemaker.create_training_job(**counting(bucket, name, 1))
    sagemaker.create_training_job(**counting(bucket, patient, 1, **on_spot()))
    sagemaker.create_training_job(**counting(bucket, late, 1, **on_spot(longest_wait=1, longest_run=1)))
    job = ended_training_job(sagemaker, name)
    assert (job["TrainingJobStatus"], job["FailureReason"][:14]) == ("Failed", "CapacityError:")
    assert "BillableTimeInSeconds" not in job
    assert ended_training_job(sagemaker, patient)["TrainingJobStatus"] == "Completed"
    job = ended_training_job(sagemaker, late)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxWaitTimeExceeded")


def test_a_warm_pool_starts_the_next_job_at_once_and_ends_in_time(sagemaker: Any, bucket: str, add_fault: Any) -> None:
    first, second, other = unique("warm"), unique("warm"), unique("warm")

    def warm(name: str, seconds: int, instance: str = "ml.m5.large") -> dict[str, Any]:
        resources = {"InstanceType": instance, "InstanceCount": 1, "VolumeSizeInGB": 5}
        resources["KeepAlivePeriodInSeconds"] = seconds
        return training_job(bucket, name, ResourceConfig=resources)

    def pool(name: str) -> dict[str, Any]:
        return sagemaker.describe_training_job(TrainingJobName=name).get("WarmPoolStatus", {})

    sagemaker.create_training_job(**warm(first, 3600))
    ended_training_job(sagemaker, first)
    assert pool(first)["Status"] == "Available"
    listed = sagemaker.list_training_jobs(WarmPoolStatusEquals="Available", NameContains=first)
    assert [job["TrainingJobName"] for job in listed["TrainingJobSummaries"]] == [first]
    add_fault("slow-start", second, seconds=600)
    sagemaker.create_training_job(**warm(second, 10))
    sagemaker.create_training_job(**warm(other, 0, "ml.m5.xlarge"))
    ended_training_job(sagemaker, second)
    assert pool(first).items() >= {"Status": "Reused", "ReusedByJob": second}.items()
    wait_for(lambda: pool(second)["Status"], lambda status: status == "Terminated")
    ended_training_job(sagemaker, other)
    assert pool(other)["Status"] == "Terminated"


def test_a_step_of_the_clock_ends_a_warm_pool(sagemaker: Any, bucket: str, stand_in: str) -> None:
    name = unique("warm")
    resources = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5}
    resources["KeepAlivePeriodInSeconds"] = 3600
    sagemaker.create_training_job(**training_job(bucket, name, ResourceConfig=resources))
    ended_training_job(sagemaker, name)

    def status() -> str:
        return str(sagemaker.describe_training_job(TrainingJobName=name)["WarmPoolStatus"]["Status"])

    assert status() == "Available"
    skip(stand_in, 3600)
    wait_for(status, lambda told: told == "Terminated")


@pytest.mark.parametrize("stage", ["Starting", "Training"])
def test_a_killed_stand_in_resumes_spot_jobs_and_those_with_retries(
    settings: Settings, images_file: Path, ground_services: str, tmp_path: Path, stage: str
) -> None:
    home, bucket = tmp_path / "stand-in", settings.bucket
    spot, retried, lost = unique("spot"), unique("retried"), unique("lost")
    requests = [
        counting(bucket, spot, 150, **on_spot()),
        counting(bucket, retried, 150, RetryStrategy={"MaximumRetryAttempts": 1}),
        counting(bucket, lost, 150),
    ]
    faults = tmp_path / "faults.json"
    faults.write_text('[{"kind": "slow-start", "target": "*", "times": 3, "parameters": {"seconds": 600}}]')
    slow = ["--faults", str(faults)] if stage == "Starting" else []
    with running(home, images_file, ground_services, *slow) as (process, sagemaker):
        for request in requests:
            sagemaker.create_training_job(**request)
        for request in requests:
            wait_for(
                lambda name=request["TrainingJobName"]: sagemaker.describe_training_job(TrainingJobName=name),
                lambda job: job["SecondaryStatus"] == stage,
            )
        if stage == "Training":
            wait_for(lambda: text(bucket, f"checkpoints/{spot}/step"), lambda value: value is not None)
        process.kill()
        process.wait()
    wait_for(lambda: containers_of(home), lambda found: not found)
    with running(home, images_file, ground_services) as (_, sagemaker):
        job = ended_training_job(sagemaker, spot)
        assert (job["TrainingJobStatus"], "Interrupted" in phases(job)) == ("Completed", True)
        if stage == "Training":
            assert int(history(bucket, job)[-1].removeprefix("start at ")) > 0
        job = ended_training_job(sagemaker, retried)
        assert (job["TrainingJobStatus"], "Restarting" in phases(job)) == ("Completed", True)
        assert ended_training_job(sagemaker, lost)["FailureReason"].startswith("InternalServerError")
    assert not containers_of(home)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 90}}, "only for Enable"),
        (on_spot(longest_wait=59), "greater than or equal"),
        ({"CheckpointConfig": {"S3Uri": "s3://b/c", "LocalPath": "/opt/ml/model"}}, "LocalPath"),
        ({"CheckpointConfig": {"S3Uri": "s3://b/c", "LocalPath": "/opt/ml/../../etc"}}, "LocalPath"),
        ({"ResourceConfig": {"InstanceCount": 1, "VolumeSizeInGB": 1}}, "InstanceType is required"),
    ],
)
def test_what_makes_no_sense_is_refused(sagemaker: Any, bucket: str, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ClientError, match=message):
        sagemaker.create_training_job(**counting(bucket, unique("refused"), 1, **change))
