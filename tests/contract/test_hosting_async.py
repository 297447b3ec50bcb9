"""Asynchronous invocations: accepted at once, answered in S3 and told by SNS, whatever happens meanwhile."""

import base64
import json
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.exceptions import ClientError

from ml_platform.core.settings import Settings
from tests.contract.hosting_account import Account, eventually, register_image
from tests.contract.test_hosting_metrics import metric
from tests.contract.test_hosting_restart import Restartable


@pytest.fixture
def account(sagemaker_settings: Settings, stand_in: str, images_file: Path) -> Account:
    register_image(images_file)
    return Account(stand_in, sagemaker_settings.bucket)


class Inbox:
    """A topic, and a queue that gets what the topic is sent."""

    def __init__(self) -> None:
        self.subjects: list[str] = []
        name = f"inbox-{uuid.uuid4().hex[:8]}"
        sns, self._sqs = boto3.client("sns"), boto3.client("sqs")
        self.topic: str = sns.create_topic(Name=name)["TopicArn"]
        self._queue = self._sqs.create_queue(QueueName=name)["QueueUrl"]
        arn = self._sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=["QueueArn"])["Attributes"][
            "QueueArn"
        ]
        sns.subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=arn)

    def message(self) -> Any:
        """Return the next message."""
        envelope = eventually(self._receive)
        assert envelope is not None
        self.subjects.append(envelope.get("Subject", ""))
        return json.loads(envelope["Message"])

    def _receive(self) -> dict[str, Any] | None:
        found = self._sqs.receive_message(QueueUrl=self._queue).get("Messages", [])
        for each in found:
            self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=each["ReceiptHandle"])
        return dict(json.loads(found[0]["Body"])) if found else None


@pytest.fixture
def inbox(account: Account) -> Inbox:
    return Inbox()


def an_async_config(account: Account, *, at_once: int = 4, inbox: Inbox | None = None, **environment: str) -> str:
    output: dict[str, Any] = {
        "S3OutputPath": f"s3://{account.bucket}/out",
        "S3FailurePath": f"s3://{account.bucket}/failed/",
    }
    if inbox:
        both = ["SUCCESS_NOTIFICATION_TOPIC", "ERROR_NOTIFICATION_TOPIC"]
        topics = {"SuccessTopic": inbox.topic, "ErrorTopic": inbox.topic, "IncludeInferenceResponseIn": both}
        output["NotificationConfig"] = topics
    config = {"ClientConfig": {"MaxConcurrentInvocationsPerInstance": at_once}, "OutputConfig": output}
    return account.a_config("later", environment=environment, AsyncInferenceConfig=config)


def put_input(account: Account, body: bytes) -> str:
    key = f"in/{uuid.uuid4().hex}"
    account.s3.put_object(Bucket=account.bucket, Key=key, Body=body)
    return f"s3://{account.bucket}/{key}"


def invoke(account: Account, endpoint: str, body: bytes = b"1,2", **options: Any) -> dict[str, Any]:
    place = {} if "Body" in options else {"InputLocation": put_input(account, body)}
    answer: dict[str, Any] = account.runtime.invoke_endpoint_async(
        EndpointName=endpoint, ContentType="text/csv", **(place | options)
    )
    return answer


def stored(account: Account, uri: str) -> str | None:
    place = urlsplit(uri)
    try:
        return str(account.s3.get_object(Bucket=place.netloc, Key=place.path[1:])["Body"].read().decode())
    except account.s3.exceptions.NoSuchKey:
        return None


def test_the_answer_is_in_s3_and_the_topic_is_told(account: Account, inbox: Inbox) -> None:
    endpoint = account.an_endpoint(an_async_config(account, inbox=inbox))
    answer = invoke(account, endpoint, InferenceId="order-42", CustomAttributes="trace=7")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert answer["InferenceId"] == "order-42"
    assert answer["OutputLocation"].startswith(f"s3://{account.bucket}/out/")
    assert answer["FailureLocation"].startswith(f"s3://{account.bucket}/failed/")
    assert eventually(lambda: stored(account, answer["OutputLocation"])) == "later"
    message = inbox.message()
    assert message.pop("eventTime") >= message.pop("receivedTime")
    location = message["requestParameters"].pop("inputLocation")
    assert location.startswith(f"s3://{account.bucket}/in/")
    assert message == {
        "awsRegion": "us-east-1",
        "invocationStatus": "Completed",
        "requestParameters": {
            "contentType": "text/csv",
            "customAttributes": "trace=7",
            "endpointName": endpoint,
        },
        "responseParameters": {
            "contentType": "text/csv; charset=utf-8",
            "outputLocation": answer["OutputLocation"],
        },
        "inferenceId": "order-42",
        "eventVersion": "1.0",
        "eventSource": "aws:sagemaker",
        "eventName": "InferenceResult",
        "responseBody": {"content": base64.b64encode(b"later").decode(), "encoding": "BASE64"},
    }
    assert account.describe(endpoint)["AsyncInferenceConfig"]["OutputConfig"]["S3OutputPath"].endswith("/out")


def test_a_failure_is_in_s3_and_the_error_topic_is_told(account: Account, inbox: Inbox, stand_in: str) -> None:
    endpoint = account.an_endpoint(an_async_config(account, inbox=inbox))
    answer = invoke(account, endpoint, b"status 400")
    text = eventually(lambda: stored(account, answer["FailureLocation"]))
    assert text is not None
    assert 'Received client error (400) from primary with message "no such column"' in text
    message = inbox.message()
    assert message["invocationStatus"] == "Failed"
    assert message["failureReason"].startswith("ClientError: Received client error (400)")
    missing = f"s3://{account.bucket}/in/absent"
    answer = invoke(account, endpoint, InputLocation=missing)
    assert missing in inbox.message()["failureReason"]
    assert stored(account, answer["OutputLocation"]) is None
    place = {"EndpointName": endpoint, "VariantName": "primary"}
    assert metric(stand_in, "InvocationFailures", "Sum", **place) == 1
    assert metric(stand_in, "RequestDownloadFailures", "Sum", **place) == 1


def test_an_inline_body_and_a_name_of_the_callers_own(account: Account) -> None:
    endpoint = account.an_endpoint(an_async_config(account))
    answer = invoke(account, endpoint, Body=b"headers", S3OutputPathExtension="day/1", Filename="mine.json")
    assert answer["OutputLocation"] == f"s3://{account.bucket}/out/day/1/mine.json"
    text = eventually(lambda: stored(account, answer["OutputLocation"]))
    assert text is not None
    assert json.loads(text)["x-amzn-sagemaker-inference-id"] == answer["InferenceId"]


def test_an_instance_gets_no_more_at_a_time_than_it_takes_and_the_backlog_shows(
    account: Account, stand_in: str
) -> None:
    endpoint = account.an_endpoint(an_async_config(account, at_once=2, ANSWER_SECONDS="0.3"))
    answers = [invoke(account, endpoint, Body=b"1") for _ in range(8)]
    eventually(lambda: metric(stand_in, "ApproximateBacklogSize", "Maximum", EndpointName=endpoint))
    for answer in answers:
        eventually(lambda where=answer["OutputLocation"]: stored(account, where))
    place = {"EndpointName": endpoint, "VariantName": "primary"}
    eventually(lambda: metric(stand_in, "InvocationsProcessed", "Sum", **place) == 8)
    slowest = metric(stand_in, "TimeInBacklog", "Maximum", **place)
    assert slowest is not None
    assert slowest > 600, "eight requests of 0.3 s, two at a time: the last waited for three others"


def test_a_request_that_takes_too_long_fails_and_one_that_waits_too_long_expires(
    account: Account, stand_in: str, inbox: Inbox
) -> None:
    endpoint = account.an_endpoint(an_async_config(account, at_once=1, inbox=inbox))
    invoke(account, endpoint, b"sleep 3", InvocationTimeoutSeconds=1)
    # 60 s of the clock are 0.6 s here.
    invoke(account, endpoint, RequestTTLSeconds=60)
    reasons = [inbox.message()["failureReason"] for _ in range(2)]
    assert sorted("RequestTTLSeconds (60)" in reason for reason in reasons) == [False, True]
    assert sorted("Your invocation timed out" in reason for reason in reasons) == [False, True]
    place = {"EndpointName": endpoint, "VariantName": "primary"}
    eventually(lambda: metric(stand_in, "ExpiredRequests", "Sum", **place) == 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"RequestTTLSeconds": 21_601}, "at 'requestTTLSeconds' failed to satisfy constraint: Member must have value"),
        ({"InvocationTimeoutSeconds": 3601}, "at 'invocationTimeoutSeconds' failed"),
        (
            {"InputLocation": "ftp://a/b"},
            "at 'inputLocation' failed to satisfy constraint: Member must satisfy regular",
        ),
        ({"Filename": "a.b.c", "InputLocation": "s3://a/b"}, "at 'filename' failed"),
        ({"Body": b"1", "InputLocation": "s3://a/b"}, "Exactly one of InputLocation and Body"),
        ({"Body": b"x" * 128_001}, "at 'body' failed"),
    ],
)
def test_a_request_that_breaks_a_rule_is_refused(account: Account, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ClientError) as caught:
        account.runtime.invoke_endpoint_async(EndpointName="any", **({"InputLocation": "s3://a/b"} | options))
    assert caught.value.response["Error"]["Code"] == "ValidationError"
    assert message in caught.value.response["Error"]["Message"]


def test_an_endpoint_is_either_asynchronous_or_not(account: Account) -> None:
    later, now = account.an_endpoint(an_async_config(account)), account.an_endpoint(account.a_config("now"))
    with pytest.raises(ClientError, match="serves InvokeEndpointAsync only"):
        account.invoke(later)
    with pytest.raises(ClientError, match="has no AsyncInferenceConfig"):
        invoke(account, now)
    with pytest.raises(ClientError, match="Endpoint absent of account 000000000000 not found"):
        invoke(account, "absent")


@pytest.fixture
def restartable(settings: Settings, ground_services: str, images_file: Path, tmp_path: Path) -> Iterator[Restartable]:
    register_image(images_file)
    stand_in = Restartable(tmp_path / "stand-in", images_file, ground_services)
    yield stand_in
    if stand_in.process.poll() is None:
        stand_in.end(signal.SIGTERM)


def test_no_request_is_lost_when_the_stand_in_is_killed(restartable: Restartable, settings: Settings) -> None:
    account = Account(f"http://127.0.0.1:{restartable.port}", settings.bucket)
    inbox = Inbox()
    endpoint = account.an_endpoint(an_async_config(account, at_once=1, inbox=inbox, ANSWER_SECONDS="0.2"))
    answers = [invoke(account, endpoint, Body=b"1") for _ in range(5)]
    restartable.end(signal.SIGKILL)
    restartable.start()
    for answer in answers:
        assert eventually(lambda where=answer["OutputLocation"]: stored(account, where)) == "later"
    told = set[str]()
    while len(told) < len(answers):
        told.add(inbox.message()["inferenceId"])
    assert told == {answer["InferenceId"] for answer in answers}
