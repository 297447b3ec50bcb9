"""The image of the life-cycle suite: trains, serves or processes by its first argument; standard library only.

Built by the ``Dockerfile`` beside it for a real account; the stand-in starts this file itself.
"""

import json
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

BASE = Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"))


def total(folder: Path) -> float:
    """Add up the numbers in a folder's files, one a line."""
    return sum(float(line) for path in sorted(folder.rglob("*.csv")) for line in path.read_text().split())


def train() -> int:
    """Do what the hyper-parameter ``mode`` says: add up the channel, fail, or wait for SIGTERM."""
    mode = json.loads((BASE / "input" / "config" / "hyperparameters.json").read_text())["mode"]
    model = BASE / "model" / "answer.txt"
    if mode == "fail":
        (BASE / "output" / "failure").write_text("no such column: amount")
        return 3
    if mode == "wait":
        signal.signal(signal.SIGTERM, lambda *_: (model.write_text("stopped"), sys.exit(0)))
        say("waiting")
        while True:
            time.sleep(0.05)
    for step, loss in enumerate((0.75, 0.25)):
        say(f"step {step} loss={loss};")
    model.write_text(str(total(BASE / "input" / "data" / "train")))
    return 0


def process() -> int:
    """Write the sum of the inputs where outputs are taken from."""
    output = BASE / "processing" / "output"
    (output / "total.txt").write_text(str(total(BASE / "processing" / "input")))
    return 0


class Handler(BaseHTTPRequestHandler):
    """Answers with the model's text, or with the status that the environment asks for."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def do_GET(self) -> None:
        self.answer(200, b"")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        status = int(os.environ.get("ANSWER_STATUS", "200"))
        self.answer(status, (BASE / "model" / "answer.txt").read_bytes() if status == 200 else b"broken")

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/csv")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def serve() -> int:
    """Serve until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    say("serving")
    address = os.environ.get("BIND_HOST", "127.0.0.1"), int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080"))
    Server(address, Handler).serve_forever()
    return 0


def say(line: str) -> None:
    """Print a line at once: metrics and logs are read while the job runs."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit({"train": train, "serve": serve, "process": process}[sys.argv[1] if sys.argv[1:] else "process"]())
