"""Faults on the running stand-in: what callers, jobs and endpoints see when something goes wrong on demand."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from botocore.exceptions import ClientError

from ml_platform.core.settings import Settings
from tests.contract.hosting_account import Account, register_image
from tests.contract.sagemaker_requests import ended_training_job, training_job, unique, wait_for

Ask = Callable[..., dict[str, Any]]


@pytest.fixture
def account(sagemaker_settings: Settings, stand_in: str, images_file: Path) -> Account:
    register_image(images_file)
    return Account(stand_in, sagemaker_settings.bucket)


@pytest.fixture
def faults(stand_in: str) -> Iterator[Ask]:
    """Ask the stand-in's own interface; no fault outlives the test."""

    def ask(method: str, document: Any = None, path: str = "faults", **headers: str) -> dict[str, Any]:
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        request = Request(f"{stand_in}/_stand-in/{path}", body, headers, method=method)  # noqa: S310
        with urlopen(request, timeout=10) as answer:  # noqa: S310 - http only
            return dict(json.loads(answer.read()))

    yield ask
    ask("DELETE")


def test_throttled_operations_answer_as_aws_does_and_the_next_call_passes(account: Account, faults: Ask) -> None:
    faults("POST", {"kind": "throttling", "target": "ListModels"})
    with pytest.raises(ClientError) as refusal:
        account.sagemaker.list_models()
    assert refusal.value.response["Error"] == {"Code": "ThrottlingException", "Message": "Rate exceeded"}
    account.sagemaker.list_models()


def test_faults_are_listed_and_removed(faults: Ask) -> None:
    ids = faults("POST", [{"kind": "capacity", "target": "never-*"}, {"kind": "throttling", "target": "None*"}])["ids"]
    assert [fault["kind"] for fault in faults("GET")["faults"]] == ["capacity", "throttling"]
    assert faults("DELETE", path=f"faults/{ids[0]}") == {"removed": 1}
    assert [fault["id"] for fault in faults("GET")["faults"]] == ids[1:]


@pytest.mark.parametrize(
    ("method", "document", "path", "status"),
    [
        ("POST", {"kind": "earthquake"}, "faults", 400),
        ("POST", b"{", "faults", 400),
        ("POST", b"[" * 100_000, "faults", 400),
        ("PUT", {}, "faults", 404),
        ("DELETE", None, "faults/one", 404),
        ("GET", None, "secrets", 404),
        ("POST", {}, "clock", 400),
        ("POST", {"advance_seconds": -1}, "clock", 400),
        ("POST", {"frozen": 1}, "clock", 400),
        ("POST", b'{"advance_seconds": NaN}', "clock", 400),
        ("POST", {"scale": True}, "clock", 400),
        ("POST", {"year": 2030}, "clock", 400),
    ],
)
def test_bad_requests_are_told_what_is_wrong(faults: Ask, method: str, document: Any, path: str, status: int) -> None:
    with pytest.raises(HTTPError) as refusal:
        faults(method, document, path)
    assert refusal.value.code == status
    assert json.loads(refusal.value.read())["error"]


def test_a_web_page_cannot_ask_for_faults(faults: Ask) -> None:
    with pytest.raises(HTTPError, match="403"):
        faults("POST", {"kind": "capacity"}, Origin="https://example.com")


def test_an_answer_of_s3_in_error_is_survived_by_a_retry(account: Account, faults: Ask) -> None:
    faults("POST", {"kind": "s3-error", "target": f"{account.bucket}/jobs/*", "parameters": {"status": 500}})
    name = unique("s3-error")
    account.sagemaker.create_training_job(**training_job(account.bucket, name))
    assert ended_training_job(account.sagemaker, name)["TrainingJobStatus"] == "Completed"
    assert faults("GET")["faults"] == []


def test_a_model_server_is_slow_fails_and_crashes_on_demand(account: Account, faults: Ask) -> None:
    endpoint = account.an_endpoint(account.a_config("well"))
    faults("POST", {"kind": "slow-response", "target": endpoint, "parameters": {"seconds": 0.4}})
    began = time.monotonic()
    assert account.invoke(endpoint) == "well"
    assert time.monotonic() - began > 0.4
    message = {"status": 503, "message": "out of memory"}
    faults("POST", {"kind": "error-response", "target": endpoint, "times": None, "parameters": message})
    with pytest.raises(ClientError) as refusal:
        account.invoke(endpoint)
    assert refusal.value.response["OriginalStatusCode"] == 503
    assert refusal.value.response["OriginalMessage"] == "out of memory"
    faults("DELETE")
    faults("POST", {"kind": "server-crash", "target": endpoint})
    assert account.invoke(endpoint) == "well"


def test_a_silent_rollback_ends_in_service_on_the_old_config_without_a_reason(account: Account, faults: Ask) -> None:
    blue = account.a_config("blue")
    endpoint = account.an_endpoint(blue)
    faults("POST", {"kind": "silent-rollback", "target": endpoint})
    account.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=account.a_config("green"))
    described = account.settled(endpoint)
    assert described["EndpointStatus"] == "InService"
    assert described["EndpointConfigName"] == blue
    assert "FailureReason" not in described
    assert account.invoke(endpoint) == "blue"


def test_a_bake_of_an_hour_is_skipped_by_a_step_of_the_clock(account: Account, faults: Ask) -> None:
    endpoint = account.an_endpoint(account.a_config("blue"))
    routing = {"TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 3600}}
    green = account.a_config("green")
    account.sagemaker.update_endpoint(
        EndpointName=endpoint,
        EndpointConfigName=green,
        DeploymentConfig={"BlueGreenUpdatePolicy": {**routing, "TerminationWaitInSeconds": 3600}},
    )
    wait_for(lambda: account.invoke(endpoint), lambda answer: answer == "green")
    assert account.describe(endpoint)["EndpointStatus"] == "Updating"
    for _ in range(2):
        before = faults("GET", path="clock")["elapsed_seconds"]
        assert faults("POST", {"advance_seconds": 3600}, "clock")["elapsed_seconds"] >= before + 3600
    assert account.settled(endpoint)["EndpointConfigName"] == green


def test_a_script_with_a_mistake_is_refused_at_the_start(tmp_path: Path, images_file: Path) -> None:
    script = tmp_path / "faults.json"
    script.write_text(json.dumps([{"kind": "earthquake"}]))
    command = [sys.executable, "-m", "ml_platform.local_sagemaker", "--home", str(tmp_path / "home")]
    start = subprocess.run(
        [*command, "--images", str(images_file), "--faults", str(script)], capture_output=True, text=True, check=False
    )
    assert start.returncode == 2
    assert "'earthquake' is no kind of fault" in start.stderr
