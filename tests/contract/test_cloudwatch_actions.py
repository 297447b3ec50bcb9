"""Alarms tell SNS topics of their changes, in CloudWatch's words."""

import json
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.parse import parse_qs

import boto3
import pytest

from ml_platform.core.settings import Settings
from tests.conftest import free_port, start_stand_in
from tests.contract.hosting_account import eventually
from tests.contract.test_cloudwatch import an_alarm, put
from tests.contract.test_hosting_async import Inbox


@pytest.fixture
def cloudwatch(sagemaker_settings: Settings, stand_in: str) -> Any:
    return boto3.client("cloudwatch", endpoint_url=stand_in)


@pytest.fixture
def inbox(sagemaker_settings: Settings) -> Inbox:
    return Inbox()


@pytest.fixture
def namespace() -> str:
    return f"Shop/{uuid.uuid4().hex[:8]}"


def actions_of(cloudwatch: Any, alarm: str) -> list[dict[str, Any]]:
    answer = cloudwatch.describe_alarm_history(AlarmName=alarm, HistoryItemType="Action", AlarmTypes=["MetricAlarm"])
    return list(answer["AlarmHistoryItems"])


def test_a_topic_is_told_of_each_change_once(cloudwatch: Any, namespace: str, inbox: Inbox) -> None:
    dimensions = [{"Name": "Till", "Value": "1"}]
    name = an_alarm(cloudwatch, namespace, AlarmActions=[inbox.topic], OKActions=[inbox.topic], Dimensions=dimensions)
    put(cloudwatch, namespace, 150, Dimensions=dimensions)
    told = inbox.message()
    described = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]
    assert told.pop("StateChangeTime").endswith("+0000")
    assert told.pop("AlarmConfigurationUpdatedTimestamp").endswith("+0000")
    assert told == {
        "AlarmName": name,
        "AlarmDescription": None,
        "AWSAccountId": "000000000000",
        "NewStateValue": "ALARM",
        "NewStateReason": "Threshold Crossed: 1 datapoint [150.0] was greater than the threshold (100.0).",
        "Region": "US East (N. Virginia)",
        "AlarmArn": described["AlarmArn"],
        "OldStateValue": "INSUFFICIENT_DATA",
        "OKActions": [inbox.topic],
        "AlarmActions": [inbox.topic],
        "InsufficientDataActions": [],
        "Trigger": {
            "MetricName": "Latency",
            "Namespace": namespace,
            "StatisticType": "Statistic",
            "Statistic": "MAXIMUM",
            "Unit": None,
            "Dimensions": [{"value": "1", "name": "Till"}],
            "Period": 60,
            "EvaluationPeriods": 1,
            "ComparisonOperator": "GreaterThanThreshold",
            "Threshold": 100.0,
            "TreatMissingData": "ignore",
            "EvaluateLowSampleCountPercentile": "",
        },
    }
    put(cloudwatch, namespace, 50, Dimensions=dimensions)
    told = inbox.message()
    assert (told["OldStateValue"], told["NewStateValue"]) == ("ALARM", "OK")
    assert inbox.subjects == [f'{state}: "{name}" in US East (N. Virginia)' for state in ("ALARM", "OK")]
    done = eventually(lambda: [] if len(found := actions_of(cloudwatch, name)) < 2 else found)
    assert {item["HistorySummary"] for item in done} == {f"Successfully executed action {inbox.topic}"}


def test_a_topic_that_does_not_exist_is_told_in_the_history(cloudwatch: Any, namespace: str) -> None:
    topic = "arn:aws:sns:us-east-1:000000000000:absent"
    name = an_alarm(cloudwatch, namespace, AlarmActions=[topic])
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="tried")
    (item,) = eventually(lambda: actions_of(cloudwatch, name))
    assert item["HistorySummary"].startswith(f"Failed to execute action {topic}. Received error:")
    assert json.loads(item["HistoryData"])["actionState"] == "Failed"


def test_nobody_is_told_when_actions_are_off_and_parents_have_their_own(
    cloudwatch: Any, namespace: str, inbox: Inbox
) -> None:
    silent = an_alarm(cloudwatch, namespace, AlarmActions=[inbox.topic], ActionsEnabled=False)
    parent = f"parent-{uuid.uuid4().hex[:8]}"
    cloudwatch.put_composite_alarm(AlarmName=parent, AlarmRule=f'ALARM("{silent}")', AlarmActions=[inbox.topic])
    cloudwatch.set_alarm_state(AlarmName=silent, StateValue="ALARM", StateReason="tried")
    told = inbox.message()
    assert told["AlarmName"] == parent
    assert told["AlarmRule"] == f'ALARM("{silent}")'
    assert "Trigger" not in told
    assert actions_of(cloudwatch, silent) == []


@pytest.fixture
def sns_where_one_topic_hangs() -> Iterator[str]:
    """Address of an SNS that answers for every topic but one."""
    ended = Event()

    class Sns(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
            if form["TopicArn"][0].endswith(":silent"):
                ended.wait(60)
            answer = b"<PublishResponse><PublishResult><MessageId>1</MessageId></PublishResult></PublishResponse>"
            self.send_response(200)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Sns) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            ended.set()
            server.shutdown()


def test_a_topic_that_never_answers_delays_no_other(
    settings: Settings,
    ground_services: str,
    images_file: Path,
    tmp_path: Path,
    sns_where_one_topic_hangs: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SNS", sns_where_one_topic_hangs)
    process = start_stand_in(tmp_path / "stand-in", images_file, ground_services, port := free_port())
    cloudwatch: Any = boto3.client("cloudwatch", endpoint_url=f"http://127.0.0.1:{port}")
    try:
        for topic in ("silent", "heard"):
            arn = f"arn:aws:sns:us-east-1:000000000000:{topic}"
            name = an_alarm(cloudwatch, "Shop", AlarmActions=[arn])
            cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="tried")
        # The other one is waited for ten seconds, and that several times.
        (item,) = eventually(lambda: actions_of(cloudwatch, name), seconds=8)
        assert item["HistorySummary"] == f"Successfully executed action {arn}"
    finally:
        # What still waits for an answer is not waited for.
        process.kill()
        process.wait(20)
