"""Processing jobs through unmodified boto3: a real process, SageMaker's files, and outputs in S3 while it runs."""

import json
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from ml_platform.core.settings import Settings
from tests.contract.sagemaker_requests import ROLE, SCRIPT_IMAGE, unique, wait_for
from tests.contract.test_restart import containers_of, running

# The plain runner has no /opt/ml of the job's own.
ML = "${SAGEMAKER_BASE_DIR:-/opt/ml}"
IN, OUT = "/opt/ml/processing/input", "/opt/ml/processing/output"


@pytest.fixture
def sagemaker(sagemaker_settings: Settings) -> Any:
    return boto3.client("sagemaker")


@pytest.fixture
def bucket(sagemaker_settings: Settings) -> str:
    return sagemaker_settings.bucket


def put(bucket: str, key: str, text: str) -> str:
    boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=text.encode())
    return f"s3://{bucket}/{key}"


def get(bucket: str, key: str) -> str:
    return boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read().decode()


def keys(bucket: str, prefix: str) -> list[str]:
    return [one["Key"] for one in boto3.client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])]


def processing_job(script: str, *arguments: str, count: int = 1, **overrides: Any) -> dict[str, Any]:
    """A request that AWS would accept, for a shell script: AWS takes no line ends in an entry point."""
    cluster = {"InstanceType": "ml.m5.large", "InstanceCount": count, "VolumeSizeInGB": 5}
    application = {
        "ImageUri": SCRIPT_IMAGE,
        "ContainerEntrypoint": ["/bin/bash", "-c", "; ".join(script.strip().splitlines()), "bash"],
        **({"ContainerArguments": [*arguments]} if arguments else {}),
    }
    return {
        "ProcessingJobName": unique("processing"),
        "RoleArn": ROLE,
        "AppSpecification": application,
        "ProcessingResources": {"ClusterConfig": cluster},
    } | overrides


def s3_input(uri: str, data_type: str = "S3Prefix", distribution: str = "FullyReplicated") -> dict[str, Any]:
    source = {"S3Uri": uri, "LocalPath": IN, "S3DataType": data_type, "S3InputMode": "File"}
    return {"InputName": "data", "S3Input": source | {"S3DataDistributionType": distribution}}


def s3_output(uri: str, mode: str = "EndOfJob") -> dict[str, Any]:
    return {"Outputs": [{"OutputName": "out", "S3Output": {"S3Uri": uri, "LocalPath": OUT, "S3UploadMode": mode}}]}


def ended(sagemaker: Any, request: dict[str, Any]) -> dict[str, Any]:
    sagemaker.create_processing_job(**request)
    return wait_until_ended(sagemaker, request["ProcessingJobName"])


def wait_until_ended(sagemaker: Any, name: str) -> dict[str, Any]:
    return wait_for(
        lambda: sagemaker.describe_processing_job(ProcessingJobName=name),
        lambda job: job["ProcessingJobStatus"] not in ("InProgress", "Stopping"),
    )


def test_inputs_arguments_and_configuration_reach_the_job_and_its_files_s3(sagemaker: Any, bucket: str) -> None:
    put(bucket, "raw/a.csv", "1")
    put(bucket, "raw/deep/b.csv", "2")
    script = f"""
cd {ML}/processing
cat input/a.csv input/deep/b.csv > output/joined.csv
mkdir output/more; echo "$1 $COLOUR $(env | grep -c AWS_SECRET)" > output/more/said.txt
cat ../config/processingjobconfig.json > output/config.json
cat ../config/resourceconfig.json > output/resources.json
ln -s /etc/passwd output/link; ln -s /etc output/folder
printf 'all good' > ../output/message
"""
    put(bucket, "raw/job.sh", script)
    request = processing_job(
        f". {ML}/processing/input/job.sh",
        "--flag",
        ProcessingInputs=[s3_input(f"s3://{bucket}/raw/")],
        ProcessingOutputConfig=s3_output(f"s3://{bucket}/clean/"),
        Environment={"COLOUR": "blue"},
    )
    job = ended(sagemaker, request)
    assert job["ProcessingJobStatus"] == "Completed", job
    assert job["ExitMessage"] == "all good"
    assert job["CreationTime"] <= job["ProcessingStartTime"] <= job["ProcessingEndTime"]
    names = ["config.json", "joined.csv", "more/said.txt", "resources.json"]
    assert keys(bucket, "clean/") == [f"clean/{name}" for name in names]
    assert get(bucket, "clean/joined.csv") == "12"
    assert get(bucket, "clean/more/said.txt") == "--flag blue 0\n"
    config = json.loads(get(bucket, "clean/config.json"))
    assert config["ProcessingInputs"][0]["S3Input"]["LocalPath"] == IN
    assert config["AppSpecification"] == request["AppSpecification"]
    assert not {key for key in config if key.startswith("_")}
    resources = json.loads(get(bucket, "clean/resources.json"))
    assert resources["hosts"] == [resources["current_host"]]


def test_log_lines_arrive_in_the_jobs_own_stream(sagemaker: Any) -> None:
    request = processing_job("echo one; echo two >&2")
    assert ended(sagemaker, request)["ProcessingJobStatus"] == "Completed"
    logs, group = boto3.client("logs"), "/aws/sagemaker/ProcessingJobs"
    prefix = f"{request['ProcessingJobName']}/algo-1-"
    (stream,) = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=prefix)["logStreams"]
    events = logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True)
    assert [event["message"] for event in events["events"]] == ["one", "two"]


def test_the_exit_code_decides_and_only_a_completed_job_uploads_at_its_end(sagemaker: Any, bucket: str) -> None:
    script = f"echo half > {ML}/processing/output/half; printf 'no rows' > {ML}/output/message; exit 4"
    job = ended(sagemaker, processing_job(script, ProcessingOutputConfig=s3_output(f"s3://{bucket}/failed")))
    assert job["ProcessingJobStatus"] == "Failed"
    assert job["FailureReason"] == "AlgorithmError: no rows, exit code: 4"
    assert job["ExitMessage"] == "no rows"
    assert not keys(bucket, "failed")


def test_the_exit_message_is_a_kilobyte_of_utf_8_or_the_job_fails(sagemaker: Any) -> None:
    long = processing_job(f"printf 'é%.0s' $(seq 700) > {ML}/output/message")
    broken = processing_job(f"printf '\\377' > {ML}/output/message")
    job = ended(sagemaker, long)
    assert (job["ProcessingJobStatus"], job["ExitMessage"]) == ("Completed", "é" * 512)
    job = ended(sagemaker, broken)
    assert (job["ProcessingJobStatus"], "UTF-8" in job["FailureReason"]) == ("Failed", True)


def test_continuous_output_is_in_s3_while_the_job_runs_and_a_stop_is_heard(sagemaker: Any, bucket: str) -> None:
    script = f"""
cd {ML}/processing/output
trap 'echo stopped > last; exit 0' TERM
echo 1 > first; while sleep 0.05; do true; done
"""
    request = processing_job(script, ProcessingOutputConfig=s3_output(f"s3://{bucket}/live", "Continuous"))
    name = request["ProcessingJobName"]
    sagemaker.create_processing_job(**request)
    wait_for(lambda: keys(bucket, "live"), lambda found: found == ["live/first"])
    assert sagemaker.describe_processing_job(ProcessingJobName=name)["ProcessingJobStatus"] == "InProgress"
    with pytest.raises(ClientError, match="in status InProgress"):
        sagemaker.delete_processing_job(ProcessingJobName=name)
    sagemaker.stop_processing_job(ProcessingJobName=name)
    assert wait_until_ended(sagemaker, name)["ProcessingJobStatus"] == "Stopped"
    assert keys(bucket, "live") == ["live/first", "live/last"]
    with pytest.raises(ClientError, match="in status Stopped"):
        sagemaker.stop_processing_job(ProcessingJobName=name)
    sagemaker.delete_processing_job(ProcessingJobName=name)
    with pytest.raises(ClientError, match="Requested resource not found"):
        sagemaker.describe_processing_job(ProcessingJobName=name)


def test_a_job_that_runs_too_long_is_stopped(sagemaker: Any) -> None:
    request = processing_job("sleep 60", StoppingCondition={"MaxRuntimeInSeconds": 1})
    job = ended(sagemaker, request)
    assert (job["ProcessingJobStatus"], "MaxRuntimeInSeconds" in job["FailureReason"]) == ("Stopped", True)


def test_instances_share_the_objects_of_a_manifest_and_the_first_failure_ends_all(sagemaker: Any, bucket: str) -> None:
    for name in "abc":
        put(bucket, f"parts/{name}", name)
    manifest = put(bucket, "manifest.json", json.dumps([{"prefix": f"s3://{bucket}/parts/"}, "a", "b", "c"]))
    script = f"cd {ML}/processing; touch output/$(cat input/*)"
    inputs = [s3_input(manifest, "ManifestFile", "ShardedByS3Key")]
    request = processing_job(
        script, count=2, ProcessingInputs=inputs, ProcessingOutputConfig=s3_output(f"s3://{bucket}/shards")
    )
    assert ended(sagemaker, request)["ProcessingJobStatus"] == "Completed"
    assert keys(bucket, "shards") == ["shards/ac", "shards/b"]
    failing = processing_job(f"[ -e {ML}/processing/input/b ] && exit 6; sleep 60", count=2, ProcessingInputs=inputs)
    assert ended(sagemaker, failing)["FailureReason"] == "AlgorithmError: , exit code: 6"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"AppSpecification": {"ImageUri": "x/unknown:1"}}, "ContainerEntrypoint"),
        ({"ProcessingInputs": [{"InputName": "a", "DatasetDefinition": {}}]}, "does not implement"),
        ({"ProcessingInputs": [s3_input("s3://b/c"), s3_input("s3://b/c")]}, "must be unique"),
        ({"ProcessingOutputConfig": {"Outputs": [{"OutputName": "a"}]}}, "does not implement"),
    ],
)
def test_what_cannot_be_done_is_refused_at_creation(sagemaker: Any, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ClientError, match=message):
        sagemaker.create_processing_job(**processing_job("true", **change))


@pytest.mark.parametrize("path", ["/etc", "/opt/ml/processing/../../../etc", "relative", "/opt/ml/processingx"])
def test_local_paths_stay_among_the_jobs_data(sagemaker: Any, path: str) -> None:
    output = s3_output("s3://bucket/x")
    output["Outputs"][0]["S3Output"]["LocalPath"] = path
    with pytest.raises(ClientError, match="LocalPath"):
        sagemaker.create_processing_job(**processing_job("true", ProcessingOutputConfig=output))


def test_jobs_are_listed_by_status(sagemaker: Any) -> None:
    request = processing_job("exit 1")
    ended(sagemaker, request)
    page = sagemaker.list_processing_jobs(NameContains=request["ProcessingJobName"], StatusEquals="Failed")
    assert [job["ProcessingJobName"] for job in page["ProcessingJobSummaries"]] == [request["ProcessingJobName"]]


def test_a_killed_stand_in_leaves_no_process_and_says_that_the_job_was_lost(
    settings: Settings, images_file: Path, ground_services: str, tmp_path: Path
) -> None:
    home, bucket = tmp_path / "stand-in", settings.bucket
    script = f"echo 1 > {ML}/processing/output/first; while sleep 0.05; do true; done"
    output = s3_output(f"s3://{bucket}/live", "Continuous")
    running_job, stopping = (processing_job(script, count=2, ProcessingOutputConfig=output) for _ in range(2))
    with running(home, images_file, ground_services, "--runner", "plain") as (process, sagemaker):
        for request in (running_job, stopping):
            sagemaker.create_processing_job(**request)
        wait_for(lambda: keys(bucket, "live"), bool)
        wait_for(lambda: containers_of(home), lambda found: len(found) >= 4)
        sagemaker.stop_processing_job(ProcessingJobName=stopping["ProcessingJobName"])
        process.kill()
        process.wait()
    wait_for(lambda: containers_of(home), lambda found: not found)
    with running(home, images_file, ground_services) as (_, sagemaker):
        for request in (running_job, stopping):
            job = wait_until_ended(sagemaker, request["ProcessingJobName"])
            assert (job["ProcessingJobStatus"], "was stopped while" in job["FailureReason"]) == ("Failed", True)
    assert not [*(home / "processing-jobs").iterdir()]
