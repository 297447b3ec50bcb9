"""Whatever is killed between a Dagster run and its SageMaker job: no job is started twice and none is lost."""

import contextlib
import dataclasses
import signal
import threading
from pathlib import Path
from typing import Any, cast

import pytest
from dagster._core.errors import DagsterExecutionInterruptedError

from ml_platform.aws import clients
from ml_platform.aws.job_kinds import KINDS, JobKind
from ml_platform.core.clock import Sleep, sleep
from ml_platform.core.settings import Settings
from ml_platform.resources.pipes.retries import PATIENT
from tests.conftest import free_port, killed_in_the_end, start_stand_in
from tests.contract import pipes_runs
from tests.contract.pipes_runs import definitions, job_of, jobs, request_cancel, run, run_status, start_run, wait_until
from tests.contract.sagemaker_requests import unique


@pytest.fixture(scope="module", autouse=True)
def reporter_image(images_file: Path) -> None:
    pipes_runs.register_image(images_file)


@pytest.fixture
def bucket(sagemaker_settings: Settings) -> str:
    return sagemaker_settings.bucket


def running(name: str) -> bool:
    job = clients.sagemaker("us-east-1").list_training_jobs(NameContains=name)["TrainingJobSummaries"]
    return (
        bool(job)
        and clients.sagemaker("us-east-1").describe_training_job(TrainingJobName=name)["SecondaryStatus"] == "Training"
    )


def letting_go(release: Path) -> Sleep:
    """Return a way to wait that lets the job end: who waits has found it running."""

    def wait(seconds: float) -> None:
        release.touch()
        sleep(seconds)

    return wait


def test_the_job_of_a_killed_run_is_adopted_while_it_runs(bucket: str, tmp_path: Path) -> None:
    release, inputs = tmp_path / "release", unique("killed")
    order = (bucket, {"release": str(release)}, inputs)
    with killed_in_the_end(start_run(tmp_path / "dagster", *order)) as worker:
        wait_until(lambda: running(job_of(inputs)), worker)
    assert run_status(tmp_path / "dagster") == "STARTED"
    outcome = run(definitions(*order, sleep=letting_go(release)))
    assert outcome.success
    assert outcome.metadata["adopted"]
    assert "[pipes] SageMaker training job " + job_of(
        inputs
    ) + " is adopted: it was started before and is InProgress." in (outcome.lines)
    assert outcome.metadata["rows"] == 42
    assert jobs(job_of(inputs)) == {job_of(inputs): "Completed"}


def test_a_cancelled_run_stops_its_job(bucket: str, tmp_path: Path) -> None:
    inputs = unique("cancelled")
    order = (bucket, {"release": str(tmp_path / "never")}, inputs)
    with killed_in_the_end(start_run(tmp_path / "dagster", *order)) as worker:
        wait_until(lambda: running(job_of(inputs)), worker)
        request_cancel(tmp_path / "dagster")
        worker.send_signal(signal.SIGTERM)
        worker.wait(30)
    wait_until(lambda: jobs(job_of(inputs)) == {job_of(inputs): "Stopped"})
    assert run_status(tmp_path / "dagster") == "CANCELED"


def test_a_run_interrupted_right_after_it_started_its_job_stops_it(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs, training = unique("interrupted"), KINDS["training"]

    def start_and_be_interrupted(*arguments: Any) -> str:
        training.start_or_adopt(*arguments)
        raise KeyboardInterrupt

    interrupted = dataclasses.replace(training, start_or_adopt=start_and_be_interrupted)
    monkeypatch.setitem(cast("dict[str, JobKind]", KINDS), "training", interrupted)
    with contextlib.suppress(KeyboardInterrupt, DagsterExecutionInterruptedError):
        run(definitions(bucket, {"release": str(tmp_path / "never")}, inputs))
    wait_until(lambda: jobs(job_of(inputs)) == {job_of(inputs): "Stopped"})


def test_two_runs_at_the_same_time_share_one_job(bucket: str, tmp_path: Path) -> None:
    release, inputs = tmp_path / "release", unique("shared")
    order = (bucket, {"release": str(release)}, inputs)
    with killed_in_the_end(start_run(tmp_path / "dagster", *order)) as worker:
        wait_until(lambda: running(job_of(inputs)), worker)
        outcome = run(definitions(*order, sleep=letting_go(release)))
        assert worker.wait(30) == 0
    assert outcome.materializations == 1
    assert run_status(tmp_path / "dagster") == "SUCCESS"
    assert jobs(job_of(inputs)) == {job_of(inputs): "Completed"}


def test_a_job_that_died_with_sagemaker_is_named_so_and_tried_again(
    settings: Settings, images_file: Path, ground_services: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, home = free_port(), tmp_path / "stand-in"
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER", f"http://127.0.0.1:{port}")
    clients.sagemaker.cache_clear()
    release, inputs = tmp_path / "release", unique("lost")
    services = [start_stand_in(home, images_file, ground_services, port)]

    def crash() -> None:
        wait_until(lambda: running(job_of(inputs)))
        services[0].kill()
        services[0].wait()
        release.touch()
        services.append(start_stand_in(home, images_file, ground_services, port))

    crasher = threading.Thread(target=crash)
    crasher.start()
    try:
        outcome = run(definitions(settings.bucket, {"release": str(release)}, inputs, retries=PATIENT))
        crasher.join()
        assert outcome.success
        assert outcome.retries == 1
        assert any("SageMaker lost job" in line and "the local stand-in was stopped" in line for line in outcome.lines)
        assert jobs(job_of(inputs)) == {job_of(inputs): "Failed", f"{job_of(inputs)}-r1": "Completed"}
    finally:
        for service in services:
            service.terminate()
            service.wait(20)
