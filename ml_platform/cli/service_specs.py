"""What the local services are: how each is started, where it listens, how it is recognised.

Starting and stopping them is ``services``.
"""

import http.client
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ml_platform.cli.environment import local_environment
from ml_platform.cli.home import checkout
from ml_platform.cli.processes import LOOPBACK, ProcessRecord
from ml_platform.core.errors import ConfigurationError
from ml_platform.core.settings import Settings

IMAGE_ROLES = ("train", "serve", "process")


@dataclass(frozen=True, slots=True)
class Service:
    """How one service is started and recognised."""

    name: str
    title: str
    port: int
    health: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    directory: Path | None = None
    """Where it runs; None: where its caller does."""
    stop_seconds: float = 10
    """How long it may take to stop by itself."""

    @property
    def port_variable(self) -> str:
        """The environment variable that moves the service to another port."""
        return f"ML_PLATFORM_{self.name.upper()}_PORT"


def ground(settings: Settings) -> Service:
    """The ground services: everything of AWS that the platform uses except SageMaker."""
    state = settings.home / "ground"
    return Service(
        name="ground",
        title="ground services (S3, logs, events)",
        port=settings.ground_port,
        health="/_ministack/health",
        command=(sys.executable, "-m", "ml_platform.cli.ground_server"),
        environment={
            "BIND_HOST": LOOPBACK,
            "GATEWAY_PORT": str(settings.ground_port),
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "S3_PERSIST": "1",
            "PERSIST_STATE": "1",
            "S3_DATA_DIR": str(state / "s3"),
            "STATE_DIR": str(state / "state"),
            "LOG_LEVEL": "WARNING",
        },
        directory=settings.home,
    )


def stand_in(settings: Settings) -> Service:
    """The SageMaker stand-in."""
    state = settings.home / "sagemaker"
    return Service(
        name="sagemaker",
        title="SageMaker stand-in",
        port=settings.sagemaker_port,
        health="/health",
        command=(
            *(sys.executable, "-m", "ml_platform.local_sagemaker"),
            *("--home", str(state), "--port", str(settings.sagemaker_port), "--images", str(state / "images.json")),
            *("--time-scale", str(settings.sagemaker_time_scale)),
        ),
        environment=local_environment(settings),
        directory=settings.home,
    )


def dagster_ui(settings: Settings) -> Service:
    """Dagster's webserver, daemon and code server, as ``dagster dev`` starts them."""
    root = checkout()
    # Installed without a checkout there is no workspace file, and the module alone says the same.
    target = ("-w", str(root / "workspace.yaml")) if root else ("-m", "ml_platform.definitions")
    return Service(
        name="dagster",
        title="Dagster UI",
        port=settings.dagster_port,
        health="/server_info",
        command=(
            *(sys.executable, "-m", "dagster", "dev", *target),
            # At the level of `info` the daemon writes several lines a second; the UI shows the same by tick.
            *("-h", LOOPBACK, "-p", str(settings.dagster_port), "--log-level", "warning"),
        ),
        environment=local_environment(settings),
        stop_seconds=20,
    )


def image_commands(settings: Settings) -> dict[str, dict[str, list[str]]]:
    """What the stand-in runs for each of our images: the containers' own entry points in this environment."""
    images: dict[str, dict[str, list[str]]] = {}
    for image, module, verb in (
        (settings.training_image, "training", "train"),
        (settings.serving_image, "serving", "serve"),
    ):
        images.setdefault(image, {})[verb] = [sys.executable, "-m", f"ml_platform.containers.{module}", verb]
    return images


def own_images(path: Path) -> dict[str, dict[str, list[str]]]:
    """Return the images that a person named in a file, checked.

    Raises:
        ConfigurationError: When the file is none of image URI -> role -> argument list.
    """
    try:
        images = json.loads(path.read_bytes())
        if not isinstance(images, dict):
            raise TypeError("it holds no JSON object")  # noqa: TRY301 - told below with the file's name
        for uri, roles in images.items():
            for role, argv in roles.items():
                if role not in IMAGE_ROLES or not argv or not all(isinstance(part, str) for part in argv):
                    raise TypeError(f"{role} of {uri}")  # noqa: TRY301
                if isinstance(argv, str):
                    raise TypeError(f"{role} of {uri} is a text, not a list")  # noqa: TRY301
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ConfigurationError(
            f"{path} cannot be used as images file: {error}. It looks like "
            '{"<image uri>": {"train": ["python3", "/path/train.py"], "serve": ["python3", "/path/serve.py"]}}.'
        ) from error
    return images


def local_services(settings: Settings) -> tuple[Service, ...]:
    """What stands in for AWS, in the order in which it starts."""
    return ground(settings), stand_in(settings)


def record_path(home: Path, name: str) -> Path:
    """Return where the process record of a service is kept."""
    return home / "run" / f"{name}.json"


def is_running(home: Path, service: Service) -> bool:
    """Whether a process of ours serves this service now, on whatever port it was started."""
    record = ProcessRecord.read(record_path(home, service.name))
    return record is not None and record.port is not None and record.alive() and answers(record.port, service.health)


def answers(port: int, path: str) -> bool:
    """Whether a loopback port answers a GET with 200."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def running_settings(settings: Settings) -> Settings:
    """Return the settings with the ports that running services really have."""
    ports = {}
    for service in (*local_services(settings), dagster_ui(settings)):
        record = ProcessRecord.read(record_path(settings.home, service.name))
        if record is not None and record.port is not None and record.alive():
            ports[f"{service.name}_port"] = record.port
    return settings.model_copy(update=ports)
