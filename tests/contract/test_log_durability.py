"""Logs of containers outlive a kill of the stand-in and of the ground services, which forget them."""

from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.conftest import free_port, start_ground_services, wait_for_port
from tests.contract.sagemaker_requests import ended_training_job, training_job, unique, wait_for
from tests.contract.test_restart import running

GROUP = "/aws/sagemaker/TrainingJobs"
LINES = ["epoch 1 loss=0.75", "epoch 2 loss=0.25", " ", "no newline at the end"]


class Ground:
    """Ground services of a test's own, which it may kill."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        self.process = start_ground_services(self.folder, self.port)
        wait_for_port(self.port, self.process)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def client(self, service: str) -> Any:
        return boto3.client(service, endpoint_url=self.url)


@pytest.fixture
def ground(tmp_path: Path) -> Any:
    services = Ground(tmp_path)
    services.client("s3").create_bucket(Bucket="logs")
    yield services
    services.kill()


def lines(ground: Ground, job: str) -> list[str] | None:
    """Return the lines of a job, or None when there is no such log."""
    logs = ground.client("logs")
    try:
        found = logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix=f"{job}/")["logStreams"]
    except logs.exceptions.ResourceNotFoundException:
        return None
    if not found:
        return None
    (stream,) = found
    events = logs.get_log_events(logGroupName=GROUP, logStreamName=stream["logStreamName"], startFromHead=True)
    return [event["message"] for event in events["events"]]


def test_logs_are_there_again_after_everything_was_killed(ground: Ground, images_file: Path, tmp_path: Path) -> None:
    done, cut = unique("done"), unique("cut")
    with running(tmp_path / "home", images_file, ground.url) as (process, sagemaker):
        sagemaker.create_training_job(**training_job("logs", done))
        ended_training_job(sagemaker, done)
        sagemaker.create_training_job(**training_job("logs", cut, mode="wait"))
        wait_for(lambda: lines(ground, cut), lambda seen: seen is not None and "waiting" in seen)
        process.kill()
        process.wait()
        ground.kill()
    ground.start()
    assert lines(ground, done) is None, "the ground services keep logs by themselves now: log_copies can go"
    with running(tmp_path / "home", images_file, ground.url):
        wait_for(lambda: lines(ground, done), lambda seen: seen == LINES)
        wait_for(lambda: lines(ground, cut), lambda seen: seen == [*LINES, "waiting"])


def test_logs_come_back_while_the_stand_in_goes_on_and_no_line_comes_twice(
    ground: Ground, images_file: Path, tmp_path: Path
) -> None:
    done, live = unique("done"), unique("live")
    with running(tmp_path / "home", images_file, ground.url, "--time-scale", "0.01") as (_, sagemaker):
        sagemaker.create_training_job(**training_job("logs", done))
        ended_training_job(sagemaker, done)
        sagemaker.create_training_job(**training_job("logs", live, mode="wait"))
        wait_for(lambda: lines(ground, live), lambda seen: seen is not None and "waiting" in seen)
        ground.kill()
        ground.start()
        ground.client("s3").create_bucket(Bucket="logs")
        for job, expected in ((done, LINES), (live, [*LINES, "waiting"])):
            wait_for(lambda job=job: lines(ground, job), lambda seen, expected=expected: seen == expected)
        sagemaker.stop_training_job(TrainingJobName=live)
        ended_training_job(sagemaker, live)
        assert lines(ground, live) == [*LINES, "waiting"]


def test_a_restart_writes_no_line_again(ground: Ground, images_file: Path, tmp_path: Path) -> None:
    first, second = unique("first"), unique("second")
    with running(tmp_path / "home", images_file, ground.url) as (_, sagemaker):
        sagemaker.create_training_job(**training_job("logs", first))
        ended_training_job(sagemaker, first)
    with running(tmp_path / "home", images_file, ground.url) as (_, sagemaker):
        sagemaker.create_training_job(**training_job("logs", second))
        ended_training_job(sagemaker, second)
        assert lines(ground, first) == lines(ground, second) == LINES
