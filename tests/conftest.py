"""Fixtures every test may use: real services on loopback, one set per test process, nothing of this machine's AWS."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from ml_platform.aws import clients
from ml_platform.aws.objects import ObjectStore
from ml_platform.core.settings import Settings

for variable in [name for name in os.environ if name.startswith(("AWS_", "ML_PLATFORM_", "DAGSTER_"))]:
    del os.environ[variable]
os.environ |= {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
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


@pytest.fixture(scope="session")
def ground_services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a real, empty set of ground services (S3, STS, CloudWatch Logs and more)."""
    state = tmp_path_factory.mktemp("ground")
    port = free_port()
    environment = {"PATH": os.environ["PATH"], "HOME": str(state)} | {
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
    }
    command = [str(Path(sys.executable).with_name("ministack"))]
    with (state / "ministack.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=state)
    try:
        wait_for_port(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def settings(ground_services: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of a platform of this test's own: an own home and an own, empty bucket on the ground services."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", ground_services)
    for cached in (clients.s3, clients.sagemaker, clients.sagemaker_runtime, clients.logs):
        cached.cache_clear()
    bucket = f"test-{os.urandom(6).hex()}"
    monkeypatch.setenv("ML_PLATFORM_BUCKET", bucket)
    monkeypatch.setenv("ML_PLATFORM_HOME", str(tmp_path / "home"))
    boto3.client("s3", endpoint_url=ground_services).create_bucket(Bucket=bucket)
    return Settings.load()


@pytest.fixture
def store(settings: Settings) -> ObjectStore:
    """The test's own bucket."""
    return ObjectStore.from_settings(settings)
