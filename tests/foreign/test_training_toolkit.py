"""AWS's ``sagemaker-training`` toolkit as the program of a training image: script mode, as in AWS's own containers."""

import io
import json
import tarfile
from collections.abc import Callable
from typing import Any

import pytest

from tests.contract.hosting_account import Account
from tests.contract.sagemaker_requests import archive_members, ended_training_job, training_job, unique

SCRIPT = """
import argparse, json, os, pathlib, sys
parser = argparse.ArgumentParser()
parser.add_argument("--depth", type=int)
parser.add_argument("--way-out", default="")
told = parser.parse_args()
if told.way_out == "exit":
    sys.exit(7)
print(f"validation:auc={told.depth / 10};")
seen = {name: value for name, value in os.environ.items() if name.startswith("SM_")}
rows = pathlib.Path(os.environ["SM_CHANNEL_TRAIN"], "rows.csv").read_text()
text = json.dumps({"argv": sys.argv[1:], "rows": rows, "seen": seen})
pathlib.Path(os.environ["SM_MODEL_DIR"], "report.json").write_text(text)
"""
CODE = "/opt/ml/input/data/code/sourcedir.tar.gz"


@pytest.fixture
def trained(
    account: Account, foreign: Callable[[str], str], add_image: Callable[..., str]
) -> Callable[..., dict[str, Any]]:
    """Run a script in the toolkit's image; return the description of the ended job."""
    image = add_image("toolkit", train=[foreign("train"), "train"])

    def run(**parameters: Any) -> dict[str, Any]:
        name = unique("toolkit")
        for key, body in (("code/sourcedir.tar.gz", packed(SCRIPT)), ("train/rows.csv", b"1,2\n")):
            account.s3.put_object(Bucket=account.bucket, Key=f"{name}/{key}", Body=body)
        channels = [
            {
                "ChannelName": channel,
                "DataSource": {
                    "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{account.bucket}/{name}/{channel}/"}
                },
            }
            for channel in ("code", "train")
        ]
        told = parameters | {"sagemaker_program": "train.py", "sagemaker_submit_directory": CODE}
        request = training_job(account.bucket, name, InputDataConfig=channels) | {
            "HyperParameters": {key: json.dumps(value) for key, value in told.items()},
            "AlgorithmSpecification": {
                "TrainingImage": image,
                "TrainingInputMode": "File",
                "MetricDefinitions": [{"Name": "auc", "Regex": "validation:auc=(.*?);"}],
            },
        }
        account.sagemaker.create_training_job(**request)
        return ended_training_job(account.sagemaker, name)

    return run


def packed(script: str) -> bytes:
    """Return what the SDK uploads: the script in an archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        member = tarfile.TarInfo("train.py")
        member.size = len(script.encode())
        tar.addfile(member, io.BytesIO(script.encode()))
    return buffer.getvalue()


def test_the_toolkit_finds_its_container(trained: Callable[..., dict[str, Any]], account: Account) -> None:
    """Its ``SM_*`` variables come from SageMaker's files, so each of them is a check of ours."""
    job = trained(depth=9)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert {metric["MetricName"]: metric["Value"] for metric in job["FinalMetricDataList"]} == {"auc": 0.9}
    told = json.loads(archive_members(account.bucket, job["ModelArtifacts"]["S3ModelArtifacts"])["report.json"])
    seen = told["seen"]
    assert told["argv"] == ["--depth", "9"]
    assert told["rows"] == "1,2\n"
    assert seen["SM_HP_DEPTH"] == "9"
    assert json.loads(seen["SM_CHANNELS"]) == ["code", "train"]
    assert json.loads(seen["SM_HOSTS"]) == [seen["SM_CURRENT_HOST"]]
    assert (seen["SM_USER_ENTRY_POINT"], seen["SM_CURRENT_INSTANCE_TYPE"]) == ("train.py", "ml.m5.large")
    assert seen["SM_MODEL_DIR"].endswith("/model")
    assert json.loads(seen["SM_INPUT_DATA_CONFIG"])["train"]["TrainingInputMode"] == "File"
    assert json.loads(seen["SM_TRAINING_ENV"])["job_name"]


def test_the_toolkits_failure_file_and_exit_code_become_the_reason(
    trained: Callable[..., dict[str, Any]], job_lines: Callable[[str], list[str]]
) -> None:
    """The toolkit itself ends with 1 and puts the script's own code into its text."""
    job = trained(depth=1, **{"way-out": "exit"})
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("AlgorithmError: ExecuteUserScriptError:\nExitCode 7\n")
    assert job["FailureReason"].endswith(", exit code: 1")
    assert any("Reporting training FAILURE" in line for line in job_lines(job["TrainingJobName"]))
