"""The way to a real account, tried with an account whose addresses come from the environment alone: the stand-in's.

What no test here can show is AWS itself: see docs/fidelity.md for what was never run.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import boto3
import pytest

from tests.aws.conftest import register_image
from tests.aws.life import Life
from tests.aws.sweep import sweep
from tests.aws.target import NEEDED, RefusedError, Target, account_target
from tests.conftest import CALLERS_ENVIRONMENT

REGISTRY = "000000000000.dkr.ecr.us-east-1.amazonaws.com"
IMAGE, UNKNOWN_IMAGE = f"{REGISTRY}/life-cycle-account:1", f"{REGISTRY}/life-cycle-account:2"


@pytest.fixture(scope="module")
def environment(ground_services: str, stand_in: str, images_file: Path) -> dict[str, str]:
    """The environment of somebody who has an account, an image in ECR and a bucket."""
    register_image(images_file, IMAGE)
    bucket = f"life-cycle-{os.urandom(4).hex()}"
    boto3.client("s3", endpoint_url=ground_services).create_bucket(Bucket=bucket)
    ecr = boto3.client("ecr", endpoint_url=ground_services)
    ecr.create_repository(repositoryName="life-cycle-account")
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json"}
    for tag in ("1", "2"):
        text = json.dumps(manifest | {"config": {"digest": f"sha256:{tag * 64}"}, "layers": []})
        ecr.put_image(repositoryName="life-cycle-account", imageManifest=text, imageTag=tag)
    ours = {name: value for name, value in CALLERS_ENVIRONMENT.items() if not name.startswith(("AWS_", "ML_PLATFORM_"))}
    return ours | {
        "AWS_ENDPOINT_URL": ground_services,
        **{f"AWS_ENDPOINT_URL_{name}": stand_in for name in ("SAGEMAKER", "SAGEMAKER_RUNTIME", "CLOUDWATCH")},
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_EC2_METADATA_DISABLED": "true",
        "ML_PLATFORM_TEST_ACCOUNT": "000000000000",
        "ML_PLATFORM_TEST_SPEND": "yes",
        "ML_PLATFORM_TEST_IMAGE": IMAGE,
        "ML_PLATFORM_ROLE_ARN": "arn:aws:iam::000000000000:role/anything",
        "ML_PLATFORM_BUCKET": bucket,
        "ML_PLATFORM_TEST_POLL_SECONDS": "0.05",
        "ML_PLATFORM_TEST_PAUSE_SECONDS": "0.01",
    }


def run_suite(environment: dict[str, str], *arguments: str) -> tuple[int, str]:
    """Run what ``make test-aws`` runs; return its exit code and all that it printed."""
    command = [sys.executable, "-m", "pytest", str(Path(__file__).parent), "-m", "aws", "-q", "-p", "no:cacheprovider"]
    ended = subprocess.run(
        [*command, *arguments], env=environment, capture_output=True, text=True, timeout=200, check=False
    )
    return ended.returncode, ended.stdout + ended.stderr


def left_behind(environment: dict[str, str], printed: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what a run that printed this has not deleted."""
    (prefix,) = set(re.findall(r"mlp-test-[0-9a-f]{8}", printed.split("is named ")[1].splitlines()[0]))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return sweep(account_target(environment), prefix)


def test_the_suite_passes_where_addresses_come_from_the_environment(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, printed = run_suite(environment, "-k", "registry or failing or captured or gone")
    assert code == 0, printed
    assert re.search(r"^8 passed, .* deselected", printed, re.MULTILINE), printed
    assert left_behind(environment, printed, monkeypatch) == []


def test_a_run_that_fails_leaves_nothing_behind_either(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, printed = run_suite(environment | {"ML_PLATFORM_TEST_IMAGE": UNKNOWN_IMAGE}, "-k", "captured or failing")
    assert code == 1, printed
    assert "Cannot find image" in printed
    assert left_behind(environment, printed, monkeypatch) == []


def test_a_run_without_an_account_says_what_is_missing_and_does_nothing(environment: dict[str, str]) -> None:
    code, printed = run_suite({name: value for name, value in environment.items() if name not in NEEDED})
    assert code == 2
    assert [name for name in NEEDED if f"{name}: " not in printed] == []


@pytest.mark.parametrize("name", NEEDED)
def test_each_thing_that_is_missing_is_asked_for(environment: dict[str, str], name: str) -> None:
    with pytest.raises(RefusedError, match=f"  {name}: "):
        account_target({key: value for key, value in environment.items() if key != name})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ML_PLATFORM_TEST_SPEND": "no"}, "would cost money"),
        ({"ML_PLATFORM_TEST_ACCOUNT": "111111111111"}, "The credentials belong to account 000000000000"),
        ({"ML_PLATFORM_TEST_IMAGE": f"{REGISTRY}/absent:1"}, "Build and push it"),
        ({"ML_PLATFORM_TEST_IMAGE": "python:3"}, "no image in ECR"),
        ({"ML_PLATFORM_BUCKET": "there-is-no-such-bucket"}, "with bucket there-is-no-such-bucket"),
        # Without an id there are no credentials at all: not those of the machine, of a profile or of a role.
        ({"AWS_ACCESS_KEY_ID": "", "AWS_CONFIG_FILE": os.devnull, "HOME": os.devnull}, "Unable to locate credentials"),
    ],
)
def test_an_account_that_does_not_fit_is_refused(
    environment: dict[str, str], changes: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (environment | changes).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(RefusedError, match=message):
        account_target(environment | changes)


def test_a_sweep_ends_what_is_under_way(stand_in_life: Life) -> None:
    """An endpoint that is being created, a job that runs and a package in its group."""
    life = stand_in_life
    name, config = life.name("endpoint"), life.a_config("blue")
    life.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
    job, group = life.name("job"), life.name("group")
    life.train(job, "wait")
    life.sagemaker.create_model_package_group(ModelPackageGroupName=group)
    life.sagemaker.create_model_package(ModelPackageGroupName=group)
    deleted = sweep(life.target, life.prefix)
    assert {name, config, group, job} <= set(deleted)
    assert sweep(life.target, life.prefix) == []


def test_only_this_suites_names_can_be_swept(stand_in_life: Life) -> None:
    with pytest.raises(ValueError, match="no prefix of this suite"):
        sweep(stand_in_life.target, "")


@pytest.fixture
def stand_in_life(environment: dict[str, str]) -> Life:
    """A run of its own on the stand-in."""
    stand_in, ground = environment["AWS_ENDPOINT_URL_SAGEMAKER"], environment["AWS_ENDPOINT_URL"]
    own = ("sagemaker", "sagemaker-runtime", "cloudwatch")
    rest = ("s3", "events", "sqs", "logs")
    return Life(
        Target(
            region="us-east-1",
            account="000000000000",
            role=environment["ML_PLATFORM_ROLE_ARN"],
            bucket=environment["ML_PLATFORM_BUCKET"],
            image=IMAGE,
            poll_seconds=0.05,
            patience_seconds=30,
            bake_seconds=300,
            pause_seconds=0.01,
            urls=dict.fromkeys(own, stand_in) | dict.fromkeys(rest, ground),
        )
    )
