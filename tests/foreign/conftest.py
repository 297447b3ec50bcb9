"""Programs that others wrote for AWS, each unmodified and in an environment of its own, beside one stand-in."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest

from ml_platform.core.settings import Settings
from tests.contract.hosting_account import Account, register_image

VENV = Path(__file__).parents[2] / ".venv-foreign"


@pytest.fixture(scope="session")
def foreign() -> Callable[[str], str]:
    """Say where a foreign program is."""

    def path(name: str) -> str:
        program = VENV / "bin" / name
        assert program.exists(), f"{program} is not there; `make {VENV.name}/.installed` installs it"
        return str(program)

    return path


@pytest.fixture
def account(sagemaker_settings: Settings, stand_in: str, images_file: Path) -> Account:
    """The stand-in's account with an empty bucket."""
    register_image(images_file)
    return Account(stand_in, sagemaker_settings.bucket)


@pytest.fixture
def environment(account: Account) -> dict[str, str]:
    """What a foreign program finds in its environment: boto3's own variables and nothing of ours."""
    kept = ("PATH", "HOME", "AWS_")
    ours = {name: value for name, value in os.environ.items() if name.startswith(kept)}
    # PYTHONSAFEPATH: a program must not import from wherever the tests were started.
    return ours | {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "PYTHONSAFEPATH": "1"}


@pytest.fixture
def add_image(images_file: Path) -> Callable[..., str]:
    """Let the stand-in know an image."""

    def add(name: str, **commands: list[str]) -> str:
        uri = f"000000000000.dkr.ecr.us-east-1.amazonaws.com/{name}:latest"
        new = images_file.with_suffix(f".{name}")
        new.write_text(json.dumps(json.loads(images_file.read_text()) | {uri: commands}))
        new.replace(images_file)
        return uri

    return add


@pytest.fixture
def job_lines() -> Callable[[str], list[str]]:
    """Read the log of a training job."""

    def lines(job: str) -> list[str]:
        logs: Any = boto3.client("logs")
        group = "/aws/sagemaker/TrainingJobs"
        (stream,) = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{job}/")["logStreams"]
        events = logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True)
        return [event["message"] for event in events["events"]]

    return lines
