"""Run the containers' entry points as SageMaker does: a process of their own and a file layout, nothing else."""

import http.client
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ml_platform.modeling.hyperparameters import HyperParameters
from tests.conftest import free_port, wait_for_port


def clean_environment(base: Path, **more: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(base), "LANG": "C.UTF-8", "SAGEMAKER_BASE_DIR": str(base)} | more


def write_job(base: Path, parameters: HyperParameters | Mapping[str, str], **channels: pd.DataFrame | None) -> Path:
    """Write what SageMaker would put below ``/opt/ml`` before it starts a training job."""
    config = base / "input" / "config"
    config.mkdir(parents=True)
    strings = parameters.to_sagemaker() if isinstance(parameters, HyperParameters) else parameters
    (config / "hyperparameters.json").write_text(json.dumps(dict(strings)))
    for name, frame in channels.items():
        directory = base / "input" / "data" / name
        directory.mkdir(parents=True)
        if frame is not None:
            frame.to_parquet(directory / "part-0.parquet", index=False)
    for directory in (base / "model", base / "output"):
        directory.mkdir()
    return base


def train(base: Path) -> subprocess.CompletedProcess[str]:
    """Run a training job to its end."""
    command = [sys.executable, "-m", "ml_platform.containers.training", "train"]
    return subprocess.run(
        command, env=clean_environment(base), cwd=base, capture_output=True, text=True, timeout=60, check=False
    )


@dataclass(frozen=True)
class Server:
    """A running model server."""

    process: subprocess.Popen[bytes]
    port: int

    def request(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, bytes, http.client.HTTPMessage]:
        """Send one request over a connection of its own; underscores in header names stand for hyphens."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            response = connection.getresponse()
            return response.status, response.read(), response.headers
        finally:
            connection.close()


@contextmanager
def serving(base: Path, **environment: str) -> Iterator[Server]:
    """Run a model server on ``base`` until the block ends."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "ml_platform.containers.serving", "serve"],
        env=clean_environment(base, SAGEMAKER_BIND_TO_PORT=str(port), **environment),
        cwd=base,
    )
    try:
        wait_for_port(port, process)
        yield Server(process, port)
    finally:
        process.terminate()
        process.wait(20)
