"""Shadow variants get copies of requests; callers neither see their answers nor wait for them."""

import json
import time
from pathlib import Path
from typing import Any

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


def shadowed(account: Account, weight: float = 1.0, **environment: str) -> str:
    """Make an endpoint whose shadow variant misbehaves as its environment says."""
    model, shadow = account.a_model("production"), account.a_model("shadow", **environment)
    rules = {
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": f"s3://{account.bucket}/capture",
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"]},
    }
    account.sagemaker.create_endpoint_config(
        EndpointConfigName=model,
        ProductionVariants=[account.a_variant(model)],
        ShadowProductionVariants=[account.a_variant(shadow, VariantName="shadow", InitialVariantWeight=weight)],
        DataCaptureConfig=rules,
    )
    return account.an_endpoint(model)


def captured(account: Account, endpoint: str, variant: str) -> list[dict[str, Any]]:
    found = account.s3.list_objects_v2(Bucket=account.bucket, Prefix=f"capture/{endpoint}/{variant}/")
    bodies = [
        account.s3.get_object(Bucket=account.bucket, Key=each["Key"])["Body"].read()
        for each in found.get("Contents", [])
    ]
    return [json.loads(line) for body in bodies for line in body.splitlines()]


def test_a_shadow_variant_gets_copies_and_its_answers_are_captured(account: Account, stand_in: str) -> None:
    endpoint = shadowed(account)
    for number in range(10):
        assert account.invoke(endpoint, InferenceId=f"order-{number}") == "production"
    lines = eventually(lambda: (found := captured(account, endpoint, "shadow"))[9:] and found)
    assert {line["eventMetadata"]["inferenceId"] for line in lines} == {f"order-{number}" for number in range(10)}
    assert {line["captureData"]["endpointOutput"]["data"] for line in lines} == {"shadow"}
    assert metric(stand_in, "Invocations", "Sum", EndpointName=endpoint, VariantName="shadow") == 10
    described = account.describe(endpoint)
    assert [each["VariantName"] for each in described["ProductionVariants"]] == ["primary"]
    assert [each["VariantName"] for each in described["ShadowProductionVariants"]] == ["shadow"]
    with pytest.raises(ClientError, match=r"Variant shadow of endpoint .* not found"):
        account.invoke(endpoint, TargetVariant="shadow")


def test_a_slow_shadow_variant_misses_requests_and_no_caller_waits(account: Account, stand_in: str) -> None:
    endpoint = shadowed(account, ANSWER_SECONDS="2")
    began = time.monotonic()
    for _ in range(80):
        assert account.invoke(endpoint) == "production"
    assert time.monotonic() - began < 10, "80 answers of 2 s each were waited for"
    place = {"EndpointName": endpoint, "VariantName": "shadow"}
    cloudwatch: Any = boto3.client("cloudwatch", endpoint_url=stand_in)
    listed = eventually(lambda: cloudwatch.list_metrics(MetricName="ShadowRequestsDropped")["Metrics"])
    assert {each["Name"]: each["Value"] for each in listed[0]["Dimensions"]} == place
    account.sagemaker.delete_endpoint(EndpointName=endpoint)


def test_a_shadow_variant_that_fails_or_crashes_harms_nobody(account: Account, stand_in: str) -> None:
    endpoint = shadowed(account, weight=0.5, ANSWER_STATUS="500")
    for _ in range(60):
        assert account.invoke(endpoint) == "production"
    place = {"EndpointName": endpoint, "VariantName": "shadow"}
    errors = eventually(lambda: metric(stand_in, "Invocation5XXErrors", "Sum", **place))
    assert 10 <= errors <= 50, "half of the production variant's weight is half of its requests"
    assert metric(stand_in, "Invocation5XXErrors", "Sum", EndpointName=endpoint, VariantName="primary") == 0
