"""Data capture: what an endpoint was asked and answered is in S3, in SageMaker's layout."""

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest

from ml_platform.core.settings import Settings
from tests.contract.hosting_account import Account, eventually, register_image


@pytest.fixture
def account(sagemaker_settings: Settings, stand_in: str, images_file: Path) -> Account:
    register_image(images_file)
    return Account(stand_in, sagemaker_settings.bucket)


def capture(account: Account, *modes: str, percentage: int = 100, **types: list[str]) -> dict[str, Any]:
    return {
        "EnableCapture": True,
        "InitialSamplingPercentage": percentage,
        "DestinationS3Uri": f"s3://{account.bucket}/capture",
        "CaptureOptions": [{"CaptureMode": mode} for mode in modes],
        **({"CaptureContentTypeHeader": types} if types else {}),
    }


def captured(account: Account, count: int) -> dict[str, list[dict[str, Any]]]:
    """Return the captured lines by object key, once there are so many."""

    def lines() -> dict[str, list[dict[str, Any]]]:
        found = account.s3.list_objects_v2(Bucket=account.bucket, Prefix="capture/").get("Contents", [])
        bodies = {each["Key"]: account.s3.get_object(Bucket=account.bucket, Key=each["Key"]) for each in found}
        return {key: [json.loads(line) for line in body["Body"].iter_lines()] for key, body in bodies.items()}

    eventually(lambda: sum(map(len, lines().values())) >= count)
    return lines()


def test_captured_lines_have_sagemakers_shape_and_place(account: Account) -> None:
    rules = capture(account, "Input", "Output", CsvContentTypes=["text/csv"])
    endpoint = account.an_endpoint(account.a_config("0.1", DataCaptureConfig=rules))
    account.invoke(endpoint, b"1,2\n", InferenceId="order-42")
    ((key, (line,)),) = captured(account, 1).items()
    assert re.fullmatch(
        rf"capture/{endpoint}/primary/\d{{4}}/\d\d/\d\d/\d\d/\d\d-\d\d-\d{{3}}-[0-9a-f-]{{36}}\.jsonl", key
    )
    assert line["captureData"] == {
        "endpointInput": {"observedContentType": "text/csv", "mode": "INPUT", "data": "1,2\n", "encoding": "CSV"},
        "endpointOutput": {
            "observedContentType": "text/csv; charset=utf-8",
            "mode": "OUTPUT",
            "data": "0.1",
            "encoding": "CSV",
        },
    }
    assert line["eventMetadata"]["inferenceId"] == "order-42"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", line["eventMetadata"]["inferenceTime"])
    assert line["eventVersion"] == "0"
    summary = account.describe(endpoint)["DataCaptureConfig"]
    assert summary["CaptureStatus"] == "Started"
    assert summary["CurrentSamplingPercentage"] == 100


def test_unlisted_content_types_are_captured_in_base64(account: Account) -> None:
    rules = capture(account, "Input", JsonContentTypes=["application/json"])
    endpoint = account.an_endpoint(account.a_config("0.1", DataCaptureConfig=rules))
    account.invoke(endpoint, b"1,2\n")
    ((line,),) = captured(account, 1).values()
    assert list(line["captureData"]) == ["endpointInput"]
    side = line["captureData"]["endpointInput"]
    assert side["encoding"] == "BASE64"
    assert base64.b64decode(side["data"]) == b"1,2\n"
    assert "inferenceId" not in line["eventMetadata"]


def test_every_answered_request_is_captured_once_across_an_update(account: Account) -> None:
    rules = capture(account, "InputAndOutput", CsvContentTypes=["text/csv"])
    endpoint = account.an_endpoint(account.a_config("blue", DataCaptureConfig=rules))
    green = account.a_config("green", DataCaptureConfig=rules)
    with account.steady_traffic(endpoint) as traffic:
        account.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=green)
        account.settled(endpoint)
    lines = [line for lines in captured(account, len(traffic.answers)).values() for line in lines]
    answers = [line["captureData"]["endpointOutput"]["data"] for line in lines]
    assert sorted(answers) == sorted(traffic.answers)
    assert len({line["eventMetadata"]["eventId"] for line in lines}) == len(lines)


def test_a_sample_is_captured(account: Account) -> None:
    rules = capture(account, "Output", percentage=30, CsvContentTypes=["text/csv"])
    endpoint = account.an_endpoint(account.a_config("0.1", DataCaptureConfig=rules))
    for _ in range(200):
        account.invoke(endpoint)
    account.sagemaker.delete_endpoint(EndpointName=endpoint)
    assert 25 < sum(map(len, captured(account, 25).values())) < 110
