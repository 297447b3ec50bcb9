"""The stand-in and its ground services as one object: started, asked for clients, told what to run and what to break.

For use without pytest too: ``with StandIn(folder, images) as sagemaker: ...``. Everything listens on loopback only.
"""

import http.client
import json
import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias

import boto3

LOOPBACK = "127.0.0.1"
REGION = "us-east-1"
ROLE_ARN = "arn:aws:iam::000000000000:role/sagemaker"
START_SECONDS = 60.0
STOP_SECONDS = 20.0
LOG_LINES = 20

OWN_SERVICES = {
    "sagemaker": "_SAGEMAKER",
    "sagemaker-runtime": "_SAGEMAKER_RUNTIME",
    "cloudwatch": "_CLOUDWATCH",
    "application-autoscaling": "_APPLICATION_AUTO_SCALING",
}
"""What the stand-in serves: boto3's name -> ending of boto3's variable for its address."""

Images = dict[str, dict[str, list[str]]]
"""Image URI -> role (``train``, ``serve``, ``process``) -> argument list."""
Process: TypeAlias = "subprocess.Popen[bytes]"


class StandInError(Exception):
    """The services cannot start, or refuse what they were asked for."""


class StandIn:
    """SageMaker, S3 and their neighbours for the length of a ``with`` block.

    Args:
        folder: Where state and logs go; made if absent.
        images: What is run for each container image; ``add_image`` adds more.
        time_scale: Pace of the waits that AWS imposes.
        options: Further command-line options of the stand-in, such as ``("--runner", "plain")``.

    ``role_arn`` is a role that every request may name.
    """

    role_arn = ROLE_ARN

    def __init__(
        self, folder: Path, images: Images | None = None, time_scale: float = 0.01, options: Sequence[str] = ()
    ) -> None:
        self.folder = folder
        self.ground_port, self.port = _free_port(), _free_port()
        self.faults = FaultControl(self.port)
        self.clock = ClockControl(self.port)
        self._images = dict(images or {})
        self._command = ["--time-scale", str(time_scale), *options]
        self._running = ExitStack()

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._write_images()
        with ExitStack() as starting:
            ground = {"BIND_HOST": LOOPBACK, "GATEWAY_PORT": str(self.ground_port)}
            ministack = str(Path(sys.executable).with_name("ministack"))
            process = self._start(starting, [ministack], ground | {"IOT_MTLS_ENABLED": "0", "SFTP_ENABLED": "0"})
            self._wait(process, self.ground_port, "/_ministack/health", "ministack")
            module = [sys.executable, "-m", "ml_platform.local_sagemaker", "--port", str(self.port)]
            files = ["--home", str(self.folder / "sagemaker"), "--images", str(self._images_file)]
            process = self._start(starting, [*module, *files, *self._command], self.environment)
            self._wait(process, self.port, "/health", "sagemaker")
            self._running = starting.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.close()

    @property
    def environment(self) -> dict[str, str]:
        """The variables that make boto3, the AWS CLI and every SDK built on it talk to these services."""
        return {
            **{f"AWS_ENDPOINT_URL{suffix}": url for suffix, url in self.endpoint_urls.items()},
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            # Nothing of a person's own configuration: profiles may assume roles or name other endpoints.
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "NO_PROXY": f"{LOOPBACK},localhost",
            "no_proxy": f"{LOOPBACK},localhost",
        }

    @property
    def endpoint_urls(self) -> dict[str, str]:
        """Address by the ending of boto3's variable: ``""`` is everything that has no address of its own."""
        sagemaker = f"http://{LOOPBACK}:{self.port}"
        return {
            "": f"http://{LOOPBACK}:{self.ground_port}",
            **dict.fromkeys(OWN_SERVICES.values(), sagemaker),
        }

    def session(self) -> boto3.Session:
        """Return a session with these services' credentials. Its clients find the addresses in ``environment``."""
        return boto3.Session(aws_access_key_id="local", aws_secret_access_key="local", region_name=REGION)  # noqa: S106

    def client(self, service: str, **options: Any) -> Any:
        """Return a boto3 client that talks to these services, whatever the environment says."""
        url = self.endpoint_urls[OWN_SERVICES.get(service, "")]
        return self.session().client(service, endpoint_url=url, **options)  # type: ignore[call-overload]

    def create_bucket(self) -> str:
        """Make a new bucket and return its name."""
        name = f"test-{uuid.uuid4().hex[:16]}"
        self.client("s3").create_bucket(Bucket=name)
        return name

    def add_image(self, uri: str, **commands: Sequence[str]) -> str:
        """Say what runs for an image: ``add_image(uri, train=[...], serve=[...])``. It holds at once."""
        if unknown := sorted(commands.keys() - {"train", "serve", "process"}):
            raise StandInError(f"An image has the roles train, serve and process, not {unknown[0]!r}.")
        self._images[uri] = {**self._images.get(uri, {}), **{role: [*argv] for role, argv in commands.items()}}
        self._write_images()
        return uri

    def log(self, name: str = "sagemaker") -> str:
        """Return what a service (``sagemaker`` or ``ministack``) has printed."""
        path = self.folder / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def _images_file(self) -> Path:
        return self.folder / "images.json"

    def _write_images(self) -> None:
        # Whole or not at all: the stand-in may read it at this moment.
        partial = self._images_file.with_suffix(".partial")
        partial.write_text(json.dumps(self._images))
        partial.replace(self._images_file)

    def _start(self, starting: ExitStack, command: list[str], variables: Mapping[str, str]) -> Process:
        name = "sagemaker" if "-m" in command else "ministack"
        inherited = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME", "PYTHONPATH", "LANG")}
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                command, env=inherited | dict(variables), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        starting.callback(_stop, process)
        return process

    def _wait(self, process: Process, port: int, path: str, name: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            try:
                if _ask(port, "GET", path)[0] == http.client.OK:
                    return
            except OSError:
                time.sleep(0.05)
        tail = "\n".join(self.log(name).splitlines()[-LOG_LINES:])
        raise StandInError(f"{name} does not answer on port {port}. The end of its log:\n{tail}")


class _Control:
    """A part of the stand-in's own interface."""

    def __init__(self, port: int) -> None:
        self._port = port

    def _call(self, method: str, path: str, document: Any = None) -> dict[str, Any]:
        status, body = _ask(self._port, method, f"/_stand-in/{path}", document)
        answer: dict[str, Any] = json.loads(body)
        if status != http.client.OK:
            raise StandInError(answer.get("error", f"the stand-in answered {status}"))
        return answer


class FaultControl(_Control):
    """What shall go wrong; ``ml-platform local fault list`` tells the kinds."""

    def add(self, kind: str, target: str = "*", times: int | None = 1, **parameters: Any) -> int:
        """Let something go wrong, ``times`` times or (None) until it is cleared; return the fault's number."""
        fault = {"kind": kind, "target": target, "times": times, "parameters": parameters}
        return int(self._call("POST", "faults", fault)["ids"][0])

    def list(self) -> list[dict[str, Any]]:
        """Return the faults that wait."""
        return list(self._call("GET", "faults")["faults"])

    def clear(self) -> None:
        """Remove all faults."""
        self._call("DELETE", "faults")


class ClockControl(_Control):
    """How the waits pass that AWS imposes."""

    def advance(self, seconds: float) -> None:
        """Let so many seconds of every wait have gone by; alarms have changed and scaling has begun when it returns."""
        self._call("POST", "clock", {"advance_seconds": seconds})

    def rescale(self, scale: float) -> None:
        """Let waits pass at another pace: 1 is AWS's own, 0 skips them."""
        self._call("POST", "clock", {"scale": scale})

    def freeze(self) -> None:
        """Let time go by through ``advance`` only."""
        self._call("POST", "clock", {"frozen": True})

    def thaw(self) -> None:
        """Let time go by again."""
        self._call("POST", "clock", {"frozen": False})


def _ask(port: int, method: str, path: str, document: Any = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=60)
    try:
        connection.request(method, path, None if document is None else json.dumps(document))
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def _stop(process: Process) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
