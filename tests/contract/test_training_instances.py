"""Training on several instances, and channels that are not simply a copied prefix: real processes that meet."""

import json
import sys
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from ml_platform.core.settings import Settings
from tests.conftest import free_port
from tests.contract.sagemaker_requests import (
    SCRIPT_IMAGE,
    archive_members,
    ended_training_job,
    training_job,
    unique,
)
from tests.contract.test_restart import containers_of, running

SCRIPT = str(Path(__file__).parent / "images" / "distributed.py")


@pytest.fixture
def sagemaker(sagemaker_settings: Settings) -> Any:
    return boto3.client("sagemaker")


@pytest.fixture
def bucket(sagemaker_settings: Settings) -> str:
    return sagemaker_settings.bucket


def put(bucket: str, key: str, text: str) -> str:
    boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=text.encode())
    return f"s3://{bucket}/{key}"


def channel(uri: str, data_type: str = "S3Prefix", distribution: str = "FullyReplicated") -> dict[str, Any]:
    source = {"S3DataType": data_type, "S3Uri": uri, "S3DataDistributionType": distribution}
    return {"ChannelName": "train", "DataSource": {"S3DataSource": source}}


def job_on(count: int, bucket: str, name: str, mode: str, **overrides: Any) -> dict[str, Any]:
    algorithm = {"TrainingImage": SCRIPT_IMAGE, "TrainingInputMode": "File", "ContainerEntrypoint": [sys.executable]}
    return (
        training_job(
            bucket,
            name,
            AlgorithmSpecification=algorithm | {"ContainerArguments": [SCRIPT]},
            HyperParameters={"mode": mode, "port": str(free_port())},
            ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": count, "VolumeSizeInGB": 5},
        )
        | overrides
    )


def three_parts(bucket: str) -> dict[str, Any]:
    for name in ("a", "b", "c"):
        put(bucket, f"data/{name}.csv", name)
    return channel(f"s3://{bucket}/data/", distribution="ShardedByS3Key")


def check_meeting(bucket: str, job: dict[str, Any], hosts: list[str]) -> None:
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    model = archive_members(bucket, job["ModelArtifacts"]["S3ModelArtifacts"])
    heard = sorted(json.loads(model["heard.json"]), key=lambda one: one["host"])
    assert [one["host"] for one in heard] == hosts
    assert all(one["hosts"] == hosts for one in heard)
    assert [one["data"] for one in heard] == [{"a.csv": "a", "c.csv": "c"}, {"b.csv": "b"}]
    assert {name: text.decode() for name, text in model.items() if name != "heard.json"} == {
        "from-1": hosts[0],
        "from-2": hosts[1],
        "all": hosts[0],
    }
    uri = job["ModelArtifacts"]["S3ModelArtifacts"].replace("model.tar.gz", "output.tar.gz")
    assert archive_members(bucket, uri) == {"from.txt": hosts[0].encode()}


def test_instances_reach_each_other_by_name_and_their_models_become_one(sagemaker: Any, bucket: str) -> None:
    name = unique("meet")
    sagemaker.create_training_job(**job_on(2, bucket, name, "meet", InputDataConfig=[three_parts(bucket)]))
    job = ended_training_job(sagemaker, name)
    check_meeting(bucket, job, ["algo-1", "algo-2"])
    logs = boto3.client("logs")
    streams = logs.describe_log_streams(
        logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=f"{name}/algo-"
    )["logStreams"]
    assert {stream["logStreamName"].rpartition("-")[0] for stream in streams} == {f"{name}/algo-1", f"{name}/algo-2"}


def test_the_plain_runner_has_several_instances_too(
    settings: Settings, images_file: Path, ground_services: str, tmp_path: Path
) -> None:
    name = unique("plain")
    with running(tmp_path / "stand-in", images_file, ground_services, "--runner", "plain") as (_, sagemaker):
        request = job_on(2, settings.bucket, name, "meet", InputDataConfig=[three_parts(settings.bucket)])
        sagemaker.create_training_job(**request)
        check_meeting(settings.bucket, ended_training_job(sagemaker, name), ["127.0.0.1", "127.0.0.2"])
    assert not containers_of(tmp_path)


def test_the_first_instance_that_fails_ends_all(sagemaker: Any, bucket: str) -> None:
    name = unique("failing")
    sagemaker.create_training_job(**job_on(3, bucket, name, "fail-second"))
    job = ended_training_job(sagemaker, name)
    assert job["FailureReason"] == "AlgorithmError: the second has had enough, exit code: 5"


def shell(bucket: str, name: str, script: str, **overrides: Any) -> dict[str, Any]:
    algorithm = {
        "TrainingImage": SCRIPT_IMAGE,
        "TrainingInputMode": "FastFile",
        "ContainerEntrypoint": ["/bin/bash", "-c", f"cd ${{SAGEMAKER_BASE_DIR:-/opt/ml}}; {script}"],
    }
    return training_job(bucket, name, AlgorithmSpecification=algorithm, **overrides)


def test_fast_files_of_a_prefix_are_read_and_never_written(sagemaker: Any, bucket: str) -> None:
    put(bucket, "data/a.csv", "1,2")
    name = unique("fast")
    script = "cp -r input model; ! touch input/data/train/b && ! { echo x >> input/data/train/a.csv; }"
    sagemaker.create_training_job(**shell(bucket, name, script, InputDataConfig=[channel(f"s3://{bucket}/data/")]))
    job = ended_training_job(sagemaker, name)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    model = archive_members(bucket, job["ModelArtifacts"]["S3ModelArtifacts"])
    assert model["input/data/train/a.csv"] == b"1,2"
    assert json.loads(model["input/config/inputdataconfig.json"])["train"]["TrainingInputMode"] == "FastFile"


def test_a_manifest_names_the_objects_and_an_uncompressed_model_is_a_folder(sagemaker: Any, bucket: str) -> None:
    for name in ("a.csv", "deep/b.csv", "c.csv"):
        put(bucket, f"data/{name}", name)
    manifest = put(bucket, "list.manifest", json.dumps([{"prefix": f"s3://{bucket}/data/"}, "a.csv", "deep/b.csv"]))
    name = unique("manifest")
    request = shell(bucket, name, "cp -r input/data/train model/", InputDataConfig=[channel(manifest, "ManifestFile")])
    request["AlgorithmSpecification"]["TrainingInputMode"] = "File"
    request["OutputDataConfig"]["CompressionType"] = "NONE"
    sagemaker.create_training_job(**request)
    job = ended_training_job(sagemaker, name)
    assert job["ModelArtifacts"]["S3ModelArtifacts"] == f"s3://{bucket}/jobs/{name}/output/model/"
    found = boto3.client("s3").list_objects_v2(Bucket=bucket, Prefix=f"jobs/{name}/")["Contents"]
    assert [one["Key"].removeprefix(f"jobs/{name}/output/model/train/") for one in found] == ["a.csv", "deep/b.csv"]


@pytest.mark.parametrize("text", ["no json", "[]", '["a.csv"]', '[{"prefix": 3}]', '[{"prefix": "s3://b/"}, 4]'])
def test_a_manifest_that_is_none_fails_the_job(sagemaker: Any, bucket: str, text: str) -> None:
    name = unique("manifest")
    source = [channel(put(bucket, "broken", text), "ManifestFile")]
    sagemaker.create_training_job(**job_on(1, bucket, name, "meet", InputDataConfig=source))
    job = ended_training_job(sagemaker, name)
    assert (job["TrainingJobStatus"], "manifest" in job["FailureReason"]) == ("Failed", True)


def test_an_isolated_job_reaches_nothing_but_itself(sagemaker: Any, bucket: str) -> None:
    name = unique("isolated")
    code = "import socket; socket.create_server(('localhost', 0)); socket.create_connection(('192.0.2.1', 9), 2)"
    request = shell(bucket, name, f'python3 -c "{code}" 2> output/failure', EnableNetworkIsolation=True)
    sagemaker.create_training_job(**request)
    assert "Network is unreachable" in ended_training_job(sagemaker, name)["FailureReason"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 99, "VolumeSizeInGB": 1}}, "99 instances"),
        ({"EnableNetworkIsolation": True}, "could not reach each other"),
        ({"InputDataConfig": [channel("s3://b/c") | {"RecordWrapperType": "RecordIO"}]}, "RecordIO"),
        ({"InputDataConfig": [channel("s3://b/c") | {"InputMode": "Pipe"}]}, "Pipe"),
        ({"InputDataConfig": [channel("s3://b/c", "AugmentedManifestFile")]}, "AugmentedManifestFile"),
        ({"InputDataConfig": [channel("s3://b/c", "ManifestFile") | {"InputMode": "FastFile"}]}, "requires"),
    ],
)
def test_what_is_not_acted_on_is_refused(sagemaker: Any, bucket: str, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ClientError, match=message):
        sagemaker.create_training_job(**job_on(2, bucket, unique("refused"), "meet", **change))
