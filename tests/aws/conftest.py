"""One suite, two places: the stand-in always, a real account when ``make test-aws`` asks for it."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from tests.aws.life import Life
from tests.aws.sweep import sweep
from tests.aws.target import RefusedError, Target, account_target
from tests.conftest import CALLERS_ENVIRONMENT

STAND_IN_IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/life-cycle:1"
PROGRAM = Path(__file__).parent / "image" / "program.py"
# pytest blocks the network but loopback; an account is what this mark is for.
ACCOUNT = pytest.param("account", marks=[pytest.mark.aws, pytest.mark.enable_socket])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the account out unless the marker is named: plain ``pytest`` must never cost money."""
    if "aws" not in config.option.markexpr:
        outside = [item for item in items if item.get_closest_marker("aws")]
        config.hook.pytest_deselected(items=outside)
        items[:] = [item for item in items if item not in outside]


def register_image(images_file: Path, image: str) -> None:
    """Tell the stand-in what runs for the suite's image."""
    run = [sys.executable, "-S", str(PROGRAM)]
    images = json.loads(images_file.read_text()) | {
        image: {"train": [*run, "train"], "serve": [*run, "serve"], "process": run}
    }
    new = images_file.with_suffix(".life-cycle")
    new.write_text(json.dumps(images))
    new.replace(images_file)


def stand_in_target(request: pytest.FixtureRequest) -> Target:
    """Return the stand-in with a bucket of the suite's own."""
    ground, stand_in = request.getfixturevalue("ground_services"), request.getfixturevalue("stand_in")
    register_image(request.getfixturevalue("images_file"), STAND_IN_IMAGE)
    own = ("sagemaker", "sagemaker-runtime", "cloudwatch")
    rest = ("s3", "events", "sqs", "logs")
    bucket = f"life-cycle-{os.urandom(4).hex()}"
    boto3.client("s3", endpoint_url=ground).create_bucket(Bucket=bucket)
    return Target(
        region="us-east-1",
        account="000000000000",
        role="arn:aws:iam::000000000000:role/life-cycle",
        bucket=bucket,
        image=STAND_IN_IMAGE,
        poll_seconds=0.05,
        patience_seconds=60,
        bake_seconds=300,
        pause_seconds=0.01,
        urls=dict.fromkeys(own, stand_in) | dict.fromkeys(rest, ground),
    )


@pytest.fixture(scope="session", params=["stand-in", ACCOUNT])
def life(request: pytest.FixtureRequest) -> Iterator[Life]:
    """The account of this run. Whatever the tests leave behind is deleted, also when they fail."""
    with pytest.MonkeyPatch.context() as environment:
        if request.param == "account":
            for name, value in CALLERS_ENVIRONMENT.items():
                environment.setenv(name, value)
        try:
            target = stand_in_target(request) if request.param == "stand-in" else account_target(os.environ)
        except RefusedError as refused:
            pytest.exit(str(refused), returncode=2)
        run = Life(target)
        # Past pytest's capture: whoever kills the run must know what to sweep.
        with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
            sys.stdout.write(f"Everything of this run in account {target.account} is named {run.prefix}-...\n")
            sys.stdout.flush()
        try:
            yield run
        finally:
            # Queues, captures and log lines come and go late on AWS: until nothing is found any more.
            run.eventually(lambda: sweep(target, run.prefix), lambda found: not found)
