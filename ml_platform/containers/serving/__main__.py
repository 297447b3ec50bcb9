"""Entry point of the serving image: ``python -m ml_platform.containers.serving serve``.

The model is loaded before the port is opened, so nothing answers before it can.
"""

import logging
import signal
import sys
from types import FrameType

from ml_platform.containers.lean_lightgbm import import_lean_lightgbm
from ml_platform.containers.serving.options import ServerOptions
from ml_platform.core.errors import MLPlatformError
from ml_platform.modeling.contract import ContainerPaths

# SageMaker kills the container 30 s after SIGTERM.
DRAIN_SECONDS = 25
# Longer than the idle time of the callers' connection pools, so that they never send into a closing connection.
KEEP_ALIVE_SECONDS = 75


def main(arguments: list[str]) -> int:
    """Serve until SIGTERM and return the process's exit code."""
    if arguments != ["serve"]:
        sys.stderr.write("usage: python -m ml_platform.containers.serving serve\n")
        return 2
    # As PID 1 of a container a process without a handler of its own ignores SIGTERM.
    signal.signal(signal.SIGTERM, _exit)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    try:
        serve(ServerOptions.from_environment())
    except MLPlatformError as error:
        sys.stderr.write(f"cannot serve: {error}\n")
        return 1
    return 0


def serve(options: ServerOptions) -> None:
    """Load the model and answer until told to stop; requests in flight are finished first."""
    import_lean_lightgbm()
    import uvicorn

    from ml_platform.containers.serving.app import ServingApp
    from ml_platform.containers.serving.model import ServedModel

    model = ServedModel.load(ContainerPaths.from_environment().model)
    app = ServingApp(model, options.max_payload_bytes, options.default_accept)
    config = uvicorn.Config(
        app,
        host=options.host,
        port=options.port,
        http="httptools",
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    # uvicorn drains, then raises the signal again for whoever had handled it before: by then there is nothing to do.
    signal.signal(signal.SIGTERM, _drained)
    uvicorn.Server(config).run()


def _exit(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(128 + signal.SIGTERM)


def _drained(_signal: int, _frame: FrameType | None) -> None:
    """All requests were answered; leave with 0."""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
