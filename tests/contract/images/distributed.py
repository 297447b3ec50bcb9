"""A training image for contract tests of what takes time or several instances: it counts, it meets its peers."""

import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

BASE = Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"))
RESOURCES = json.loads((BASE / "input" / "config" / "resourceconfig.json").read_text())
PARAMETERS = json.loads((BASE / "input" / "config" / "hyperparameters.json").read_text())
PORT = int(PARAMETERS.get("port", 0))


def count() -> None:
    """Count to ``steps`` from where the last checkpoint ended; note each start and each SIGTERM."""
    folder = BASE / PARAMETERS.get("checkpoints", "checkpoints")
    step_file, history = folder / "step", folder / "history"
    step = int(step_file.read_text()) if step_file.exists() else 0
    say(history, f"start at {step}")

    def stopped(*_: object) -> None:
        say(history, "SIGTERM")
        sys.exit(1)

    signal.signal(signal.SIGTERM, stopped)
    while step < int(PARAMETERS["steps"]):
        time.sleep(0.02)
        step += 1
        # Whole or not at all: SIGTERM may come at any moment.
        (folder / "next").write_text(str(step))
        (folder / "next").replace(step_file)
    sys.stdout.write(f"steps={step};\n")
    (BASE / "model" / "history").write_text(history.read_text())


def say(history: Path, line: str) -> None:
    """Add a line to what survives."""
    with history.open("a") as file:
        file.write(f"{line}\n")


def meet() -> None:
    """Each instance tells the first one what its channel holds; the first one writes it all down."""
    me, first = RESOURCES["current_host"], RESOURCES["hosts"][0]
    sys.stdout.write(f"{me} is here\n")
    data = {path.name: path.read_text() for path in (BASE / "input" / "data" / "train").rglob("*") if path.is_file()}
    message = json.dumps({"host": me, "name": socket.gethostname(), "data": data, "hosts": RESOURCES["hosts"]})
    if me == first:
        with socket.create_server((first, PORT)) as server:
            heard = [message, *(receive(server) for _ in RESOURCES["hosts"][1:])]
        (BASE / "model" / "heard.json").write_text(json.dumps([json.loads(one) for one in heard]))
        (BASE / "output" / "data" / "from.txt").write_text(me)
    else:
        send(first, message)
    number = RESOURCES["hosts"].index(me) + 1
    (BASE / "model" / f"from-{number}").write_text(me)
    (BASE / "model" / "all").write_text(me)


def receive(server: socket.socket) -> str:
    """Return what one peer says."""
    connection, _ = server.accept()
    with connection, connection.makefile() as file:
        return file.read()


def send(host: str, message: str) -> None:
    """Say something to a peer that may not listen yet."""
    for _ in range(500):
        try:
            with socket.create_connection((host, PORT)) as connection:
                connection.sendall(message.encode())
                return
        except ConnectionRefusedError:
            time.sleep(0.02)
    raise TimeoutError(host)


def fail_second() -> None:
    """The second instance fails; the others wait to be ended."""
    if RESOURCES["hosts"].index(RESOURCES["current_host"]) == 1:
        (BASE / "output" / "failure").write_text("the second has had enough")
        sys.exit(5)
    time.sleep(60)


if __name__ == "__main__":
    {"count": count, "meet": meet, "fail-second": fail_second}[PARAMETERS["mode"]]()
