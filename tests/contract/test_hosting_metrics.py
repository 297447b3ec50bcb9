"""Endpoints tell CloudWatch what they did, in SageMaker's names, units and dimensions."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from ml_platform.core.settings import Settings
from tests.contract.hosting_account import Account, eventually, register_image
from tests.contract.sagemaker_requests import ended_training_job, training_job, unique


@pytest.fixture
def account(sagemaker_settings: Settings, stand_in: str, images_file: Path) -> Account:
    register_image(images_file)
    return Account(stand_in, sagemaker_settings.bucket)


def metric(stand_in: str, name: str, stat: str, *, namespace: str = "AWS/SageMaker", **dimensions: str) -> float | None:
    cloudwatch: Any = boto3.client("cloudwatch", endpoint_url=stand_in)
    now = datetime.now(UTC)
    points = cloudwatch.get_metric_statistics(
        Namespace=namespace,
        MetricName=name,
        Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
        StartTime=now - timedelta(hours=1),
        EndTime=now + timedelta(minutes=1),
        Period=86_400,
        **({"Statistics": [stat]} if stat.isalpha() else {"ExtendedStatistics": [stat]}),
    )["Datapoints"]
    assert len(points) <= 1
    return next((point.get(stat, point.get("ExtendedStatistics", {}).get(stat)) for point in points), None)


def test_an_endpoint_counts_and_times_its_invocations(account: Account, stand_in: str) -> None:
    endpoint = account.an_endpoint(account.a_config("first"))
    for body in (b"1,2", b"1,2", b"sleep 0.2", b"status 400", b"status 503"):
        with suppress(ClientError):
            account.invoke(endpoint, body)
    place = {"EndpointName": endpoint, "VariantName": "primary"}
    assert metric(stand_in, "Invocations", "Sum", **place) == 5
    assert metric(stand_in, "InvocationsPerInstance", "Sum", **place) == 5
    assert metric(stand_in, "Invocation4XXErrors", "Sum", **place) == 1
    assert metric(stand_in, "Invocation5XXErrors", "Average", **place) == 0.2
    assert metric(stand_in, "InvocationModelErrors", "Sum", **place) == 2
    slowest = metric(stand_in, "ModelLatency", "p100", **place)
    median = metric(stand_in, "ModelLatency", "p50", **place)
    assert slowest is not None
    assert median is not None
    assert median < 200_000 <= slowest < 2_000_000, "microseconds"
    overhead = metric(stand_in, "OverheadLatency", "Average", **place)
    assert overhead is not None
    assert 0 <= overhead < 200_000
    assert metric(stand_in, "Invocations", "Sum", EndpointName=endpoint) is None


def test_each_instance_has_its_share(account: Account, stand_in: str) -> None:
    model = account.a_model("two")
    account.sagemaker.create_endpoint_config(
        EndpointConfigName=model, ProductionVariants=[account.a_variant(model, InitialInstanceCount=2)]
    )
    endpoint = account.an_endpoint(model)
    for _ in range(4):
        account.invoke(endpoint)
    place = {"EndpointName": endpoint, "VariantName": "primary"}
    assert metric(stand_in, "InvocationsPerInstance", "Sum", **place) == 2


def test_an_instance_tells_what_it_uses_of_processor_and_memory(account: Account, stand_in: str) -> None:
    endpoint = account.an_endpoint(account.a_config("first"))
    place = {"EndpointName": endpoint, "VariantName": "primary"}

    def used(name: str) -> float | None:
        return metric(stand_in, name, "Maximum", namespace="/aws/sagemaker/Endpoints", **place)

    memory = eventually(lambda: used("MemoryUtilization"))
    assert memory is not None
    assert 0.05 < memory < 5, "some MiB of an ml.m5.large's 8 GiB"

    def busy() -> bool:
        account.invoke(endpoint, b"burn")
        return (used("CPUUtilization") or 0) > 20

    eventually(busy)


def test_an_instance_of_a_job_tells_what_it_uses(account: Account, stand_in: str) -> None:
    name = unique("usage")
    request = training_job(account.bucket, name)
    script = (
        "import itertools, os, signal; signal.signal(15, lambda *_: os._exit(0)); any(0 for _ in itertools.count())"
    )
    request["AlgorithmSpecification"]["ContainerEntrypoint"] = ["python3", "-S", "-c", script]
    account.sagemaker.create_training_job(**request)

    def used(metric_name: str) -> float:
        found = metric(stand_in, metric_name, "Maximum", namespace="/aws/sagemaker/TrainingJobs", Host=f"{name}/algo-1")
        return found or 0

    eventually(lambda: used("CPUUtilization") > 20)
    assert used("CPUUtilization") <= 110, "one busy loop is one core"
    assert 0 < used("MemoryUtilization") < 5
    account.sagemaker.stop_training_job(TrainingJobName=name)
    assert ended_training_job(account.sagemaker, name)["TrainingJobStatus"] == "Stopped"
