"""The stand-in as a process: killed at any moment it comes back with everything; unsafe starts are refused."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from ml_platform.core.settings import Settings
from tests.conftest import free_port, start_stand_in
from tests.contract.sagemaker_requests import ended_training_job, seen_by, training_job, unique, wait_for

LOST = "InternalServerError: the local stand-in was stopped while the job ran"


@contextmanager
def running(home: Path, images: Path, ground: str, *options: str) -> Iterator[tuple[subprocess.Popen[bytes], Any]]:
    port = free_port()
    process = start_stand_in(home, images, ground, port, *options)
    try:
        yield process, boto3.client("sagemaker", endpoint_url=f"http://127.0.0.1:{port}", config=Config(retries={}))
    finally:
        process.terminate()
        process.wait(20)


def containers_of(home: Path) -> list[str]:
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        try:
            content = environment.read_bytes()
        except OSError:
            continue
        if f"HOME={home}".encode() in content:
            found.append(environment.parent.name)
    return found


def wait_until_training(sagemaker: Any, name: str, home: Path) -> None:
    wait_for(
        lambda: sagemaker.describe_training_job(TrainingJobName=name)["SecondaryStatus"], lambda s: s == "Training"
    )
    wait_for(lambda: containers_of(home), bool)


@pytest.mark.parametrize("runner", ["auto", "plain"])
def test_a_killed_stand_in_comes_back_with_everything(
    settings: Settings, images_file: Path, ground_services: str, tmp_path: Path, runner: str
) -> None:
    home, bucket = tmp_path / "stand-in", settings.bucket
    done, lost, group = unique("done"), unique("lost"), unique("group")
    with running(home, images_file, ground_services, "--runner", runner) as (process, sagemaker):
        sagemaker.create_model_package_group(ModelPackageGroupName=group)
        arn = sagemaker.create_model_package(ModelPackageGroupName=group)["ModelPackageArn"]
        sagemaker.create_training_job(**training_job(bucket, done))
        before = ended_training_job(sagemaker, done)
        sagemaker.create_training_job(**training_job(bucket, lost, mode="wait"))
        wait_until_training(sagemaker, lost, home)
        process.kill()
        process.wait()
    wait_for(lambda: containers_of(home), lambda found: not found)
    with running(home, images_file, ground_services) as (_, sagemaker):
        after = sagemaker.describe_training_job(TrainingJobName=done)
        assert without_metadata(after) == without_metadata(before)
        job = sagemaker.describe_training_job(TrainingJobName=lost)
        assert (job["TrainingJobStatus"], job["FailureReason"]) == ("Failed", LOST)
        assert sagemaker.describe_model_package(ModelPackageName=arn)["ModelPackageVersion"] == 1
        assert not (home / "training-jobs" / lost).exists()


def without_metadata(answer: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in answer.items() if key != "ResponseMetadata"}


def test_a_stopped_stand_in_ends_its_containers_and_exits_with_0(
    settings: Settings, images_file: Path, ground_services: str, tmp_path: Path
) -> None:
    home, name = tmp_path / "stand-in", unique("stopped")
    with running(home, images_file, ground_services) as (process, sagemaker):
        sagemaker.create_training_job(**training_job(settings.bucket, name, mode="wait-deaf"))
        wait_until_training(sagemaker, name, home)
        process.terminate()
        assert process.wait(10) == 0
    assert not containers_of(home)
    with running(home, images_file, ground_services) as (_, sagemaker):
        assert sagemaker.describe_training_job(TrainingJobName=name)["FailureReason"] == LOST


def test_the_plain_runner_runs_jobs_too(
    settings: Settings, images_file: Path, ground_services: str, tmp_path: Path
) -> None:
    name = unique("plain")
    with running(tmp_path / "stand-in", images_file, ground_services, "--runner", "plain") as (_, sagemaker):
        sagemaker.create_training_job(**training_job(settings.bucket, name))
        seen = seen_by(settings.bucket, ended_training_job(sagemaker, name))
    assert seen["environment"]["SAGEMAKER_BASE_DIR"].endswith(f"{name}/ml")
    assert seen["config"]["resourceconfig.json"]["current_host"] == "localhost"


def start_in_vain(ground: str | None, *arguments: str) -> str:
    environment = {"PATH": os.environ["PATH"]} | ({"AWS_ENDPOINT_URL": ground} if ground else {})
    command = [sys.executable, "-m", "ml_platform.local_sagemaker", *arguments]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert result.returncode != 0
    assert "Traceback" not in result.stderr
    return result.stderr


def test_unsafe_and_useless_starts_are_refused_with_the_remedy(
    images_file: Path, ground_services: str, stand_in: str, tmp_path: Path
) -> None:
    usual = ["--home", str(tmp_path / "home"), "--images", str(images_file)]
    assert "--allow-remote" in start_in_vain(ground_services, *usual, "--host", "0.0.0.0")  # noqa: S104 - refused
    assert "AWS_ENDPOINT_URL is not set" in start_in_vain(None, *usual)
    taken = stand_in.rpartition(":")[2]
    assert "choose another --port" in start_in_vain(ground_services, *usual, "--port", taken)
    absent = ["--home", str(tmp_path / "home"), "--images", str(tmp_path / "absent.json")]
    assert "no such file" in start_in_vain(ground_services, *absent)


def test_a_home_has_one_stand_in(images_file: Path, ground_services: str, tmp_path: Path) -> None:
    home = tmp_path / "stand-in"
    with running(home, images_file, ground_services):
        said = start_in_vain(ground_services, "--home", str(home), "--images", str(images_file), "--port", "0")
    assert "Another SageMaker stand-in uses" in said
