"""What somebody malicious would try on the stand-in: reach it from outside, leave a folder, read the host's secrets."""

import http.client
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import boto3
import pytest

from ml_platform.core.settings import Settings
from ml_platform.local_sagemaker.__main__ import parse_arguments
from tests.contract.hosting_account import IMAGE, Account, register_image
from tests.contract.sagemaker_requests import ROLE, ended_training_job, seen_by, training_job, unique

OUTSIDE = ("..", "../../escaped", "/etc/escaped", "a/../../escaped", "%2e%2e%2fescaped", "a\0b")


@pytest.fixture
def account(sagemaker_settings: Settings, stand_in: str, images_file: Path) -> Account:
    register_image(images_file)
    return Account(stand_in, sagemaker_settings.bucket)


def ask(stand_in: str, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
    """Send a request that no well-behaved client would send."""
    connection = http.client.HTTPConnection(stand_in.removeprefix("http://"), timeout=10)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "localhost.example.com", "", "2130706433"])  # noqa: S104
def test_other_machines_are_not_let_in_unasked(
    host: str, images_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(SystemExit) as refusal:
        parse_arguments(["--home", str(tmp_path), "--images", str(images_file), "--host", host])
    assert refusal.value.code == 2
    assert "would let other machines run code here" in capsys.readouterr().err


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.0.0.53"])
def test_loopback_needs_no_permission(
    host: str, images_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    options = parse_arguments(["--home", str(tmp_path), "--images", str(images_file), "--host", host])
    assert options.host == host


@pytest.mark.parametrize("path", ["/", "/endpoints/a/invocations", "/_stand-in/faults", "/health"])
@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost@evil.example", ""])
def test_a_web_page_cannot_reach_it_by_a_name_that_points_here(stand_in: str, path: str, host: str) -> None:
    assert ask(stand_in, "POST", path, b"{}", Host=host, X_Amz_Target="SageMaker.ListModels")[0] == 403


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize(
    ("operation", "member"),
    [
        ("CreateTrainingJob", "TrainingJobName"),
        ("CreateProcessingJob", "ProcessingJobName"),
        ("CreateTransformJob", "TransformJobName"),
        ("CreateEndpoint", "EndpointName"),
        ("CreateModel", "ModelName"),
        ("DeleteEndpoint", "EndpointName"),
    ],
)
def test_a_name_cannot_be_a_path(stand_in: str, operation: str, member: str, name: str) -> None:
    body = json.dumps({member: name}).encode()
    status, said = ask(stand_in, "POST", "/", body, X_Amz_Target=f"SageMaker.{operation}")
    assert status == 400
    assert b"ValidationException" in said
    assert b"failed to satisfy constraint" in said


@pytest.mark.parametrize("name", ["..", "..%2f..%2fescaped", "%2e%2e", "a%00b"])
def test_an_endpoint_in_an_address_cannot_be_a_path(stand_in: str, name: str) -> None:
    status, _ = ask(stand_in, "POST", f"/endpoints/{name}/invocations", b"1")
    assert status in (400, 404)


def test_a_channel_cannot_be_a_path(stand_in: str, account: Account) -> None:
    for channel in (".", "..", "../escaped", "/etc"):
        source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{account.bucket}/data"}
        request = training_job(account.bucket, unique("channel"))
        request["InputDataConfig"] = [{"ChannelName": channel, "DataSource": {"S3DataSource": source}}]
        body = json.dumps(request).encode()
        status, said = ask(stand_in, "POST", "/", body, X_Amz_Target="SageMaker.CreateTrainingJob")
        assert (status, b"channelName" in said) == (400, True)


def test_a_key_cannot_write_outside_the_channel(account: Account, tmp_path: Path) -> None:
    s3: Any = boto3.client("s3")
    # From .../training-jobs/<name>/ml/input/data/train these lead to the stand-in's own folder and to the root.
    for depth in (6, 30):
        s3.put_object(Bucket=account.bucket, Key=f"data/{'../' * depth}tmp/{tmp_path.name}-escaped", Body=b"x")
    keys = [entry["Key"] for entry in s3.list_objects_v2(Bucket=account.bucket)["Contents"]]
    assert any(".." in key for key in keys), "S3 itself keeps such keys"
    name = unique("key")
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{account.bucket}/data/"}
    request = training_job(account.bucket, name)
    request["InputDataConfig"] = [{"ChannelName": "train", "DataSource": {"S3DataSource": source}}]
    account.sagemaker.create_training_job(**request)
    job = ended_training_job(account.sagemaker, name)
    assert job["TrainingJobStatus"] == "Failed"
    assert "would leave its folder" in job["FailureReason"]
    assert not Path("/tmp", f"{tmp_path.name}-escaped").exists()  # noqa: S108 - where the key points


@pytest.mark.parametrize("member", ["../../../../escaped", "link"])
def test_an_archive_cannot_write_outside_the_model(account: Account, member: str) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        info = tarfile.TarInfo(member)
        if member == "link":
            info.type, info.linkname = tarfile.SYMTYPE, "/etc"
        tar.addfile(info, io.BytesIO(b""))
    account.s3.put_object(Bucket=account.bucket, Key="evil.tar.gz", Body=archive.getvalue())
    name = unique("evil")
    container = {"Image": IMAGE, "ModelDataUrl": f"s3://{account.bucket}/evil.tar.gz"}
    account.sagemaker.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container)
    account.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[account.a_variant(name)])
    account.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    described = account.settled(name)
    assert described["EndpointStatus"] == "Failed"
    assert "Failed to extract model data archive" in described["FailureReason"]


def test_a_job_sees_nothing_of_the_hosts_environment(account: Account) -> None:
    name = unique("environment")
    account.sagemaker.create_training_job(**training_job(account.bucket, name, Environment={"MINE": "1"}))
    seen = seen_by(account.bucket, ended_training_job(account.sagemaker, name))["environment"]
    usual = {"PATH", "HOME", "TMPDIR", "LANG", "PYTHONUNBUFFERED", "SAGEMAKER_BASE_DIR"}
    shells = {"PWD", "OLDPWD", "SHLVL", "_", "LC_CTYPE"}
    assert seen.keys() - usual - shells == {"MINE", "AWS_REGION", "TRAINING_JOB_NAME", "TRAINING_JOB_ARN"}
    assert "testing" not in seen.values(), "the stand-in's own credentials"
