"""The AWS CLI (version 1, from PyPI) on the stand-in: train, host, ask, wait, delete, and be refused."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.contract.hosting_account import IMAGE, ROLE, Account
from tests.contract.sagemaker_requests import archive, ended_training_job, training_job, unique

Aws = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def aws(foreign: Callable[[str], str], environment: dict[str, str]) -> Aws:
    """Run one command of the CLI."""
    program = foreign("aws")

    def run(*arguments: str, **changes: str) -> "subprocess.CompletedProcess[str]":
        command = [program, "--no-paginate", *arguments]
        return subprocess.run(
            command, env=environment | changes, capture_output=True, text=True, timeout=60, check=False
        )

    return run


def told(ended: "subprocess.CompletedProcess[str]") -> Any:
    """Return what a command that succeeded has printed."""
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout) if ended.stdout.strip() else None


def test_the_cli_trains_and_waits(aws: Aws, account: Account) -> None:
    name = unique("cli")
    request = json.dumps(training_job(account.bucket, name))
    assert told(aws("sagemaker", "create-training-job", "--cli-input-json", request))["TrainingJobArn"].endswith(name)
    # The CLI's own waiter looks once in two minutes.
    ended_training_job(account.sagemaker, name)
    told(aws("sagemaker", "wait", "training-job-completed-or-stopped", "--training-job-name", name))
    query = "[TrainingJobStatus, ModelArtifacts.S3ModelArtifacts]"
    status, artifact = told(aws("sagemaker", "describe-training-job", "--training-job-name", name, "--query", query))
    assert status == "Completed"
    assert aws("s3", "ls", artifact).stdout.split()[-1] == "model.tar.gz"


def test_the_cli_fails_a_wait_for_a_job_that_failed(aws: Aws, account: Account) -> None:
    name = unique("cli")
    account.sagemaker.create_training_job(**training_job(account.bucket, name, "fail"))
    ended_training_job(account.sagemaker, name)
    waited = aws("sagemaker", "wait", "training-job-completed-or-stopped", "--training-job-name", name)
    assert waited.returncode == 255
    assert "terminal failure state" in waited.stderr


def test_the_cli_hosts_a_model_from_its_upload_to_its_deletion(aws: Aws, account: Account, tmp_path: Path) -> None:
    name = unique("cli")
    (tmp_path / "model.tar.gz").write_bytes(archive({"answer.txt": "from the cli"}))
    uri = f"s3://{account.bucket}/cli/model.tar.gz"
    assert aws("s3", "cp", str(tmp_path / "model.tar.gz"), uri).returncode == 0
    container = f"Image={IMAGE},ModelDataUrl={uri}"
    told(
        aws(
            "sagemaker",
            "create-model",
            "--model-name",
            name,
            "--execution-role-arn",
            ROLE,
            "--primary-container",
            container,
        )
    )
    variant = f"VariantName=only,ModelName={name},InitialInstanceCount=1,InstanceType=ml.m5.large"
    told(aws("sagemaker", "create-endpoint-config", "--endpoint-config-name", name, "--production-variants", variant))
    told(aws("sagemaker", "create-endpoint", "--endpoint-name", name, "--endpoint-config-name", name))
    account.settled(name)
    told(aws("sagemaker", "wait", "endpoint-in-service", "--endpoint-name", name))
    answer = tmp_path / "answer"
    (tmp_path / "body").write_text("1,2")
    asked = [
        "--endpoint-name",
        name,
        "--content-type",
        "text/csv",
        "--body",
        f"fileb://{tmp_path / 'body'}",
        str(answer),
    ]
    assert told(aws("sagemaker-runtime", "invoke-endpoint", *asked))["InvokedProductionVariant"] == "only"
    assert answer.read_text() == "from the cli"
    listed = told(aws("sagemaker", "list-endpoints", "--name-contains", name, "--query", "Endpoints[].EndpointStatus"))
    assert listed == ["InService"]
    told(aws("sagemaker", "delete-endpoint", "--endpoint-name", name))
    account.sagemaker.get_waiter("endpoint_deleted").wait(EndpointName=name, WaiterConfig={"Delay": 1})
    told(aws("sagemaker", "wait", "endpoint-deleted", "--endpoint-name", name))


def test_the_cli_shows_an_error_as_awss(aws: Aws) -> None:
    refused = aws("sagemaker", "describe-model", "--model-name", "there-is-none")
    assert refused.returncode == 255
    assert "An error occurred (ValidationException) when calling the DescribeModel operation" in refused.stderr


def test_the_cli_takes_the_address_as_an_option(aws: Aws, account: Account, stand_in: str) -> None:
    name = account.a_model("asked for by option")
    nowhere = {"AWS_ENDPOINT_URL_SAGEMAKER": "http://127.0.0.1:1"}
    described = aws("--endpoint-url", stand_in, "sagemaker", "describe-model", "--model-name", name, **nowhere)
    assert told(described)["ModelName"] == name
