"""The serving container answers as the pipeline does, refuses in words, and never drops a request it took."""

import json
import select
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest

from ml_platform.modeling.artifact import MANIFEST
from ml_platform.modeling.codec import decode_response, encode_csv, encode_instances
from ml_platform.modeling.contract import CONTENT_TYPES, CSV, JSON, JSON_LINES
from ml_platform.modeling.pipeline import FittedPipeline
from tests.unit.containers.jobs import Server, clean_environment, serving
from tests.unit.modeling.payments import FEATURES, payments


def body_of(frame: pd.DataFrame, content_type: str) -> bytes:
    rows = frame[list(FEATURES)]
    if content_type == CSV:
        return encode_csv(rows.to_numpy(dtype="float64"))
    document = encode_instances(rows.to_dict("records"))
    if content_type == JSON:
        return document
    return "\n".join(json.dumps(row) for row in json.loads(document)["instances"]).encode()


def test_ping_says_ready(server: Server) -> None:
    status, body, headers = server.request("GET", "/ping")
    assert (status, body) == (200, b"")
    assert headers["x-amzn-sagemaker-custom-attributes"] == f"fingerprint={'f' * 64}"


@pytest.mark.parametrize("accept", CONTENT_TYPES)
@pytest.mark.parametrize("content_type", CONTENT_TYPES)
def test_answers_equal_the_pipeline_in_every_form(
    server: Server, pipeline: FittedPipeline, content_type: str, accept: str
) -> None:
    frame = payments(300, 11)
    status, body, headers = server.request(
        "POST", "/invocations", body_of(frame, content_type), content_type=content_type, accept=accept
    )
    assert status == 200, body
    assert headers["content-type"].startswith(accept)
    assert np.abs(np.array(decode_response(body, headers["content-type"])) - pipeline.score(frame)).max() <= 1e-12


def test_one_row_is_answered_with_score_and_decision(server: Server, pipeline: FittedPipeline) -> None:
    frame = payments(1, 12)
    status, body, _ = server.request("POST", "/invocations", body_of(frame, JSON), content_type=JSON)
    assert status == 200
    [prediction] = json.loads(body)["predictions"]
    assert prediction["score"] == pytest.approx(pipeline.score(frame)[0], abs=1e-12)
    assert prediction["flagged"] == (prediction["score"] >= pipeline.threshold)


def test_batch_transform_learns_how_to_ask(server: Server) -> None:
    status, body, _ = server.request("GET", "/execution-parameters")
    assert status == 200
    assert json.loads(body) == {"MaxConcurrentTransforms": 1, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": 1}


@pytest.mark.parametrize(
    ("body", "headers", "status", "reason"),
    [
        (b"{", {"content_type": JSON}, 400, "not JSON"),
        (b'{"instances": [{"amount": 1}]}', {"content_type": JSON}, 400, "row 1 lacks is_weekend"),
        (b"1,2\n", {"content_type": CSV}, 400, "row 1 has 2 values, the model reads 4"),
        (b"", {"content_type": JSON_LINES}, 400, "no row"),
        (b"1,2,3,4", {"content_type": "text/plain"}, 415, "is not one of"),
        (b"1,2,3,4", {"content_type": CSV, "accept": "image/png"}, 406, "cannot answer as"),
        (b"0,1,2,3\n" * 200_000, {"content_type": CSV}, 413, "larger than 1 MB"),
    ],
    ids=["broken", "missing feature", "width", "empty", "type", "accept", "too large"],
)
def test_a_request_that_cannot_be_answered_is_refused_in_words(
    server: Server, body: bytes, headers: dict[str, str], status: int, reason: str
) -> None:
    answered, content, received = server.request("POST", "/invocations", body, **headers)
    assert answered == status
    assert received["content-type"] == JSON
    assert reason in json.loads(content)["error"]


def test_a_body_of_unannounced_length_has_the_same_limit(server: Server) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(40):
            yield b"0,1,2,3\n" * 8000

    status, _, _ = server.request("POST", "/invocations", chunks(), content_type=CSV)  # type: ignore[arg-type]
    assert status == 413


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/", 404), ("GET", "/invocations", 405), ("POST", "/ping", 405)]
)
def test_other_routes_are_refused(server: Server, method: str, path: str, status: int) -> None:
    assert server.request(method, path)[0] == status


def test_the_server_listens_on_loopback_only(server: Server) -> None:
    listening = psutil.Process(server.process.pid).net_connections("inet")
    assert {connection.laddr.ip for connection in listening} == {"127.0.0.1"}


def test_ping_is_answered_while_a_large_body_is_scored(model_base: Path) -> None:
    body = b"100.5,0,0.25,3\n" * 200_000
    with serving(model_base) as server, socket.create_connection(("127.0.0.1", server.port)) as large:
        large.sendall(_head(len(body), CSV) + body)
        assert server.request("GET", "/ping")[0] == 200
        still_scoring = not select.select([large], [], [], 0)[0]
        assert large.recv(15) == b"HTTP/1.1 200 OK"
    assert still_scoring


def test_sigterm_finishes_the_request_in_flight_then_leaves(model_base: Path, pipeline: FittedPipeline) -> None:
    frame = payments(3, 13)
    body = body_of(frame, CSV)
    with serving(model_base) as server, socket.create_connection(("127.0.0.1", server.port)) as caller:
        # The server asks for the body once it has the request in hand, so the signal cannot come too early.
        caller.sendall(_head(len(body), CSV, "Accept: text/csv\r\nExpect: 100-continue\r\n"))
        assert caller.recv(100).startswith(b"HTTP/1.1 100")
        server.process.send_signal(signal.SIGTERM)
        _wait_until_closed(server.port)
        assert server.process.poll() is None
        caller.sendall(body)
        head, _, content = _read_all(caller).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        assert decode_response(content, CSV) == pytest.approx(pipeline.score(frame), abs=1e-12)
        assert server.process.wait(20) == 0


def test_an_idle_connection_does_not_hold_the_server_up(model_base: Path) -> None:
    with serving(model_base) as server, socket.create_connection(("127.0.0.1", server.port)):
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(20) == 0


def test_a_damaged_artifact_is_never_served(model_base: Path, tmp_path: Path) -> None:
    shutil.copytree(model_base / "model", tmp_path / "model")
    threshold = tmp_path / "model" / "threshold.json"
    threshold.write_text('{"threshold": 0.0}')
    done = _run("serve", tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("cannot serve: threshold.json of the model artifact is not the file that was saved")
    assert "Traceback" not in done.stderr


def test_a_container_without_a_model_says_so(tmp_path: Path) -> None:
    done = _run("serve", tmp_path)
    assert done.returncode == 1
    assert f"{MANIFEST} is missing" in done.stderr


def test_a_port_in_use_ends_the_server_with_an_error(model_base: Path, server: Server) -> None:
    done = _run("serve", model_base, SAGEMAKER_BIND_TO_PORT=str(server.port))
    assert done.returncode != 0
    assert "address already in use" in done.stderr


def test_another_verb_is_a_usage_error(tmp_path: Path) -> None:
    done = _run("train", tmp_path)
    assert done.returncode == 2
    assert "usage" in done.stderr


def test_the_server_loads_neither_dataframes_nor_the_orchestrator(model_base: Path) -> None:
    program = (
        "import json, sys\n"
        "from pathlib import Path\n"
        "from ml_platform.containers.lean_lightgbm import import_lean_lightgbm\n"
        "import ml_platform.containers.serving.__main__\n"
        "import_lean_lightgbm()\n"
        "import uvicorn\n"
        "import ml_platform.containers.serving.app as app\n"
        f"app.ServedModel.load(Path({str(model_base / 'model')!r}))\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=clean_environment(model_base), capture_output=True, text=True, check=True
    )
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert not loaded & {"pandas", "sklearn", "pyarrow", "polars", "dagster", "boto3", "botocore", "feast"}


def _run(verb: str, base: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ml_platform.containers.serving", verb]
    return subprocess.run(
        command,
        env=clean_environment(base, **environment),
        cwd=base,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def _head(length: int, content_type: str, more: str = "") -> bytes:
    return (
        f"POST /invocations HTTP/1.1\r\nHost: model\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {length}\r\n{more}\r\n"
    ).encode()


def _wait_until_closed(port: int) -> None:
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return


def _read_all(connection: socket.socket) -> bytes:
    content = b""
    while chunk := connection.recv(65536):
        content += chunk
    return content
