"""Serverless variants: started when asked, gone when idle, and never more requests at a time than they may have."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import boto3
import pytest
from botocore.exceptions import ClientError

from ml_platform.core.settings import Settings
from tests.contract.hosting_account import Account, eventually, register_image
from tests.contract.test_hosting_metrics import metric


@pytest.fixture
def account(sagemaker_settings: Settings, stand_in: str, images_file: Path) -> Account:
    register_image(images_file)
    return Account(stand_in, sagemaker_settings.bucket)


def a_serverless_config(
    account: Account, most: int = 2, provisioned: int | None = None, memory: int = 2048, **environment: str
) -> str:
    model = account.a_model("serverless", **environment)
    sizes = {"MemorySizeInMB": memory, "MaxConcurrency": most}
    if provisioned is not None:
        sizes["ProvisionedConcurrency"] = provisioned
    variant = {"VariantName": "primary", "ModelName": model, "ServerlessConfig": sizes}
    account.sagemaker.create_endpoint_config(EndpointConfigName=model, ProductionVariants=[variant])
    return model


def skip(stand_in: str, seconds: int) -> None:
    """Let so many AWS seconds go by at once."""
    body = json.dumps({"advance_seconds": seconds}).encode()
    with urlopen(Request(f"{stand_in}/_stand-in/clock", body), timeout=10):  # noqa: S310 - http only
        pass


def starts(endpoint: str, word: str = "serving") -> list[str]:
    """Return the lines that the endpoint's servers wrote when they started, or when they ended."""
    logs, group = boto3.client("logs"), f"/aws/sagemaker/Endpoints/{endpoint}"
    try:
        lines = [event["message"] for event in logs.filter_log_events(logGroupName=group)["events"]]
    except logs.exceptions.ResourceNotFoundException:
        return []
    return [line for line in lines if line.startswith(word)]


@contextmanager
def busy(invoke: Callable[[], Any], times: int) -> Iterator[None]:
    threads = [threading.Thread(target=invoke) for _ in range(times)]
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.join()


def test_it_goes_when_idle_and_comes_back_when_asked(account: Account, stand_in: str) -> None:
    endpoint = account.an_endpoint(a_serverless_config(account))
    place = {"EndpointName": endpoint, "VariantName": "primary"}
    assert account.invoke(endpoint) == "serverless"
    assert metric(stand_in, "ModelSetupTime", "SampleCount", **place) is None
    assert starts(endpoint, "ending") == []
    skip(stand_in, 400)
    eventually(lambda: starts(endpoint, "ending"))
    assert account.describe(endpoint)["EndpointStatus"] == "InService"
    assert account.invoke(endpoint) == "serverless"
    assert metric(stand_in, "ModelSetupTime", "SampleCount", **place) == 1
    setup = metric(stand_in, "ModelSetupTime", "Minimum", **place)
    assert setup is not None
    assert 10_000 < setup < 20_000_000, "microseconds"


def test_requests_at_a_time_get_an_environment_each_up_to_the_maximum(account: Account, stand_in: str) -> None:
    endpoint = account.an_endpoint(a_serverless_config(account, most=2))
    with busy(lambda: account.invoke(endpoint, b"sleep 2"), 2):
        eventually(lambda: len(starts(endpoint)) == 2)

        def throttled() -> dict[str, Any] | None:
            try:
                account.invoke(endpoint)
            except ClientError as error:
                return dict(error.response)
            return None

        refused = eventually(throttled)
    assert refused is not None
    assert refused["Error"]["Code"] == "ThrottlingException"
    assert refused["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert account.invoke(endpoint) == "serverless"


def test_describe_tells_the_sizes_and_an_update_changes_them(account: Account) -> None:
    config = a_serverless_config(account, most=2)
    endpoint = account.an_endpoint(config)
    (variant,) = account.describe(endpoint)["ProductionVariants"]
    assert variant["CurrentServerlessConfig"] == {"MemorySizeInMB": 2048, "MaxConcurrency": 2}
    assert variant["CurrentInstanceCount"] == 0
    change = {"VariantName": "primary", "ServerlessUpdateConfig": {"MaxConcurrency": 5, "ProvisionedConcurrency": 2}}
    account.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=endpoint, DesiredWeightsAndCapacities=[change]
    )
    (variant,) = account.settled(endpoint)["ProductionVariants"]
    sizes = {"MemorySizeInMB": 2048, "MaxConcurrency": 5, "ProvisionedConcurrency": 2}
    assert variant["CurrentServerlessConfig"] == sizes
    eventually(lambda: len(starts(endpoint)) == 2)
    for change, message in (
        ({"DesiredInstanceCount": 2}, "DesiredInstanceCount cannot be given"),
        ({"ServerlessUpdateConfig": {"ProvisionedConcurrency": 6}}, "must be less than or equal to MaxConcurrency"),
    ):
        with pytest.raises(ClientError, match=message):
            account.sagemaker.update_endpoint_weights_and_capacities(
                EndpointName=endpoint, DesiredWeightsAndCapacities=[{"VariantName": "primary", **change}]
            )


def test_an_endpoint_moves_from_instances_to_serverless(account: Account) -> None:
    endpoint = account.an_endpoint(account.a_config("instances"))
    account.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=a_serverless_config(account))
    assert account.settled(endpoint)["ProductionVariants"][0]["CurrentServerlessConfig"]
    assert account.invoke(endpoint) == "serverless"


def test_a_model_that_does_not_start_fails_the_endpoint(account: Account) -> None:
    config = a_serverless_config(account, EXIT_AT_START="7")
    account.sagemaker.create_endpoint(EndpointName=config, EndpointConfigName=config)
    described = account.settled(config)
    assert described["EndpointStatus"] == "Failed"
    assert "did not pass the ping health check" in described["FailureReason"]


@pytest.mark.parametrize(
    ("changes", "more", "message"),
    [
        ({"MemorySizeInMB": 1500}, {}, "Invalid MemorySizeInMB 1500: valid values are in 1 GB increments"),
        ({"MemorySizeInMB": 7168}, {}, "Member must have value less than or equal to 6144"),
        ({"MaxConcurrency": 201}, {}, "Member must have value less than or equal to 200"),
        ({"ProvisionedConcurrency": 3}, {}, "must be less than or equal to MaxConcurrency"),
        (
            {},
            {
                "DataCaptureConfig": {
                    "InitialSamplingPercentage": 1,
                    "DestinationS3Uri": "s3://a/b",
                    "CaptureOptions": [{"CaptureMode": "Input"}],
                }
            },
            "DataCaptureConfig is not supported for serverless",
        ),
    ],
)
def test_sizes_that_aws_does_not_have_are_refused(
    account: Account, changes: dict[str, Any], more: dict[str, Any], message: str
) -> None:
    model = account.a_model("never")
    sizes = {"MemorySizeInMB": 1024, "MaxConcurrency": 2} | changes
    variant = {"VariantName": "primary", "ModelName": model, "ServerlessConfig": sizes}
    with pytest.raises(ClientError, match=message):
        account.sagemaker.create_endpoint_config(EndpointConfigName=model, ProductionVariants=[variant], **more)


def test_guardrails_are_refused_for_serverless_variants(account: Account) -> None:
    config = a_serverless_config(account)
    routing = {"TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}}
    with pytest.raises(ClientError, match="DeploymentConfig is not supported"):
        account.sagemaker.create_endpoint(
            EndpointName=config, EndpointConfigName=config, DeploymentConfig={"BlueGreenUpdatePolicy": routing}
        )
