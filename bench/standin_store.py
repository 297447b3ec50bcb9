"""A full store for ``bench.standin``: what a team of some size has after a year, written as the stand-in keeps it."""

import time
from pathlib import Path
from typing import Any

from ml_platform.local_sagemaker.store import Store

ENDPOINTS, JOBS = 500, 10_000
ARN = "arn:aws:sagemaker:us-east-1:000000000000"
ROLE = "arn:aws:iam::000000000000:role/bench"


def fill(path: Path) -> None:
    """Add endpoints and ended jobs to a store that nobody uses now."""
    store = Store(path)
    now = time.time()
    for number in range(JOBS):
        store.insert("training-job", f"job-{number:05d}", _job(f"job-{number:05d}", number, now))
    for number in range(ENDPOINTS):
        store.insert("endpoint", f"endpoint-{number}", _endpoint(f"endpoint-{number}", now))
    store.close()


def _job(name: str, number: int, now: float) -> dict[str, Any]:
    status = "Failed" if number % 50 == 0 else "Stopped" if number % 70 == 0 else "Completed"
    steps = ("Starting", "Downloading", "Training", "Uploading", status)
    return {
        "TrainingJobName": name,
        "TrainingJobArn": f"{ARN}:training-job/{name}",
        "TrainingJobStatus": status,
        "SecondaryStatus": status,
        "RoleArn": ROLE,
        "AlgorithmSpecification": {"TrainingImage": "bench", "TrainingInputMode": "File"},
        "HyperParameters": {f"parameter_{key}": "0.0123456789" for key in range(20)},
        "OutputDataConfig": {"S3OutputPath": "s3://bench/jobs"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        "ModelArtifacts": {"S3ModelArtifacts": f"s3://bench/jobs/{name}/output/model.tar.gz"},
        "CreationTime": now,
        "TrainingStartTime": now,
        "TrainingEndTime": now,
        "LastModifiedTime": now,
        "SecondaryStatusTransitions": [
            {"Status": step, "StartTime": now, "EndTime": now, "StatusMessage": f"{step} the training job"}
            for step in steps
        ],
    }


def _endpoint(name: str, now: float) -> dict[str, Any]:
    # Failed, so that the stand-in brings no 500 servers back to life.
    return {
        "EndpointName": name,
        "EndpointArn": f"{ARN}:endpoint/{name}",
        "EndpointConfigName": name,
        "EndpointStatus": "Failed",
        "FailureReason": "The primary container for production variant all did not pass the ping health check.",
        "CreationTime": now,
        "LastModifiedTime": now,
        "Plan": {"config": name, "variants": [], "identity": name},
    }
