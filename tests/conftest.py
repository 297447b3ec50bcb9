"""Fixtures every test may use: real services on loopback, one set per test process, nothing of this machine's AWS."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest

from ml_platform.aws import clients
from ml_platform.aws.objects import ObjectStore
from ml_platform.core.settings import Settings

# The suite for a real account, and nothing else, uses what the caller had set.
CALLERS_ENVIRONMENT = dict(os.environ)
for variable in [name for name in os.environ if name.startswith(("AWS_", "ML_PLATFORM_", "DAGSTER_"))]:
    del os.environ[variable]
os.environ |= {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    # Not the checkout's own .ml_platform: its platform.env would be read, and its state changed.
    "ML_PLATFORM_HOME": str(Path(tempfile.gettempdir(), f"ml-platform-tests-{os.getpid()}")),
}


def free_port() -> int:
    """Return a loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int, process: subprocess.Popen[bytes], seconds: float = 60) -> None:
    """Wait until something accepts connections on the port, or fail when the process ended before."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with {process.returncode} before it listened on {port}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"nothing listens on {port} after {seconds} s")


@contextmanager
def killed_in_the_end(process: "subprocess.Popen[Any]") -> "Iterator[subprocess.Popen[Any]]":
    """Leave nothing of a process, also when its test fails: what is left is blamed on the test that comes next."""
    with process:
        try:
            yield process
        finally:
            process.kill()


def start_ground_services(state: Path, port: int) -> subprocess.Popen[bytes]:
    """Start ground services that keep nothing; the caller waits for them and stops them."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(state)} | {
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
    }
    command = [str(Path(sys.executable).with_name("ministack"))]
    with (state / "ministack.log").open("wb") as log:
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=state)


@pytest.fixture(scope="session")
def ground_services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a real, empty set of ground services (S3, STS, CloudWatch Logs and more)."""
    port = free_port()
    process = start_ground_services(tmp_path_factory.mktemp("ground"), port)
    try:
        wait_for_port(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def start_stand_in(home: Path, images: Path, ground_services: str, port: int, *options: str) -> subprocess.Popen[bytes]:
    """Start a SageMaker stand-in and wait until it is ready. The caller stops it."""
    home.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "ml_platform.local_sagemaker", "--home", str(home), "--port", str(port)]
    environment = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME") or key.startswith("AWS_")}
    with (home / "stand-in.log").open("ab") as log:
        process = subprocess.Popen(
            [*command, "--images", str(images), *options],
            env=environment | {"AWS_ENDPOINT_URL": ground_services},
            stdout=log,
            stderr=log,
        )
    try:
        wait_for_port(port, process)
    except RuntimeError:
        process.kill()
        process.wait()
        raise
    return process


@pytest.fixture(scope="session")
def images_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stand-in's images file: the platform's own images and a few of the contract tests'. Tests may add theirs."""
    defaults = Settings.model_fields
    path = tmp_path_factory.mktemp("images") / "images.json"
    scripts = Path(__file__).parent / "contract" / "images"
    registry = "000000000000.dkr.ecr.us-east-1.amazonaws.com"
    images = {
        defaults["training_image"].default: {
            "train": [sys.executable, "-m", "ml_platform.containers.training", "train"]
        },
        defaults["serving_image"].default: {"serve": [sys.executable, "-m", "ml_platform.containers.serving", "serve"]},
        f"{registry}/test-script:latest": {"train": [sys.executable, str(scripts / "script.py"), "train"]},
        f"{registry}/test-server:latest": {"serve": [sys.executable, str(scripts / "server.py"), "serve"]},
    }
    path.write_text(json.dumps(images))
    return path


@pytest.fixture(scope="session")
def stand_in(ground_services: str, images_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a real SageMaker stand-in on the ground services; AWS's waits are a hundred times shorter."""
    port = free_port()
    home = tmp_path_factory.mktemp("stand-in")
    process = start_stand_in(home, images_file, ground_services, port, "--time-scale", "0.01")
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture
def settings(ground_services: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of a platform of this test's own: an own home and an own, empty bucket on the ground services."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", ground_services)
    clients.forget_clients()
    bucket = f"test-{os.urandom(6).hex()}"
    monkeypatch.setenv("ML_PLATFORM_BUCKET", bucket)
    monkeypatch.setenv("ML_PLATFORM_HOME", str(tmp_path / "home"))
    boto3.client("s3", endpoint_url=ground_services).create_bucket(Bucket=bucket)
    return Settings.load()


@pytest.fixture
def store(settings: Settings) -> ObjectStore:
    """The test's own bucket."""
    return ObjectStore.from_settings(settings)


@pytest.fixture
def sagemaker_settings(settings: Settings, stand_in: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of a platform whose SageMaker is the stand-in."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER", stand_in)
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", stand_in)
    monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDWATCH", stand_in)
    monkeypatch.setenv("ML_PLATFORM_POLL_SECONDS", "0.05")
    clients.forget_clients()
    return Settings.load()
