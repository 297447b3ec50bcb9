"""State changes reach the queues and topics of the user's own EventBridge rules."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs

import boto3
import pytest
from botocore.config import Config

from ml_platform.core.settings import Settings
from tests.conftest import free_port, start_stand_in
from tests.contract.hosting_account import Account, register_image
from tests.contract.sagemaker_requests import ended_training_job, training_job, unique, wait_for


class Mailbox:
    """A queue that a rule delivers to."""

    def __init__(self, detail_type: str, **detail: Any) -> None:
        self.name = unique("events")
        self.sqs: Any = boto3.client("sqs")
        self.rules: Any = boto3.client("events")
        self.url = self.sqs.create_queue(QueueName=self.name)["QueueUrl"]
        self.arn = f"arn:aws:sqs:us-east-1:000000000000:{self.name}"
        pattern = {"source": ["aws.sagemaker"], "detail-type": [detail_type]} | ({"detail": detail} if detail else {})
        self.rules.put_rule(Name=self.name, EventPattern=json.dumps(pattern))

    def target(self, **options: Any) -> "Mailbox":
        self.rules.put_targets(Rule=self.name, Targets=[{"Id": "1", "Arn": self.arn} | options])
        return self

    def close(self) -> None:
        self.rules.remove_targets(Rule=self.name, Ids=["1"])
        self.rules.delete_rule(Name=self.name)

    def collect(self, count: int) -> list[Any]:
        """Return the first so many messages, in the order in which they were sent."""
        found: list[Any] = []

        def look() -> int:
            answer = self.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10)
            for message in answer.get("Messages", []):
                found.append(json.loads(message["Body"]))
                self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
            return len(found)

        wait_for(look, lambda seen: seen >= count)
        return found


@pytest.fixture
def account(sagemaker_settings: Settings, stand_in: str, images_file: Path) -> Account:
    register_image(images_file)
    return Account(stand_in, sagemaker_settings.bucket)


def test_a_training_job_tells_every_status_in_order(account: Account) -> None:
    name = unique("told")
    box = Mailbox("SageMaker Training Job State Change", TrainingJobName=[name]).target()
    account.sagemaker.create_training_job(**training_job(account.bucket, name))
    ended_training_job(account.sagemaker, name)
    told = box.collect(6)
    box.close()
    # As AWS says of these events, there may be more than one to a change.
    secondary = [*dict.fromkeys(event["detail"]["SecondaryStatus"] for event in told)]
    assert secondary == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    last = told[-1]
    arn = f"arn:aws:sagemaker:us-east-1:000000000000:training-job/{name}"
    assert (last["source"], last["resources"], last["account"]) == ("aws.sagemaker", [arn], "000000000000")
    assert last["detail"]["TrainingJobStatus"] == "Completed"
    assert last["detail"]["TrainingEndTime"].isdecimal()


def test_an_endpoint_tells_its_status_and_its_deployment(account: Account) -> None:
    endpoint = account.an_endpoint(account.a_config("blue"))
    states = Mailbox("SageMaker Endpoint State Change", EndpointName=[endpoint]).target()
    deployments = Mailbox("SageMaker Endpoint Deployment State Change", EndpointName=[endpoint]).target()
    green = account.a_config("green")
    account.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=green)
    account.settled(endpoint)
    told = states.collect(2)
    assert [event["detail"]["EndpointStatus"] for event in told][:: len(told) - 1] == ["UPDATING", "IN_SERVICE"]
    assert told[-1]["detail"]["EndpointConfigName"] == green
    pending = [event["detail"]["PendingDeploymentSummary"] for event in deployments.collect(2)]
    assert {summary["EndpointConfigName"] for summary in pending} == {green}
    stages = [summary["ProductionVariants"][0]["VariantStatus"][0]["Status"] for summary in pending]
    assert stages[0] == "Creating"
    assert len({*stages}) > 1
    states.close()
    deployments.close()


def test_an_approval_reaches_the_subscribers_of_a_topic(account: Account) -> None:
    sns: Any = boto3.client("sns")
    group = unique("group")
    box = Mailbox("SageMaker Model Package State Change", ModelApprovalStatus=["Approved"])
    topic = sns.create_topic(Name=box.name)["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=box.arn, Attributes={"RawMessageDelivery": "true"})
    box.target(Arn=topic)
    account.sagemaker.create_model_package_group(ModelPackageGroupName=group)
    arn = account.sagemaker.create_model_package(ModelPackageGroupName=group)["ModelPackageArn"]
    account.sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
    [event] = box.collect(1)
    box.close()
    assert event["resources"] == [arn]


def test_events_are_lost_and_doubled_on_demand(account: Account, stand_in: str) -> None:
    box = Mailbox("SageMaker Model Package State Change").target(InputPath="$.resources")
    group = unique("group")
    account.sagemaker.create_model_package_group(ModelPackageGroupName=group)
    arns = [f"arn:aws:sagemaker:us-east-1:000000000000:model-package/{group}/{version}" for version in (1, 2, 3)]
    for kind, target in (("lost-event", arns[0]), ("duplicate-event", arns[1])):
        add_fault(stand_in, {"kind": kind, "target": target})
    for _ in arns:
        account.sagemaker.create_model_package(ModelPackageGroupName=group)
    told = [resources[0] for resources in box.collect(3)]
    box.close()
    assert told == [arns[1], arns[1], arns[2]]


def test_an_event_that_a_crash_kept_from_being_delivered_is_delivered_afterwards(
    settings: Settings, images_file: Path, ground_services: str, tmp_path: Path
) -> None:
    box = Mailbox("SageMaker Model Package State Change").target()
    home, group = tmp_path / "stand-in", unique("group")
    # Nothing answers there: the event cannot be delivered yet.
    process = start_stand_in(home, images_file, f"http://127.0.0.1:{free_port()}", port := free_port())
    sagemaker = boto3.client("sagemaker", endpoint_url=f"http://127.0.0.1:{port}", config=Config(retries={}))
    try:
        sagemaker.create_model_package_group(ModelPackageGroupName=group)
        arn = sagemaker.create_model_package(ModelPackageGroupName=group)["ModelPackageArn"]
    finally:
        process.kill()
        process.wait(10)
    process = start_stand_in(home, images_file, ground_services, free_port())
    try:
        [event] = box.collect(1)
    finally:
        process.terminate()
        process.wait(20)
    box.close()
    assert event["resources"] == [arn]


def test_a_target_out_of_reach_holds_up_no_other_and_gets_its_events_in_order_when_it_is_back(
    settings: Settings,
    images_file: Path,
    ground_services: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kind, group = "SageMaker Model Package State Change", unique("group")
    # The rule of the topic is older, so that its target is asked first.
    lost, served = Mailbox(kind, ModelPackageGroupName=[group]), Mailbox(kind, ModelPackageGroupName=[group]).target()
    lost.target(Arn="arn:aws:sns:us-east-1:000000000000:told", InputPath="$.resources[0]")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SNS", f"http://127.0.0.1:{(sns_port := free_port())}")
    process = start_stand_in(tmp_path / "stand-in", images_file, ground_services, port := free_port())
    sagemaker = boto3.client("sagemaker", endpoint_url=f"http://127.0.0.1:{port}", config=Config(retries={}))
    try:
        sagemaker.create_model_package_group(ModelPackageGroupName=group)
        arns = [sagemaker.create_model_package(ModelPackageGroupName=group)["ModelPackageArn"] for _ in range(3)]
        assert [event["resources"] for event in served.collect(3)] == [[arn] for arn in arns]
        with topics(sns_port) as told:
            wait_for(lambda: len(told), lambda seen: seen >= 3)
            arns.append(sagemaker.create_model_package(ModelPackageGroupName=group)["ModelPackageArn"])
            wait_for(lambda: len(told), lambda seen: seen >= 4)
        assert [json.loads(message) for message in told] == arns
        # Nobody was told twice while the other one waited.
        assert [event["resources"] for event in served.collect(1)] == [arns[3:]]
    finally:
        process.terminate()
        process.wait(20)
        served.close()
        lost.close()


def test_targets_that_never_answer_delay_no_other(
    settings: Settings,
    images_file: Path,
    ground_services: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kind, group = "SageMaker Model Package State Change", unique("group")
    # More than the event loop has threads of its own for, and older, so that they are asked first.
    silent = [Mailbox(kind, ModelPackageGroupName=[group]) for _ in range(8)]
    for box in silent:
        box.target(Arn="arn:aws:sns:us-east-1:000000000000:silent")
    served = Mailbox(kind, ModelPackageGroupName=[group]).target()
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SNS", f"http://127.0.0.1:{nobody.getsockname()[1]}")
        process = start_stand_in(tmp_path / "stand-in", images_file, ground_services, port := free_port())
        sagemaker = boto3.client("sagemaker", endpoint_url=f"http://127.0.0.1:{port}", config=Config(retries={}))
        try:
            sagemaker.create_model_package_group(ModelPackageGroupName=group)
            began = time.monotonic()
            for _ in range(3):
                sagemaker.create_model_package(ModelPackageGroupName=group)
                assert len(served.collect(1)) == 1
            # One of them alone waits ten seconds for an answer.
            assert time.monotonic() - began < 9
        finally:
            # What still waits for an answer is not waited for.
            process.kill()
            process.wait(20)
            for box in (*silent, served):
                box.close()


@contextmanager
def topics(port: int) -> Iterator[list[str]]:
    """Serve SNS on a port; yields the messages that are published."""
    told: list[str] = []

    class Sns(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
            told.extend(form["Message"])
            answer = b"<PublishResponse><PublishResult><MessageId>1</MessageId></PublishResult></PublishResponse>"
            self.send_response(200)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", port), Sns) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield told
        finally:
            server.shutdown()


def test_what_a_target_does_not_take_goes_to_its_dead_letter_queue_with_the_reason(account: Account) -> None:
    letters = Mailbox("nothing is ever of this type")
    box = Mailbox("SageMaker Model Card State Change")
    gone = f"{box.arn}-gone"
    box.target(Arn=gone, DeadLetterConfig={"Arn": letters.arn})
    card = unique("card")
    account.sagemaker.create_model_card(ModelCardName=card, Content="{}", ModelCardStatus="Draft")
    found: list[Any] = []

    def look() -> int:
        answer = letters.sqs.receive_message(QueueUrl=letters.url, MessageAttributeNames=["All"])
        found.extend(answer.get("Messages", []))
        return len(found)

    wait_for(look, lambda seen: seen >= 1)
    box.close()
    event = json.loads(found[0]["Body"])
    about = {name: value["StringValue"] for name, value in found[0]["MessageAttributes"].items()}
    assert event["detail"]["ModelCardName"] == card
    assert about["TARGET_ARN"] == gone
    assert about["RULE_ARN"].endswith(f":rule/{box.name}")
    assert about["ERROR_CODE"] == "NO_RESOURCE"
    assert about["ERROR_MESSAGE"]


def test_an_endpoint_tells_its_end(account: Account) -> None:
    endpoint = account.an_endpoint(account.a_config("blue"))
    box = Mailbox("SageMaker Endpoint State Change", EndpointName=[endpoint]).target(
        InputPath="$.detail.EndpointStatus"
    )
    account.sagemaker.delete_endpoint(EndpointName=endpoint)
    told = box.collect(2)
    box.close()
    assert told == ["DELETING", "DELETED"]


def add_fault(stand_in: str, fault: dict[str, Any]) -> None:
    from urllib.request import Request, urlopen

    with urlopen(Request(f"{stand_in}/_stand-in/faults", json.dumps(fault).encode()), timeout=10):  # noqa: S310
        pass
