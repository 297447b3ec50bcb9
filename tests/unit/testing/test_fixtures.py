"""The pytest plugin, as a project uses it that knows nothing else of this platform."""

import sys
from pathlib import Path

import pytest

from ml_platform.testing.stand_in import StandIn, StandInError

pytest_plugins = ["pytester"]
SCRIPTS = Path(__file__).parents[2] / "contract" / "images"

CONFTEST = f"""
import pytest

pytest_plugins = ["ml_platform.testing.fixtures"]


@pytest.fixture(scope="session")
def sagemaker_images():
    return {{"registry/mine:1": {{"train": [{sys.executable!r}, {str(SCRIPTS / "script.py")!r}, "train"]}}}}
"""
TESTS = f"""
import boto3
import pytest
from botocore.exceptions import ClientError


def test_a_job_runs_with_nothing_but_boto3(sagemaker_stand_in):
    bucket = sagemaker_stand_in.create_bucket()
    sagemaker = boto3.client("sagemaker")
    sagemaker.create_training_job(
        TrainingJobName="mine",
        RoleArn=sagemaker_stand_in.role_arn,
        AlgorithmSpecification={{"TrainingImage": "registry/mine:1", "TrainingInputMode": "File"}},
        OutputDataConfig={{"S3OutputPath": f"s3://{{bucket}}/models"}},
        ResourceConfig={{"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5}},
        StoppingCondition={{"MaxRuntimeInSeconds": 60}},
    )
    waiter = sagemaker.get_waiter("training_job_completed_or_stopped")
    waiter.wait(TrainingJobName="mine", WaiterConfig={{"Delay": 0.1, "MaxAttempts": 200}})
    [written] = boto3.client("s3").list_objects_v2(Bucket=bucket)["Contents"]
    assert written["Key"] == "models/mine/output/model.tar.gz"


def test_images_are_added_while_it_runs(sagemaker_stand_in):
    image = sagemaker_stand_in.add_image("registry/server:1", serve=[{sys.executable!r}, "server.py"])
    client = sagemaker_stand_in.client("sagemaker")
    container = {{"Image": image}}
    client.create_model(ModelName="m", ExecutionRoleArn=sagemaker_stand_in.role_arn, PrimaryContainer=container)


def test_a_fault_is_for_one_test(sagemaker_stand_in):
    sagemaker_stand_in.faults.add("throttling", "ListModels", times=None)
    sagemaker_stand_in.clock.rescale(1)
    sagemaker_stand_in.clock.advance(60)
    with pytest.raises(ClientError, match="Rate exceeded"):
        sagemaker_stand_in.client("sagemaker").list_models()


def test_the_next_one_has_none(sagemaker_stand_in):
    assert sagemaker_stand_in.client("application-autoscaling").describe_scalable_targets(ServiceNamespace="sagemaker")
    assert sagemaker_stand_in.faults.list() == []
    assert boto3.client("sagemaker").list_models()["Models"]
"""


def test_a_project_of_somebody_else_uses_the_fixture(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(TESTS)
    ran = pytester.runpytest_subprocess("-q", "-W", "error", "-p", "no:cacheprovider")
    ran.assert_outcomes(passed=4)


def test_what_cannot_start_says_why(tmp_path: Path) -> None:
    broken = StandIn(tmp_path / "state", options=("--host", "0.0.0.0"))  # noqa: S104
    with pytest.raises(StandInError, match="would let other machines run code here"), broken:
        pass


def test_an_image_has_known_roles_only(tmp_path: Path) -> None:
    with pytest.raises(StandInError, match="not 'run'"):
        StandIn(tmp_path).add_image("mine", run=["x"])
