"""Dagster runs whose asset a SageMaker job makes: what they show, and that results come once whoever asks."""

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from dagster_aws.pipes import PipesS3ContextInjector, PipesS3MessageReader

from ml_platform.aws import clients, training_jobs
from ml_platform.core.settings import Settings
from ml_platform.resources.pipes.retries import PATIENT
from tests.contract import pipes_runs
from tests.contract.pipes_runs import REGION, definitions, job_of, jobs, made_by, run, wait_until
from tests.contract.sagemaker_requests import ROLE, SERVER_IMAGE, archive, unique


@pytest.fixture(scope="module", autouse=True)
def reporter_image(images_file: Path, stand_in: str) -> None:
    pipes_runs.register_image(images_file)


@pytest.fixture
def bucket(sagemaker_settings: Settings) -> str:
    return sagemaker_settings.bucket


@pytest.fixture
def fault(stand_in: str) -> Iterator[Callable[[str, str], None]]:
    """Let something go wrong once: ``fault(kind, target)``."""

    def ask(method: str, document: Any = None) -> None:
        body = json.dumps(document).encode()
        urlopen(Request(f"{stand_in}/_stand-in/faults", body, method=method), timeout=10).close()  # noqa: S310

    yield lambda kind, target: ask("POST", {"kind": kind, "target": target})
    ask("DELETE")


@pytest.fixture
def access(ground_services: str) -> dict[str, str]:
    """What a container has by its role on AWS."""
    keys = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
    return {"AWS_ENDPOINT_URL": ground_services, "AWS_DEFAULT_REGION": REGION, **keys}


def test_a_run_shows_what_the_job_says_and_costs_and_so_does_one_that_adopts_it(bucket: str) -> None:
    inputs = unique("shows")
    for adopted in (False, True):
        outcome = run(definitions(bucket, {"twice": "1"}, inputs))
        name = job_of(inputs)
        assert name.startswith("shop-model-")
        assert (outcome.metadata["training_job"], outcome.metadata["adopted"]) == (name, adopted)
        assert outcome.metadata["console"].endswith(f"#/jobs/{name}")
        assert outcome.metadata["billable_seconds"] >= 1
        assert outcome.metadata["estimated_cost_usd"] > 0
        assert (outcome.metadata["instance_type"], outcome.metadata["phase"]) == ("ml.m5.large", "Completed")
        # The container said both twice, and the second run read it all again.
        assert (outcome.materializations, outcome.checks, outcome.metadata["rows"]) == (1, [True], 42)
        assert {"loss=0.5;", "half way", f"{name}: Completed", f"[pipes] {name}: loss 0.5"} <= set(outcome.lines)
        assert not [line for line in outcome.lines if "__dagster_pipes_version" in line]
    assert jobs(name) == {name: "Completed"}


def test_context_and_messages_go_through_s3_and_an_adopter_reads_the_jobs_own(
    bucket: str, access: dict[str, str]
) -> None:
    s3 = clients.s3(REGION)
    client = {
        "context_injector": PipesS3ContextInjector(bucket=bucket, client=s3),
        # One reader for both runs: it must not remember the first one's messages in the second.
        "message_reader": PipesS3MessageReader(bucket=bucket, client=s3, interval=0),
    }
    ways = {**client, "overrides": {"Environment": access}}
    inputs = unique("s3")
    for adopted in (False, True):
        outcome = run(definitions(bucket, {"s3": "both"}, inputs, **ways))
        assert outcome.success, outcome.errors
        assert (outcome.metadata["rows"], outcome.metadata["adopted"]) == (42, adopted)
        assert (outcome.materializations, outcome.checks) == (1, [True])
    assert list(jobs(outcome.metadata["training_job"]).values()) == ["Completed"]


def test_a_failed_job_gives_its_reason_and_the_next_run_a_new_attempt(bucket: str) -> None:
    inputs = unique("failed")
    asked = definitions(bucket, {"fail": "no such column: amount"}, inputs, retries=PATIENT)
    first, second = run(asked), run(asked)
    assert "AlgorithmError: no such column: amount" in first.errors[0]
    name = first.failure["training_job"]
    assert first.failure["job_status"] == "Failed"
    assert second.failure["training_job"] == f"{name}-r1"
    assert jobs(name) == {name: "Failed", f"{name}-r1": "Failed"}
    # The same inputs fail again: that is no case for a retry.
    assert (first.retries, second.retries) == (0, 0)


def test_throttled_calls_are_repeated_and_start_one_job(bucket: str, fault: Callable[[str, str], None]) -> None:
    fault("throttling", "CreateTrainingJob")
    outcome = run(definitions(bucket, {}, unique("throttled")))
    assert outcome.success
    assert list(jobs(outcome.metadata["training_job"]).values()) == ["Completed"]


def test_a_job_without_capacity_is_tried_again(bucket: str, fault: Callable[[str, str], None]) -> None:
    inputs = unique("capacity")
    fault("capacity", job_of(inputs))
    outcome = run(definitions(bucket, {}, inputs, retries=PATIENT))
    assert outcome.success
    assert outcome.retries == 1
    assert any("SageMaker has no ml.m5.large" in line and "A retry can succeed" in line for line in outcome.lines)
    assert jobs(job_of(inputs)) == {job_of(inputs): "Failed", f"{job_of(inputs)}-r1": "Completed"}


def test_a_spot_job_that_lost_its_instances_goes_on_and_says_so(
    bucket: str, fault: Callable[[str, str], None], tmp_path: Path
) -> None:
    release, inputs = tmp_path / "release", unique("spot")
    spot = {
        "EnableManagedSpotTraining": True,
        "StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 60},
    }
    fault("spot-interruption", job_of(inputs))

    def release_once_interrupted() -> None:
        wait_until(lambda: interruptions(inputs))
        release.touch()

    helper = threading.Thread(target=release_once_interrupted)
    helper.start()
    outcome = run(definitions(bucket, {"release": str(release)}, inputs, overrides=spot))
    helper.join()
    assert outcome.success
    assert outcome.metadata["spot_interruptions"] == 1
    assert (outcome.materializations, outcome.retries) == (1, 0)


def interruptions(inputs: str) -> int:
    job = training_jobs.describe(REGION, job_of(inputs))
    return job.interruptions if job else 0


def test_a_job_that_somebody_stopped_fails_its_run_and_is_not_tried_again(bucket: str, tmp_path: Path) -> None:
    inputs = unique("stopped")

    def stop_it() -> None:
        wait_until(lambda: job_of(inputs) in jobs(job_of(inputs)))
        training_jobs.stop(REGION, job_of(inputs))

    helper = threading.Thread(target=stop_it)
    helper.start()
    outcome = run(definitions(bucket, {"release": str(tmp_path / "never")}, inputs, retries=PATIENT))
    helper.join()
    assert not outcome.success
    assert outcome.retries == 0
    assert "was stopped" in outcome.errors[0]
    assert jobs(job_of(inputs)) == {job_of(inputs): "Stopped"}


def processing_job(**environment: str) -> dict[str, Any]:
    cluster = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5}
    return {
        "RoleArn": ROLE,
        "AppSpecification": {"ImageUri": pipes_runs.IMAGE},
        "ProcessingResources": {"ClusterConfig": cluster},
        "Environment": environment,
    }


def test_a_processing_job_reports_and_is_adopted(bucket: str, access: dict[str, str]) -> None:
    inputs = unique("processing")
    # Its environment is too small for a context, so that goes through S3; messages come by the log.
    by_s3 = PipesS3ContextInjector(bucket=bucket, client=clients.s3(REGION))
    request = processing_job(s3="context", **access)
    asked = made_by("processing", request, inputs, checks=["rows_arrived"], context_injector=by_s3)
    for adopted in (False, True):
        outcome = run(asked)
        assert outcome.success, outcome.errors
        assert outcome.metadata["processing_job"] == job_of(inputs)
        assert (outcome.metadata["rows"], outcome.metadata["adopted"]) == (42, adopted)
        assert outcome.metadata["estimated_cost_usd"] > 0
        assert "loss=0.5;" in outcome.lines


def test_nobody_waits_for_the_last_words_of_a_container_that_says_nothing(bucket: str) -> None:
    inputs = unique("silent")
    request = processing_job(silent="yes")
    by_s3 = PipesS3ContextInjector(bucket=bucket, client=clients.s3(REGION))
    silent = {"context_injector": by_s3, "container_reports": False, "log_grace_seconds": 600}
    outcome = run(made_by("processing", request, inputs, **silent))
    assert outcome.success, outcome.errors
    assert not [line for line in outcome.lines if "did not receive" in line]


def transform_job(bucket: str) -> dict[str, Any]:
    s3, model = clients.s3(REGION), unique("model")
    s3.put_object(Bucket=bucket, Key="model.tar.gz", Body=archive({"offset": "0.5"}))
    s3.put_object(Bucket=bucket, Key="in/a.csv", Body=b"1,2")
    container = {"Image": SERVER_IMAGE, "ModelDataUrl": f"s3://{bucket}/model.tar.gz"}
    clients.sagemaker(REGION).create_model(ModelName=model, ExecutionRoleArn=ROLE, PrimaryContainer=container)
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/in/"}}
    return {
        "ModelName": model,
        "TransformInput": {"DataSource": source, "ContentType": "text/csv"},
        "TransformOutput": {"S3OutputPath": f"s3://{bucket}/out"},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
    }


def test_a_transform_job_is_followed_and_adopted(bucket: str) -> None:
    asked, inputs = transform_job(bucket), unique("transform")
    for adopted in (False, True):
        outcome = run(made_by("transform", asked, inputs, log_grace_seconds=600))
        assert outcome.success, outcome.errors
        assert not [line for line in outcome.lines if "did not receive" in line]
        assert (outcome.metadata["transform_job"], outcome.metadata["adopted"]) == (job_of(inputs), adopted)
    assert "TransformJobName" not in asked
    assert "Environment" not in asked


def test_a_transform_job_whose_server_is_killed_under_each_request_fails_and_the_next_run_makes_one_attempt(
    bucket: str, fault: Callable[[str, str], None]
) -> None:
    asked, inputs = transform_job(bucket), unique("crash")
    for _ in range(1 + 3):  # the request and its retries
        fault("server-crash", job_of(inputs))
    first = run(made_by("transform", asked, inputs, retries=PATIENT))
    assert not first.success
    assert "AlgorithmError" in first.errors[0]
    assert first.retries == 0
    second = run(made_by("transform", asked, inputs))
    assert second.success
    assert second.metadata["transform_job"] == f"{job_of(inputs)}-r1"


def test_an_environment_that_aws_would_refuse_is_refused_with_the_remedy(bucket: str) -> None:
    note = {"overrides": {"Environment": {"NOTE": "x" * 513}}}
    said = run(definitions(bucket, {}, unique("long"), **note)).errors[0]
    assert "NOTE of a training job has 513 characters; SageMaker allows 512. Shorten it" in said
