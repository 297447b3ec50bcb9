"""Valid requests for the contract tests, and waiting without fixed sleeps."""

import io
import json
import tarfile
import time
import uuid
from collections.abc import Callable
from typing import Any

import boto3

REGISTRY = "000000000000.dkr.ecr.us-east-1.amazonaws.com"
SCRIPT_IMAGE = f"{REGISTRY}/test-script:latest"
SERVER_IMAGE = f"{REGISTRY}/test-server:latest"
ROLE = "arn:aws:iam::000000000000:role/sagemaker"


def unique(prefix: str) -> str:
    """Return a name that no other test uses."""
    return f"{prefix}-{uuid.uuid4().hex[:10]}"


def training_job(bucket: str, name: str, mode: str = "report", **overrides: Any) -> dict[str, Any]:
    """A request that AWS would accept, for the script image."""
    return {
        "TrainingJobName": name,
        "RoleArn": ROLE,
        "AlgorithmSpecification": {"TrainingImage": SCRIPT_IMAGE, "TrainingInputMode": "File"},
        "HyperParameters": {"mode": mode},
        "OutputDataConfig": {"S3OutputPath": f"s3://{bucket}/jobs"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    } | overrides


def wait_for(look: Callable[[], Any], until: Callable[[Any], bool], seconds: float = 20) -> Any:
    """Look again and again until the value satisfies; fail with the last one when it never does."""
    deadline = time.monotonic() + seconds
    while not until(value := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s; last seen: {value}")
        time.sleep(0.02)
    return value


def ended_training_job(sagemaker: Any, name: str) -> dict[str, Any]:
    """Return the description of a job once it has ended."""
    return wait_for(
        lambda: sagemaker.describe_training_job(TrainingJobName=name),
        lambda job: job["TrainingJobStatus"] not in ("InProgress", "Stopping"),
    )


def archive_members(bucket: str, uri: str) -> dict[str, bytes]:
    """Return the files of a ``.tar.gz`` in S3."""
    body = boto3.client("s3").get_object(Bucket=bucket, Key=uri.removeprefix(f"s3://{bucket}/"))["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}  # type: ignore[union-attr]


def archive(files: dict[str, str]) -> bytes:
    """Return a ``.tar.gz`` of text files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


def seen_by(bucket: str, job: dict[str, Any]) -> dict[str, Any]:
    """Return what the script image reported from inside the container."""
    uri = job["ModelArtifacts"]["S3ModelArtifacts"]
    return dict(json.loads(archive_members(bucket, uri)["report.json"]))
