"""A training image for contract tests: tells what it finds under ``/opt/ml`` and does what ``mode`` asks for."""

import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

BASE = Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"))


def report() -> dict[str, object]:
    """What a container can see."""
    config = BASE / "input" / "config"
    data = BASE / "input" / "data"
    return {
        "argv": sys.argv[1:],
        "environment": dict(os.environ),
        "config": {path.name: json.loads(path.read_text()) for path in sorted(config.iterdir())},
        "data": {path.relative_to(data).as_posix(): path.read_text() for path in sorted(data.rglob("*.*"))},
        "host": socket.gethostname(),
        "pid": os.getpid(),
    }


def stopped(*_: object) -> None:
    """Save what there is, as a good container does."""
    (BASE / "model" / "stopped").write_text("by SIGTERM")
    sys.exit(0)


def main() -> int:
    """Run the mode that the hyper-parameters name."""
    parameters = json.loads((BASE / "input" / "config" / "hyperparameters.json").read_text())
    mode = parameters.get("mode", "report")
    sys.stdout.write("epoch 1 loss=0.75\nepoch 2 loss=0.25\n\nno newline at the end")
    sys.stdout.flush()
    (BASE / "model" / "report.json").write_text(json.dumps(report()))
    if mode == "output":
        (BASE / "output" / "data" / "figures.txt").write_text("42")
    if mode == "fail":
        (BASE / "output" / "failure").write_text("no such column: amount" + " " * 2000)
        return 3
    if mode == "crash":
        os.kill(os.getpid(), signal.SIGKILL) if os.getpid() != 1 else os._exit(9)
    if mode in ("wait", "wait-deaf"):
        signal.signal(signal.SIGTERM, stopped if mode == "wait" else signal.SIG_IGN)
        sys.stdout.write("\nwaiting\n")
        sys.stdout.flush()
        while True:
            time.sleep(0.05)
    return 0


if __name__ == "__main__":
    sys.exit(main())
