"""Streamed invocations: each part reaches the caller when it exists, and a stream that breaks says so."""

import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EventStreamError

from ml_platform.core.settings import Settings
from tests.contract.hosting_account import Account, eventually, register_image
from tests.contract.test_hosting_metrics import metric


@pytest.fixture
def account(sagemaker_settings: Settings, stand_in: str, images_file: Path) -> Account:
    register_image(images_file)
    return Account(stand_in, sagemaker_settings.bucket)


def stream(account: Account, endpoint: str, body: bytes, **options: Any) -> Any:
    return account.runtime.invoke_endpoint_with_response_stream(
        EndpointName=endpoint, Body=body, ContentType="text/csv", **options
    )


def test_each_part_arrives_before_the_next_one_exists(account: Account, stand_in: str) -> None:
    endpoint = account.an_endpoint(account.a_config("first", environment={"PART_SECONDS": "0.2"}))
    answer = stream(account, endpoint, b"stream 4", CustomAttributes="trace=7", InferenceId="order-42")
    assert answer["ContentType"] == "text/plain"
    assert answer["InvokedProductionVariant"] == "primary"
    assert answer["CustomAttributes"] == "trace=7"
    began, arrived, text = time.monotonic(), list[float](), b""
    for event in answer["Body"]:
        text += event["PayloadPart"]["Bytes"]
        arrived.append(time.monotonic() - began)
    assert text == b"part 0;part 1;part 2;part 3;"
    assert arrived[0] < arrived[-1] - 0.4, "the first part waited for the last"
    place = {"EndpointName": endpoint, "VariantName": "primary"}
    first = metric(stand_in, "FirstChunkLatency", "Maximum", **place)
    whole = metric(stand_in, "ModelLatency", "Maximum", **place)
    assert first is not None
    assert whole is not None
    assert first < whole - 400_000, "microseconds"
    assert metric(stand_in, "MidStreamErrors", "Sum", **place) == 0
    assert metric(stand_in, "Invocations", "Sum", **place) == 1


def test_an_answer_that_is_not_streamed_is_one_part(account: Account) -> None:
    endpoint = account.an_endpoint(account.a_config("whole"))
    (event,) = stream(account, endpoint, b"1,2")["Body"]
    assert event == {"PayloadPart": {"Bytes": b"whole"}}


def test_a_stream_that_breaks_ends_with_an_error(account: Account, stand_in: str) -> None:
    endpoint = account.an_endpoint(account.a_config("first"))
    # What breaks is not closed by reading it to its end.
    with closing(stream(account, endpoint, b"stream 2 break")["Body"]) as body:
        events = iter(body)
        text = b""
        while len(text) < len(b"part 0;part 1;"):
            text += next(events)["PayloadPart"]["Bytes"]
        assert text == b"part 0;part 1;"
        with pytest.raises(EventStreamError) as caught:
            next(events)
    error = caught.value.response["Error"]
    assert error["Code"] == "ModelStreamError"
    assert "connection to the model primary was lost" in error["Message"]
    place = {"EndpointName": endpoint, "VariantName": "primary"}
    assert metric(stand_in, "MidStreamErrors", "Sum", **place) == 1


def test_an_error_before_the_first_part_is_an_ordinary_one(account: Account) -> None:
    endpoint = account.an_endpoint(account.a_config("first"))
    with pytest.raises(ClientError) as caught:
        stream(account, endpoint, b"status 503")
    assert caught.value.response["Error"]["Code"] == "ModelError"
    assert caught.value.response["OriginalStatusCode"] == 503
    with pytest.raises(ClientError, match="Variant absent"):
        stream(account, endpoint, b"1", TargetVariant="absent")
    with pytest.raises(ClientError, match="Endpoint none of account 000000000000 not found"):
        stream(account, "none", b"1")


def test_a_caller_that_hangs_up_frees_the_server(account: Account) -> None:
    endpoint = account.an_endpoint(account.a_config("first", environment={"PART_SECONDS": "0.2"}))
    answer = stream(account, endpoint, b"stream 1000")
    next(iter(answer["Body"]))
    answer["Body"].close()
    account.sagemaker.delete_endpoint(EndpointName=endpoint)
    # Deletion finishes the requests in flight: this one would take 200 s.
    eventually(lambda: not account.sagemaker.list_endpoints(NameContains=endpoint)["Endpoints"])


def test_a_streamed_exchange_is_captured_whole(account: Account) -> None:
    rules = {
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": f"s3://{account.bucket}/capture",
        "CaptureOptions": [{"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {"CsvContentTypes": ["text/plain"]},
    }
    endpoint = account.an_endpoint(account.a_config("first", DataCaptureConfig=rules))
    list(stream(account, endpoint, b"stream 2")["Body"])

    def captured() -> bytes:
        found = account.s3.list_objects_v2(Bucket=account.bucket, Prefix="capture/").get("Contents", [])
        return b"".join(account.s3.get_object(Bucket=account.bucket, Key=each["Key"])["Body"].read() for each in found)

    assert b'"data":"part 0;part 1;"' in eventually(captured)
