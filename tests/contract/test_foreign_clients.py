"""Clients that others wrote, unmodified: the SageMaker SDK v3 and every waiter of boto3."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import pytest

from ml_platform.core.settings import Settings
from tests.contract.hosting_account import Account, register_image
from tests.contract.sagemaker_requests import archive_members, ended_training_job, training_job, unique

SDK = Path(__file__).with_name("sagemaker_sdk.py")
SDK_IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/test-sdk:latest"
TRAIN = """
import os, pathlib
pathlib.Path(os.environ["SM_MODEL_DIR"], "depth.txt").write_text(os.environ["SM_HP_DEPTH"])
"""
FAST = {"Delay": 1, "MaxAttempts": 30}


@pytest.fixture
def account(sagemaker_settings: Settings, stand_in: str, images_file: Path) -> Account:
    register_image(images_file)
    return Account(stand_in, sagemaker_settings.bucket)


def run_sdk(*arguments: str) -> dict[str, Any]:
    """Run a user's script; the SDK must not ask IAM whether the role may do this."""
    environment = os.environ | {"SAGEMAKER_VALIDATE_ROLE": "false", "AWS_REGION": "us-east-1"}
    command = [sys.executable, "-W", "ignore", str(SDK), *arguments]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    told: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return told


def test_the_sdk_v3_works_unmodified(account: Account, images_file: Path, tmp_path: Path) -> None:
    """``sagemaker.core`` resources, and ``ModelTrainer`` in an image that has only bash and Python."""
    images = json.loads(images_file.read_text()) | {SDK_IMAGE: {"train": ["false"]}}
    images_file.write_text(json.dumps(images))
    (tmp_path / "train.py").write_text(TRAIN)
    model = account.a_model("from the sdk")
    told = run_sdk(account.bucket, f"s3://{account.bucket}/models/{model}.tar.gz", str(tmp_path))
    trained = ended_training_job(account.sagemaker, told.pop("trainer"))
    assert told == {
        "job": "Completed",
        "artifact": f"s3://{account.bucket}/sdk/{account.bucket}-done/output/model.tar.gz",
        "stopped": "Stopped",
        "endpoint": "InService",
        "answer": "from the sdk",
        "listed": [account.bucket],
        "left": [],
    }
    assert trained["TrainingJobStatus"] == "Completed", trained.get("FailureReason")
    assert trained["AlgorithmSpecification"]["ContainerEntrypoint"] == ["/bin/bash"]
    assert {channel["ChannelName"] for channel in trained["InputDataConfig"]} >= {"code", "sm_drivers"}
    assert archive_members(account.bucket, trained["ModelArtifacts"]["S3ModelArtifacts"])["depth.txt"] == b"3"


def test_boto3s_waiters_see_jobs_end(account: Account) -> None:
    done, stopped = unique("done"), unique("stopped")
    account.sagemaker.create_training_job(**training_job(account.bucket, done))
    account.sagemaker.create_training_job(**training_job(account.bucket, stopped, "sleep"))
    account.sagemaker.stop_training_job(TrainingJobName=stopped)
    for name in (done, stopped):
        waiter = account.sagemaker.get_waiter("training_job_completed_or_stopped")
        waiter.wait(TrainingJobName=name, WaiterConfig=FAST)


def test_boto3s_waiters_see_endpoints_come_and_go(account: Account) -> None:
    config = account.a_config("waited for")
    account.sagemaker.create_endpoint(EndpointName=config, EndpointConfigName=config)
    account.sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=config, WaiterConfig=FAST)
    account.sagemaker.delete_endpoint(EndpointName=config)
    account.sagemaker.get_waiter("endpoint_deleted").wait(EndpointName=config, WaiterConfig=FAST)


def test_no_waiter_of_boto3_goes_untried() -> None:
    """Those of operations that the stand-in lacks are named, so that a new operation brings its waiter here."""
    from ml_platform.local_sagemaker.operations import IMPLEMENTED

    client: Any = boto3.client("sagemaker")
    model = client._get_waiter_config()["waiters"]
    waiters = {name for name, waiter in model.items() if waiter["operation"] in IMPLEMENTED}
    elsewhere = {"ProcessingJobCompletedOrStopped", "TransformJobCompletedOrStopped"}
    tried = {"EndpointDeleted", "EndpointInService", "TrainingJobCompletedOrStopped"}
    assert waiters == tried | elsewhere
