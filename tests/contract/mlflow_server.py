"""A real ``mlflow server`` on loopback, with a database of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import free_port, wait_for_port

SECONDS_TO_START = 240


@contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    """Run a server while the block lasts; gives its address. Artifacts go through it, as from any other machine."""
    port = free_port()
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}", "--artifacts-destination", str(folder / "kept")),
    ]
    # Its job runners, for models that judge texts, are six more processes.
    environment = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command, env=dict(os.environ) | environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        with process:
            try:
                wait_for_port(port, process, SECONDS_TO_START)
                yield f"http://127.0.0.1:{port}"
            finally:
                # It answers by a process of its own, which would go on without it.
                os.killpg(process.pid, signal.SIGKILL)
