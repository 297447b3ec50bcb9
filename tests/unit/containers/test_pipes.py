"""What the training container tells Dagster: dagster-pipes' own protocol, and nothing when nobody listens."""

import base64
import io
import json
import zlib
from typing import Any

import pytest
from dagster_pipes import encode_param

from ml_platform.containers.training import pipes

LISTENING = {
    pipes.CONTEXT_VARIABLE: encode_param({"data": {"asset_keys": ["shop/model"]}}),
    pipes.MESSAGES_VARIABLE: encode_param({"stdio": "stdout"}),
}


def messages(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_figures_are_sent_once_the_work_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    with pipes.report_to_dagster(LISTENING) as report:
        report.add("rows", 3)
        report.add("threshold", 0.5)
    said = messages(capsys)
    assert [message["method"] for message in said] == ["opened", "report_asset_materialization", "closed"]
    assert all(message["__dagster_pipes_version"] == "0.1" for message in said)
    assert said[1]["params"] == {
        "asset_key": "shop/model",
        "data_version": None,
        "metadata": {
            "rows": {"raw_value": 3, "type": "int"},
            "threshold": {"raw_value": 0.5, "type": "float"},
        },
    }


def test_a_failure_is_said_and_no_figures(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        with pipes.report_to_dagster(LISTENING) as report:
            report.add("rows", 3)
            raise ValueError("odd")

    with pytest.raises(ValueError, match="odd"):
        work()
    opened, closed = messages(capsys)
    assert (opened["method"], closed["method"]) == ("opened", "closed")
    assert (closed["params"]["exception"]["name"], closed["params"]["exception"]["message"]) == ("ValueError", "odd")


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {**LISTENING, pipes.CONTEXT_VARIABLE: "?"},
        {**LISTENING, pipes.CONTEXT_VARIABLE: "eA=="},
        {**LISTENING, pipes.CONTEXT_VARIABLE: base64.b64encode(zlib.compress(b"[]")).decode()},
        {**LISTENING, pipes.CONTEXT_VARIABLE: encode_param({"bucket": "b", "key": "k"})},
        {**LISTENING, pipes.CONTEXT_VARIABLE: encode_param({"data": {"asset_keys": None}})},
        {**LISTENING, pipes.MESSAGES_VARIABLE: encode_param({"bucket": "b"})},
    ],
)
def test_nothing_is_said_when_nobody_reads_our_output(
    environment: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pipes.report_to_dagster(environment) as report:
        report.add("rows", 3)
    assert messages(capsys) == []


def test_a_message_is_one_line() -> None:
    stream = io.StringIO()
    pipes.Report(asset_key="a", stream=stream).send("closed", {"exception": {"message": "two\nlines"}})
    assert stream.getvalue().count("\n") == 1
