"""The local log gives each message until it is acknowledged, and the command works on it until Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest

from ml_platform.cli.stream import kinesis_feed, run_stream_append
from ml_platform.core.errors import SourceDataError
from ml_platform.core.settings import Settings
from ml_platform.features.streaming.events import parse_event
from ml_platform.features.streaming.source import EventLog, FedLog

PAYMENT = {
    "transaction_id": "t",
    "event_time": "2026-01-05T00:00:00Z",
    "customer_id": "c",
    "terminal_id": "m",
    "amount": 1,
}


def given(log: EventLog) -> list[int | str]:
    sequences = []
    for message in log:
        if message is None:
            break
        sequences.append(message[0])
    return sequences


def test_messages_are_given_again_until_they_are_acknowledged(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "log.db", poll_seconds=0)
    log.append({"n": number} for number in range(5))
    assert given(log) == given(log) == [1, 2, 3, 4, 5]
    log.ack(3)
    assert given(EventLog(tmp_path / "log.db")) == [4, 5]
    assert given(EventLog(tmp_path / "log.db", consumer="another")) == [1, 2, 3, 4, 5]


def test_a_log_forgets_what_everybody_acknowledged_long_ago_and_never_counts_anew(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "log.db", poll_seconds=0, keep=2)
    log.append({"n": number} for number in range(5))
    log.ack(5)
    assert given(EventLog(tmp_path / "log.db", consumer="late")) == [4, 5]
    log.append([{"n": 5}])
    assert given(log) == [6]


def test_a_log_is_filled_from_a_kinesis_stream_and_goes_on_where_it_was(settings: Settings, tmp_path: Path) -> None:
    kinesis, stream = boto3.client("kinesis"), f"payments-{os.urandom(4).hex()}"
    kinesis.create_stream(StreamName=stream, ShardCount=1)
    kinesis.get_waiter("stream_exists").wait(StreamName=stream)

    def put(*records: dict[str, object]) -> None:
        for record in records:
            kinesis.put_record(StreamName=stream, Data=json.dumps(record).encode(), PartitionKey="k")

    def messages() -> list[dict[str, Any]]:
        log = FedLog(tmp_path / "log.db", kinesis_feed(settings, stream), poll_seconds=0)
        quiet, found = 0, []
        for message in log:
            quiet += message is None
            if message is None and quiet == 3:
                break
            if message is not None:
                found.append(dict(message[1]))
        log.ack(log.newest)
        return found

    label = {
        "transaction_id": "t",
        "event_time": PAYMENT["event_time"],
        "label": 1,
        "known_time": "2026-01-06T00:00:00Z",
    }
    put(PAYMENT, label)
    payment, learnt = messages()
    now = datetime(2026, 2, 1, tzinfo=UTC)
    assert parse_event(payment, now) == parse_event(PAYMENT, now)
    assert parse_event(learnt, now) == parse_event(label, now)
    assert messages() == []
    put(PAYMENT | {"transaction_id": "u"})
    assert [message["transaction_id"] for message in messages()] == ["u"]


def test_a_file_with_a_bad_line_is_refused_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ML_PLATFORM_HOME", str(tmp_path))
    messages = tmp_path / "messages.jsonl"
    messages.write_text(f"{json.dumps(PAYMENT)}\nnot json\n")
    with pytest.raises(SourceDataError, match="Line 2 is no JSON"):
        run_stream_append(messages, None)
    messages.write_text(f"{json.dumps(PAYMENT)}\n\n{json.dumps(PAYMENT)}\n")
    run_stream_append(messages, None)
    assert EventLog(tmp_path / "stream" / "events.db").newest == 2


def test_the_command_ends_cleanly_on_ctrl_c_and_says_what_it_did(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "log.db")
    log.append([PAYMENT, {"transaction_id": "poison"}])
    command = [sys.executable, "-c", "from ml_platform.cli.main import app; app()", "stream", "--log", "log.db"]
    environment = os.environ | {"ML_PLATFORM_HOME": str(tmp_path)}
    working = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while log.acknowledged < 2:
        assert time.monotonic() < deadline
        assert working.poll() is None
        time.sleep(0.05)
    working.send_signal(signal.SIGINT)
    told, _ = working.communicate(timeout=30)
    assert working.returncode == 0
    assert "Stopped." in told
    assert "1 events, 1 put aside, 0 waiting" in told
