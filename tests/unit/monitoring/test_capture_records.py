"""What an answer records beside its score is kept with the captured row; what it does not record is empty."""

import json
from typing import Any

import pytest

from ml_platform.modeling import codec
from ml_platform.modeling.contract import JSON
from ml_platform.monitoring.capture import parse
from tests.unit.monitoring.builders import SIGNATURE
from tests.unit.monitoring.test_capture import a_record

REASONS = [{"feature": "amount", "contribution": 1.25}]


def recorded(beside: dict[str, Any] | None) -> dict[str, Any]:
    record = a_record()
    answer, _ = codec.encode_response([1 / 3], 0.5, JSON, None if beside is None else [beside])
    record["captureData"]["endpointOutput"]["data"] = answer.decode()
    (row,) = parse([json.dumps(record)], SIGNATURE).frame.to_dict("records")
    assert row["score"] == 1 / 3
    return {name: row[name] for name in ("artifact_fingerprint", "policy_version", "reasons")}


def test_reasons_model_and_policy_are_kept() -> None:
    found = recorded({"fingerprint": "f", "policy": "1a2b", "reasons": REASONS})
    assert json.loads(found["reasons"]) == REASONS
    assert (found["artifact_fingerprint"], found["policy_version"]) == ("f", "1a2b")


@pytest.mark.parametrize("beside", [None, {"trace": 7}])
def test_what_was_not_asked_for_is_empty(beside: dict[str, Any] | None) -> None:
    assert set(recorded(beside).values()) == {""}


def test_no_reason_is_not_the_same_as_not_asked() -> None:
    assert recorded({"fingerprint": "f", "reasons": []})["reasons"] == "[]"
