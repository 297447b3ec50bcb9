"""The stand-in forgets everything on demand and goes on: no job, file, fault or frozen clock of before is left."""

import json
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import boto3
import pytest

from ml_platform.core.settings import Settings
from tests.conftest import free_port, start_stand_in
from tests.contract.sagemaker_requests import ended_training_job, training_job, unique, wait_for


def post(address: str, path: str, body: Any = None, **headers: str) -> None:
    data = b"" if body is None else json.dumps(body).encode()
    with urlopen(Request(f"{address}/_stand-in/{path}", data, headers), timeout=30):  # noqa: S310 - loopback
        pass


def test_a_reset_stops_what_runs_and_forgets_everything(
    settings: Settings, images_file: Path, ground_services: str, tmp_path: Path
) -> None:
    home, port = tmp_path / "stand-in", free_port()
    process = start_stand_in(home, images_file, ground_services, port, "--time-scale", "0.01")
    address = f"http://127.0.0.1:{port}"
    sagemaker: Any = boto3.client("sagemaker", endpoint_url=address)
    try:
        name = unique("reset")
        sagemaker.create_training_job(**training_job(settings.bucket, name, "wait"))
        wait_for(
            lambda: sagemaker.describe_training_job(TrainingJobName=name),
            lambda job: job["SecondaryStatus"] == "Training",
        )
        post(address, "faults", {"kind": "throttling", "target": "ListModels"})
        with pytest.raises(HTTPError, match="403"):
            post(address, "reset", Origin="https://elsewhere.example")
        post(address, "clock", {"frozen": True})
        post(address, "reset")
        with urlopen(f"{address}/_stand-in/clock", timeout=10) as clock:  # noqa: S310 - loopback
            assert json.load(clock)["frozen"] is False
        assert sagemaker.list_training_jobs()["TrainingJobSummaries"] == []
        assert sagemaker.list_artifacts()["ArtifactSummaries"] == []
        assert sagemaker.list_models()["Models"] == []
        assert [path for path in home.rglob("*") if name in path.name] == []
        sagemaker.create_training_job(**training_job(settings.bucket, name))
        assert ended_training_job(sagemaker, name)["TrainingJobStatus"] == "Completed"
    finally:
        process.terminate()
        process.wait(20)
