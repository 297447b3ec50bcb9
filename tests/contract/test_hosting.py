"""Endpoints come to life, answer, refuse and go, as they do on AWS."""

import json
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from ml_platform.core.settings import Settings
from tests.contract.hosting_account import Account, eventually, register_image


@pytest.fixture
def account(sagemaker_settings: Settings, stand_in: str, images_file: Path) -> Account:
    register_image(images_file)
    return Account(stand_in, sagemaker_settings.bucket)


def test_an_endpoint_answers_with_its_model_until_it_is_deleted(account: Account) -> None:
    config = account.a_config("first")
    endpoint = account.an_endpoint(config)
    answer = account.runtime.invoke_endpoint(EndpointName=endpoint, Body=b"1,2", ContentType="text/csv")
    assert answer["Body"].read() == b"first"
    assert answer["InvokedProductionVariant"] == "primary"
    assert answer["ContentType"] == "text/csv; charset=utf-8"
    account.sagemaker.delete_endpoint(EndpointName=endpoint)
    with pytest.raises(ClientError, match=f"Endpoint {endpoint} of account 000000000000 not found"):
        account.invoke(endpoint)
    eventually(lambda: not account.sagemaker.list_endpoints(NameContains=endpoint)["Endpoints"])
    with pytest.raises(ClientError, match=f'Could not find endpoint "arn:aws:sagemaker:.*endpoint/{endpoint}"'):
        account.describe(endpoint)


def test_describe_tells_what_serves(account: Account) -> None:
    config = account.a_config("first")
    described = account.describe(account.an_endpoint(config))
    assert described["EndpointConfigName"] == config
    assert described["LastModifiedTime"] >= described["CreationTime"]
    (variant,) = described["ProductionVariants"]
    assert variant["CurrentWeight"] == variant["DesiredWeight"] == 1.0
    assert variant["CurrentInstanceCount"] == variant["DesiredInstanceCount"] == 1


def test_the_server_log_is_in_cloudwatch(account: Account, sagemaker_settings: Settings) -> None:
    import boto3

    endpoint = account.an_endpoint(account.a_config("first"))
    logs, group = boto3.client("logs"), f"/aws/sagemaker/Endpoints/{endpoint}"

    def messages() -> list[str]:
        try:
            return [event["message"] for event in logs.filter_log_events(logGroupName=group)["events"]]
        except logs.exceptions.ResourceNotFoundException:
            return []

    (message,) = eventually(messages)
    assert message.startswith("serving first as process")
    (stream,) = logs.describe_log_streams(logGroupName=group)["logStreams"]
    assert stream["logStreamName"].startswith("primary/i-")


def test_a_model_that_does_not_start_fails_the_endpoint_with_a_reason(account: Account) -> None:
    config = account.a_config("never", environment={"EXIT_AT_START": "7"})
    account.sagemaker.create_endpoint(EndpointName=f"e-{config}", EndpointConfigName=config)
    described = account.settled(f"e-{config}")
    assert described["EndpointStatus"] == "Failed"
    assert "variant primary did not pass the ping health check" in described["FailureReason"]
    assert "exit code 7" in described["FailureReason"]
    account.sagemaker.delete_endpoint(EndpointName=f"e-{config}")


def test_a_missing_or_broken_archive_fails_the_endpoint_with_a_reason(account: Account) -> None:
    for change, reason in (
        (account.s3.delete_object, "Failed to download model data"),
        (lambda **place: account.s3.put_object(**place, Body=b"no archive"), "Failed to extract model data"),
    ):
        config = account.a_config("never")
        change(Bucket=account.bucket, Key=f"models/{config}.tar.gz")
        account.sagemaker.create_endpoint(EndpointName=config, EndpointConfigName=config)
        described = account.settled(config)
        assert described["EndpointStatus"] == "Failed"
        assert reason in described["FailureReason"]


@pytest.mark.parametrize(("status", "side"), [(400, "client"), (503, "server")])
def test_a_model_error_carries_the_original_status(account: Account, status: int, side: str) -> None:
    endpoint = account.an_endpoint(account.a_config("first"))
    with pytest.raises(ClientError) as caught:
        account.invoke(endpoint, f"status {status}".encode())
    answer = caught.value.response
    assert answer["Error"]["Code"] == "ModelError"
    assert answer["Error"]["Message"].startswith(f'Received {side} error ({status}) from primary with message "no such')
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert answer["OriginalStatusCode"] == status
    assert answer["OriginalMessage"] == "no such column"
    assert answer["LogStreamArn"].endswith(f":log-group:/aws/sagemaker/Endpoints/{endpoint}")


def test_only_the_headers_of_the_api_reach_the_model(account: Account) -> None:
    endpoint = account.an_endpoint(account.a_config("first"))
    answer = account.runtime.invoke_endpoint(
        EndpointName=endpoint,
        Body=b"headers",
        ContentType="text/csv",
        Accept="application/json",
        CustomAttributes="trace=7",
        InferenceId="order-42",
    )
    assert answer["CustomAttributes"] == "trace=7"
    headers = json.loads(answer["Body"].read())
    assert set(headers) == {
        "host",
        "content-length",
        "content-type",
        "accept",
        "x-amzn-sagemaker-custom-attributes",
        "x-amzn-sagemaker-inference-id",
    }
    assert headers["x-amzn-sagemaker-inference-id"] == "order-42"


def test_weights_share_the_traffic_and_a_target_overrides_them(account: Account) -> None:
    config = f"c-{account.a_model('unused')}"
    variants = [
        account.a_variant(account.a_model(name), VariantName=name, InitialVariantWeight=weight)
        for name, weight in (("heavy", 3), ("light", 1))
    ]
    account.sagemaker.create_endpoint_config(EndpointConfigName=config, ProductionVariants=variants)
    endpoint = account.an_endpoint(config)
    answers = [account.invoke(endpoint) for _ in range(200)]
    assert 20 < answers.count("light") < 90
    assert account.invoke(endpoint, TargetVariant="light") == "light"
    with pytest.raises(ClientError, match="Variant absent"):
        account.invoke(endpoint, TargetVariant="absent")
    account.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=endpoint,
        DesiredWeightsAndCapacities=[
            {"VariantName": "heavy", "DesiredWeight": 0},
            {"VariantName": "light", "DesiredInstanceCount": 2},
        ],
    )
    described = {each["VariantName"]: each for each in account.settled(endpoint)["ProductionVariants"]}
    assert described["heavy"]["CurrentWeight"] == 0
    assert described["light"]["CurrentInstanceCount"] == 2
    assert {account.invoke(endpoint) for _ in range(30)} == {"light"}


def test_names_that_are_taken_or_unknown_are_refused_in_awss_words(account: Account) -> None:
    config = account.a_config("first")
    endpoint = account.an_endpoint(config)
    sagemaker = account.sagemaker
    refused = [
        (
            lambda: sagemaker.create_endpoint(EndpointName=endpoint, EndpointConfigName=config),
            f'Cannot create already existing endpoint "arn:aws:sagemaker:us-east-1:000000000000:endpoint/{endpoint}".',
        ),
        (
            lambda: sagemaker.create_endpoint_config(
                EndpointConfigName=config, ProductionVariants=[account.a_variant(config)]
            ),
            "Cannot create already existing endpoint configuration",
        ),
        (
            lambda: sagemaker.create_endpoint_config(
                EndpointConfigName="new", ProductionVariants=[account.a_variant("absent")]
            ),
            'Could not find model "arn:aws:sagemaker:us-east-1:000000000000:model/absent".',
        ),
        (
            lambda: sagemaker.create_endpoint(EndpointName="new", EndpointConfigName="absent"),
            'Could not find endpoint configuration "',
        ),
        (lambda: sagemaker.delete_endpoint_config(EndpointConfigName="absent"), "Could not find endpoint config"),
        (
            lambda: sagemaker.update_endpoint(EndpointName="absent", EndpointConfigName=config),
            "Could not find endpoint",
        ),
        (lambda: sagemaker.delete_endpoint(EndpointName="absent"), "Could not find endpoint"),
    ]
    for call, message in refused:
        with pytest.raises(ClientError) as caught:
            call()
        assert caught.value.response["Error"]["Code"] == "ValidationException"
        assert message in caught.value.response["Error"]["Message"]


def test_what_the_stand_in_does_not_run_is_stored_and_refused_on_deployment(account: Account) -> None:
    model = account.a_model("first")
    scaling = {"Status": "ENABLED", "MinInstanceCount": 1, "MaxInstanceCount": 2}
    variant = account.a_variant(model, ManagedInstanceScaling=scaling)
    account.sagemaker.create_endpoint_config(EndpointConfigName=model, ProductionVariants=[variant])
    (stored,) = account.sagemaker.describe_endpoint_config(EndpointConfigName=model)["ProductionVariants"]
    assert stored["ManagedInstanceScaling"] == scaling
    with pytest.raises(ClientError, match="does not implement managed instance scaling"):
        account.sagemaker.create_endpoint(EndpointName=model, EndpointConfigName=model)


def test_lists_are_filtered_and_paged(account: Account) -> None:
    config = account.a_config("first")
    endpoint = account.an_endpoint(config)
    (summary,) = account.sagemaker.list_endpoints(NameContains=endpoint, StatusEquals="InService")["Endpoints"]
    assert summary["EndpointName"] == endpoint
    assert not account.sagemaker.list_endpoints(NameContains=endpoint, StatusEquals="Failed")["Endpoints"]
    pages = account.sagemaker.get_paginator("list_endpoint_configs").paginate(PaginationConfig={"PageSize": 1})
    names = [each["EndpointConfigName"] for page in pages for each in page["EndpointConfigs"]]
    assert config in names
    account.sagemaker.delete_endpoint_config(EndpointConfigName=config)
    assert account.invoke(endpoint) == "first"
