"""A serving image in miniature: answers with what is in its model, and misbehaves as its environment says.

Started by the stand-in as ``serve`` command; standard library only, so that it starts fast.
"""

import json
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

MODEL = Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml")) / "model" / "answer.txt"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # One write per answer: two would wait for the delayed acknowledgement of the first.
    wbufsize = -1

    def do_GET(self) -> None:
        self.answer(self.server.ping_status, b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if body.startswith(b"sicken"):
            self.server.ping_status = 500
        if body.startswith(b"burn"):
            until = time.monotonic() + 1
            while time.monotonic() < until:
                pass
        if body.startswith(b"exit"):
            os._exit(3)
        time.sleep(float(os.environ.get("ANSWER_SECONDS", "0")))
        if body.startswith(b"sleep "):
            time.sleep(float(body.removeprefix(b"sleep ")))
        if body.startswith(b"stream "):
            self.stream(int(body.split()[1]), breaks=body.endswith(b"break"))
        elif status := os.environ.get("ANSWER_STATUS"):
            self.answer(int(status), b"broken")
        elif body.startswith(b"status "):
            self.answer(int(body.removeprefix(b"status ")), b"no such column")
        elif body == b"headers":
            self.answer(200, json.dumps({name.lower(): value for name, value in self.headers.items()}).encode())
        else:
            self.answer(200, self.server.text.encode())

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", self.headers.get("Accept", "text/csv; charset=utf-8"))
        self.send_header("Content-Length", str(len(body)))
        if attributes := self.headers.get("X-Amzn-SageMaker-Custom-Attributes"):
            self.send_header("X-Amzn-SageMaker-Custom-Attributes", attributes)
        self.end_headers()
        self.wfile.write(body)

    def stream(self, parts: int, *, breaks: bool) -> None:
        """Answer part by part; maybe die before the end."""
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Transfer-Encoding", "chunked")
        if attributes := self.headers.get("X-Amzn-SageMaker-Custom-Attributes"):
            self.send_header("X-Amzn-SageMaker-Custom-Attributes", attributes)
        self.end_headers()
        self.wfile.flush()
        for number in range(parts):
            part = b"part %d;" % number
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.wfile.flush()
            time.sleep(float(os.environ.get("PART_SECONDS", "0.05")))
        if breaks:
            os._exit(3)
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *arguments: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    ping_status = int(os.environ.get("PING_STATUS", "200"))
    text = MODEL.read_text() if MODEL.exists() else "no model"


if __name__ == "__main__":
    if code := os.environ.get("EXIT_AT_START"):
        sys.stdout.write("cannot load the model\n")
        sys.exit(int(code))
    signal.signal(signal.SIGTERM, lambda *_: (os.write(1, b"ending\n"), os._exit(0)))
    sys.stdout.write(f"serving {Server.text} as process {os.getpid()}\n")
    sys.stdout.flush()
    Server(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
