"""A serving image for contract tests, standard library only: answers each CSV row or JSON line with the sum of it."""

import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

BASE = Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"))


class Handler(BaseHTTPRequestHandler):
    """``/ping`` and ``/invocations``."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        advice = {"MaxConcurrentTransforms": 2, "BatchStrategy": "SINGLE_RECORD", "MaxPayloadInMB": "broken"}
        given = self.path == "/execution-parameters" and os.environ.get("ADVISE")
        self._answer(200, json.dumps(advice).encode() if given else b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        try:
            if self.headers["Content-Type"] == "text/csv":
                sums = [sum(map(float, line.split(","))) for line in body.splitlines() if line]
                answer = "".join(f"{value + self.offset}\n" for value in sums)
            else:
                rows = [json.loads(line) for line in body.splitlines() if line]
                answer = "".join(json.dumps({"sum": sum(row["values"])}) + "\n" for row in rows)
        except ValueError as error:
            self._answer(400, f"cannot score: {error}".encode())
        else:
            self._answer(200, answer.encode())

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name http.server uses
        sys.stdout.write(f"{format % args} batch={os.environ.get('SAGEMAKER_BATCH')}\n")


if __name__ == "__main__":
    offset = BASE / "model" / "offset"
    Handler.offset = float(offset.read_text()) if offset.exists() else 0.0  # type: ignore[attr-defined]
    # A model may ask to be waited for, as a large one takes its time to load.
    gate = BASE / "model" / "release"
    while gate.exists() and not Path(gate.read_text()).exists():
        time.sleep(0.05)
    port = int(os.environ["SAGEMAKER_BIND_TO_PORT"])
    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
