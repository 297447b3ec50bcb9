"""``ml-platform local``: real services in the background, for who uses nothing else of the platform."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner, Result

from ml_platform.cli.demo_home import start_afresh
from ml_platform.cli.home import prepare_home
from ml_platform.cli.main import app
from ml_platform.cli.processes import LOOPBACK, ProcessRecord
from ml_platform.cli.service_specs import is_running, own_images, record_path, stand_in
from ml_platform.cli.services import KEEPER, LocalServices
from ml_platform.core.errors import ConfigurationError
from ml_platform.core.settings import Settings

runner = CliRunner()
CALLS = """
import boto3
boto3.client("s3").create_bucket(Bucket="somebodys-own")
print(len(boto3.client("sagemaker").list_endpoints()["Endpoints"]), "endpoints")
"""


def local(*arguments: str) -> Result:
    return runner.invoke(app, ["local", *arguments])


@pytest.fixture
def settings(home: Path) -> Iterator[Settings]:
    yield Settings.load()
    local("down")


def test_without_services_each_command_says_how_to_start_them(settings: Settings) -> None:
    for arguments in (["env"], ["fault", "list"], ["logs"]):
        result = local(*arguments)
        assert result.exit_code == 1
        assert "ml-platform local up" in result.output
    assert local("status").exit_code == 1
    assert local("down").output == "Nothing runs.\n"


def test_up_use_break_reset_and_down(settings: Settings, tmp_path: Path) -> None:
    images = tmp_path / "mine.json"
    images.write_text(json.dumps({"mine:1": {"train": ["python3", "train.py"]}}))
    assert local("up", "--images", str(images)).exit_code == 0
    assert "mine:1" in (settings.home / "sagemaker" / "images.json").read_text()
    rows = json.loads(local("status", "--json").output)["services"]
    assert [row["running"] for row in rows] == [True, True]
    exports = local("env").output
    used = subprocess.run(
        ["sh", "-c", f"{exports} exec {sys.executable} -c '{CALLS}'"], capture_output=True, text=True, check=False
    )
    assert used.stdout == "0 endpoints\n", used.stderr
    assert local("fault", "add", "throttling", "--target", "ListModels", "--always").exit_code == 0
    assert "no kind of fault" in local("fault", "add", "earthquake").output
    waiting = json.loads(local("fault", "list", "--json").output)["faults"]
    assert [(fault["target"], fault["times"]) for fault in waiting] == [("ListModels", None)]
    assert "throttling" in local("fault", "list").output
    assert "a hold has a `state`" in local("fault", "add", "hold", "--target", "my-job").output
    assert local("fault", "add", "hold", "--target", "my-job", "--state", "Uploading").exit_code == 0
    held = json.loads(local("fault", "list", "--json").output)["faults"][-1]
    assert (held["kind"], held["times"], held["parameters"]) == ("hold", None, {"state": "Uploading"})
    assert local("fault", "clear").output == "Removed: 2\n"
    assert "start" in local("logs", "--lines", "200").output.lower()
    assert local("reset", "--yes").exit_code == 0
    assert is_running(settings.home, stand_in(settings))
    assert not (settings.home / "ground" / "s3" / "somebodys-own").exists()
    assert "mine:1" in (settings.home / "sagemaker" / "images.json").read_text()
    assert "Stopped" in local("down").output
    assert not is_running(settings.home, stand_in(settings))


def test_other_commands_use_what_runs_and_a_demo_deletes_none_of_it(settings: Settings) -> None:
    assert local("up").exit_code == 0
    assert local("up").exit_code == 0
    with LocalServices(settings) as services:
        assert services.attached
    assert is_running(settings.home, stand_in(settings))
    keeper = ProcessRecord.read(record_path(settings.home, KEEPER))
    assert keeper is not None
    os.kill(keeper.pid, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(keeper.pid)], timeout=10)
    assert "Stopped" in local("down").output
    assert not is_running(settings.home, stand_in(settings))
    with pytest.raises(ConfigurationError, match="that no demo made"):
        start_afresh(prepare_home())


def test_a_reset_asks_first(settings: Settings) -> None:
    kept = settings.home / "ground" / "kept"
    kept.mkdir(parents=True)
    assert runner.invoke(app, ["local", "reset"], input="n\n").exit_code == 1
    assert kept.exists()


def test_a_start_that_fails_says_why(settings: Settings) -> None:
    with socket.socket() as stranger:
        stranger.bind((LOOPBACK, settings.sagemaker_port))
        stranger.listen()
        result = local("up")
    assert result.exit_code == 1
    assert f"Port {settings.sagemaker_port}" in result.output


@pytest.mark.parametrize("content", ["", "[]", '{"a": {"run": ["x"]}}', '{"a": {"train": "python"}}', '{"a": 1}'])
def test_an_images_file_that_cannot_be_used_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "images.json"
    path.write_text(content)
    with pytest.raises(ConfigurationError, match="cannot be used as images file"):
        own_images(path)
