"""Measure what a model costs to serve: ``python -m ml_platform.containers.serving.measure`` as a processing job.

The same server, in the same image, answers on loopback; single rows are sent one after the other over one connection.
"""

import http.client
import logging
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ml_platform.containers.lean_lightgbm import import_lean_lightgbm
from ml_platform.core.errors import MLPlatformError
from ml_platform.modeling.contract import JSON, ContainerPaths
from ml_platform.modeling.serving_cost import MODEL_INPUT, RESULT_FILE, RESULT_OUTPUT, ServingCost

if TYPE_CHECKING:
    import uvicorn

    from ml_platform.containers.serving.model import ServedModel

REQUESTS, WARM_UP = 400, 50
_START_SECONDS = 30.0
_ARCHIVE = "model.tar.gz"

_log = logging.getLogger(__name__)


def main() -> int:
    """Measure the job's model and return the process's exit code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    processing = ContainerPaths.from_environment().base / "processing"
    try:
        cost = measure(processing / MODEL_INPUT / _ARCHIVE)
    except MLPlatformError as error:
        sys.stderr.write(f"cannot measure: {error}\n")
        return 1
    output = processing / RESULT_OUTPUT
    output.mkdir(parents=True, exist_ok=True)
    (output / RESULT_FILE).write_text(cost.model_dump_json(indent=1))
    _log.info("p50 %.2f ms, p95 %.2f ms, p99 %.2f ms", cost.p50_latency_ms, cost.p95_latency_ms, cost.p99_latency_ms)
    return 0


def measure(archive: Path) -> ServingCost:
    """Serve an archive on loopback and time its answers.

    Raises:
        ArtifactError: When the archive holds no usable model.
    """
    import_lean_lightgbm()
    import numpy as np
    import uvicorn

    from ml_platform.containers.serving.app import ServingApp
    from ml_platform.containers.serving.model import ServedModel
    from ml_platform.containers.serving.options import ServerOptions
    from ml_platform.modeling.archive import unpack_files
    from ml_platform.modeling.artifact import ALLOWED

    options = ServerOptions.from_environment({})
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="ml-platform-model-") as scratch:
        unpack_files(archive, ALLOWED, Path(scratch))
        model = ServedModel.load(Path(scratch))
    app = ServingApp(model, options.max_payload_bytes, options.default_accept)
    # Port 0: whichever is free. In a thread uvicorn leaves the signals alone.
    server = uvicorn.Server(
        uvicorn.Config(app, host=options.host, port=0, http="httptools", ws="none", lifespan="off", log_level="warning")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        connection = http.client.HTTPConnection(options.host, _port(server, started), timeout=_START_SECONDS)
        _ask(connection, "GET", "/ping", b"")
        ready = time.perf_counter() - started
        body = _a_row(model)
        latencies = [_ask(connection, "POST", "/invocations", body) for _ in range(WARM_UP + REQUESTS)][WARM_UP:]
        connection.close()
    finally:
        server.should_exit = True
        thread.join(_START_SECONDS)
    p50, p95, p99 = (float(value) for value in np.percentile(np.array(latencies) * 1000, [50, 95, 99]))
    return ServingCost(
        artifact_fingerprint=model.artifact.fingerprint,
        requests=REQUESTS,
        p50_latency_ms=p50,
        p95_latency_ms=p95,
        p99_latency_ms=p99,
        ready_seconds=ready,
        artifact_bytes=archive.stat().st_size,
    )


def _port(server: "uvicorn.Server", started: float) -> int:
    """Return the port the server got, as soon as it listens."""
    while not server.started:
        if time.perf_counter() - started > _START_SECONDS:
            raise MLPlatformError(f"The server did not listen within {_START_SECONDS:.0f} s.")
        time.sleep(0.005)
    port: int = server.servers[0].sockets[0].getsockname()[1]
    return port


def _a_row(model: "ServedModel") -> bytes:
    from ml_platform.modeling.codec import encode_instances

    return encode_instances([dict.fromkeys(model.artifact.pipeline.signature.features, 1.0)])


def _ask(connection: http.client.HTTPConnection, method: str, path: str, body: bytes) -> float:
    """Send one request, require success, and return its seconds."""
    started = time.perf_counter()
    connection.request(method, path, body or None, {"Content-Type": JSON, "Accept": JSON})
    answer = connection.getresponse()
    content = answer.read()
    seconds = time.perf_counter() - started
    if answer.status != http.client.OK:
        raise MLPlatformError(f"{method} {path} answered {answer.status}: {content[:200]!r}")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
