"""One run of moto's own SageMaker tests against the stand-in, in a process and on services of its own.

Where moto's source comes from is ``source``; which tests are left out, and why, is ``deselected.toml``.
"""

import json
import os
import subprocess
import sys
import tomllib
from base64 import b64encode
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.conftest import free_port, start_ground_services, start_stand_in, wait_for_port
from tests.contract.sagemaker_requests import archive
from tests.foreign.moto.source import PACKAGES, unpack

HERE = Path(__file__).parent
DESELECTED = HERE / "deselected.toml"
IMAGES = HERE.parents[1] / "contract" / "images"
ACCOUNT = "123456789012"
REGISTRY = f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com"
# What moto's tests call images, among them names that AWS would not find.
NAMES = (
    "382416733822.dkr.ecr.us-east-1.amazonaws.com/linear-learner:1",
    "382416733822.dkr.ecr.us-east-1.amazonaws.com/factorization-machines:1",
    "404615174143.dkr.ecr.us-east-2.amazonaws.com/linear-learner:1",
    "404615174143.dkr.ecr.us-east-2.amazonaws.com/kmeans:1",
    "404615174143.dkr.ecr.us-east-2.amazonaws.com/kmeans:2",
    f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/my-image:latest",
    f"{REGISTRY}/test-script:latest",
    "string",
    "test-image",
    "testimageuri",
)
LONGEST_RUN_SECONDS = 240


def deselected() -> dict[str, dict[str, str]]:
    """Return kind of reason -> test id -> the reason why the test is left out."""
    return tomllib.loads(DESELECTED.read_text())


def run(folder: Path, left_out: Collection[str] = (), *, repaired: bool = True) -> dict[str, str]:
    """Run all tests but those left out; return what became of each, by id."""
    tests, *beside = unpack(folder / "moto", repaired=repaired)
    (folder / "left-out.json").write_text(json.dumps(sorted(left_out)))
    outcomes = folder / "outcomes.json"
    model = b64encode(archive({"offset": "1"})).decode()
    command = [sys.executable, "-m", "pytest", "-q", "-p", "server_mode", "-p", "no:cacheprovider", *PACKAGES]
    with _services(folder) as (ground, stand_in), (folder / "pytest.log").open("wb") as log:
        environment = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME")} | {
            "PYTHONPATH": os.pathsep.join(map(str, (HERE, tests, *beside))),
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": ground,
            "AWS_ENDPOINT_URL_SAGEMAKER": stand_in,
            "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": stand_in,
            "TEST_SERVER_MODE": "true",
            "TEST_SERVER_MODE_ENDPOINT": stand_in,
            "MOTO_NET_RESETS": json.dumps([f"{ground}/_ministack/reset", f"{stand_in}/_stand-in/reset"]),
            "MOTO_NET_OBJECTS": json.dumps([["moto-net", "model.tar.gz", model]]),
            "MOTO_NET_LEFT_OUT": str(folder / "left-out.json"),
            "MOTO_NET_OUTCOMES": str(outcomes),
        }
        where: dict[str, Any] = {"cwd": tests / "tests", "env": environment, "stdout": log, "stderr": log}
        subprocess.run(command, timeout=LONGEST_RUN_SECONDS, check=False, **where)
    found: dict[str, str] = json.loads(outcomes.read_text())
    return found


@contextmanager
def _services(folder: Path) -> Iterator[tuple[str, str]]:
    """Start services that nobody else uses: they are emptied before each test."""
    images = folder / "images.json"
    commands = {
        "train": [sys.executable, str(IMAGES / "script.py"), "train"],
        "serve": [sys.executable, str(IMAGES / "server.py"), "serve"],
        "process": ["/bin/true"],
    }
    images.write_text(json.dumps(dict.fromkeys(NAMES, commands)))
    with ExitStack() as stack:
        ground = start_ground_services(folder, ground_port := free_port())
        stack.callback(_end, ground)
        wait_for_port(ground_port, ground)
        address = f"http://127.0.0.1:{ground_port}"
        options = ("--account", ACCOUNT, "--time-scale", "0.001")
        stand_in = start_stand_in(folder / "stand-in", images, address, port := free_port(), *options)
        stack.callback(_end, stand_in)
        yield address, f"http://127.0.0.1:{port}"


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(20)
