"""Where S3 and its neighbours are is one setting, for all of them or for one: nothing depends on who serves them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from ml_platform.aws import clients
from ml_platform.aws.objects import ObjectStore
from ml_platform.core.settings import Settings
from tests.conftest import free_port, start_ground_services, wait_for_port
from tests.contract.sagemaker_requests import ended_training_job, training_job, unique
from tests.contract.test_restart import running


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of other ground services than the test process's own."""
    port = free_port()
    process = start_ground_services(tmp_path_factory.mktemp("elsewhere"), port)
    wait_for_port(port, process)
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(10)


def keys(url: str, bucket: str) -> list[str] | None:
    s3: Any = boto3.client("s3", endpoint_url=url)
    try:
        return [one["Key"] for one in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
    except s3.exceptions.NoSuchBucket:
        return None


def test_one_service_alone_can_be_elsewhere(
    ground_services: str, elsewhere: str, images_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stand-in takes S3 from one place and keeps logs in another."""
    bucket, job = unique("bucket"), unique("job")
    boto3.client("s3", endpoint_url=elsewhere).create_bucket(Bucket=bucket)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", elsewhere)
    with running(tmp_path, images_file, ground_services) as (_, sagemaker):
        sagemaker.create_training_job(**training_job(bucket, job))
        assert ended_training_job(sagemaker, job)["TrainingJobStatus"] == "Completed"
    assert keys(elsewhere, bucket) == [f"jobs/{job}/output/model.tar.gz"]
    assert keys(ground_services, bucket) is None
    logs = boto3.client("logs", endpoint_url=ground_services)
    named = {"logGroupName": "/aws/sagemaker/TrainingJobs", "logStreamNamePrefix": job}
    assert logs.describe_log_streams(**named)["logStreams"]  # type: ignore[arg-type]


def test_the_platform_goes_where_the_address_says(
    settings: Settings, ground_services: str, elsewhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    boto3.client("s3", endpoint_url=elsewhere).create_bucket(Bucket=settings.bucket)
    monkeypatch.setenv("AWS_ENDPOINT_URL", elsewhere)
    clients.forget_clients()
    ObjectStore.from_settings(settings).put("here", b"1")
    assert keys(elsewhere, settings.bucket) == ["here"]
    assert keys(ground_services, settings.bucket) == []
