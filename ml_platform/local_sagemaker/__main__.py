"""Start the stand-in: ``python -m ml_platform.local_sagemaker --home DIR --port N --images FILE``."""

import argparse
import fcntl
import ipaddress
import json
import logging
import os
import signal
import socket
import sys
from pathlib import Path
from typing import IO, Any

import uvicorn
from botocore.session import Session

from ml_platform.local_sagemaker.app import App
from ml_platform.local_sagemaker.clock import Clock
from ml_platform.local_sagemaker.containers import PlainRunner, choose_runner
from ml_platform.local_sagemaker.faults import FaultError, Faults
from ml_platform.local_sagemaker.images import Images
from ml_platform.local_sagemaker.logs import Logs
from ml_platform.local_sagemaker.objects import Objects
from ml_platform.local_sagemaker.service import Service
from ml_platform.local_sagemaker.store import Store

logger = logging.getLogger(__name__)

DEFAULT_REGION = "us-east-1"


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line; refuse what would be unsafe or cannot work."""
    parser = argparse.ArgumentParser(prog="local_sagemaker", description="Amazon SageMaker, on this machine.")
    parser.add_argument("--home", type=Path, required=True, help="folder for state and job files; made if absent")
    parser.add_argument("--port", type=int, default=4570)
    parser.add_argument("--images", type=Path, required=True, help="JSON: image URI -> {train: argv, serve: argv}")
    parser.add_argument("--time-scale", type=float, default=1.0, help="0.01: a wait of 600 s takes 6 s")
    parser.add_argument("--runner", choices=("auto", "plain"), default="auto", help="plain: no Linux namespaces")
    parser.add_argument("--account", default="000000000000", help="account id in ARNs")
    parser.add_argument("--faults", type=Path, help="JSON list of faults, in place of those kept from before")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--allow-remote", action="store_true", help="allow a --host that other machines reach")
    options = parser.parse_args(arguments)
    if not _is_loopback(options.host) and not options.allow_remote:
        parser.error(
            f"--host {options.host} would let other machines run code here: jobs are arbitrary programs and requests "
            "are not authenticated. Leave it at 127.0.0.1, or add --allow-remote on a network you trust."
        )
    if options.time_scale < 0:
        parser.error("--time-scale must be 0 or more")
    if not options.images.is_file():
        parser.error(f"--images {options.images}: no such file")
    if options.faults is not None:
        try:
            read_faults(options.faults)
        except FaultError as error:
            parser.error(f"--faults: {error}")
    if not os.environ.get("AWS_ENDPOINT_URL"):
        parser.error("AWS_ENDPOINT_URL is not set: it says where S3 and CloudWatch Logs are, e.g. a local emulator")
    return options


def build_service(options: argparse.Namespace) -> Service:
    """Return the service that the options describe."""
    session = Session()
    region = session.get_config_variable("region") or DEFAULT_REGION
    home = options.home.absolute()
    faults = Faults(home / "faults.sqlite")
    if options.faults is not None:
        faults.clear()
        faults.add_all(read_faults(options.faults))
    runner = PlainRunner() if options.runner == "plain" else choose_runner()
    logger.info("containers run with %s", runner)
    return Service(
        home=home,
        region=region,
        account=options.account,
        store=Store(home / "resources.sqlite"),
        objects=Objects(session, region, faults),
        logs=Logs(session, region, home / "logs"),
        clock=Clock(options.time_scale),
        images=Images(options.images.absolute()),
        runner=runner,
        faults=faults,
    )


def read_faults(path: Path) -> list[Any]:
    """Return the faults that a script holds.

    Raises:
        FaultError: When it holds none that can be used.
    """
    try:
        faults = json.loads(path.read_bytes())
        if not isinstance(faults, list):
            raise FaultError(f"{path} holds no JSON list")
        Faults().add_all(faults)
    except (OSError, ValueError) as error:
        raise FaultError(f"{path} cannot be read: {error}") from error
    return faults


def main() -> None:
    """Serve until SIGTERM or SIGINT; then stop every container."""
    options = parse_arguments()
    lock = lock_home(options.home)
    listener = listen(options.host, options.port)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # uvicorn raises the signal again once it has shut down; a stop on request is not a failure.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    config = uvicorn.Config(
        App(lambda: build_service(options), any_host=options.allow_remote),
        http="httptools",
        loop="asyncio",
        ws="none",
        lifespan="on",
        access_log=False,
        proxy_headers=False,
        log_config=None,
        timeout_graceful_shutdown=5,
    )
    with lock:
        uvicorn.Server(config).run(sockets=[listener])


def lock_home(home: Path) -> IO[str]:
    """Take a home for this process until it ends; two services on one home would lose each other's jobs."""
    home.mkdir(parents=True, exist_ok=True)
    lock = (home / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        sys.exit(f"Another SageMaker stand-in uses {home}. Stop it, or start this one with another --home.")
    return lock


def listen(host: str, port: int) -> socket.socket:
    """Bind the address before anything else happens."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's delay (40 ms an answer) off only on sockets that name their protocol.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        sys.exit(f"Cannot listen on {host}:{port}: {error.strerror}. Stop what uses the port or choose another --port.")
    return listener


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


if __name__ == "__main__":
    main()
