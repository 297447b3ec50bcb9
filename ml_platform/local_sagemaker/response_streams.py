"""InvokeEndpointWithResponseStream: what a model server answers, part by part, as AWS's event stream.

The first part is passed on before the last one exists. Errors after the first part are events of the stream.
"""

import json
import struct
import time
import zlib
from collections.abc import AsyncGenerator

from ml_platform.local_sagemaker.cloudwatch.monitoring import monitoring_of
from ml_platform.local_sagemaker.endpoint_metrics import TIMED, endpoint_metric
from ml_platform.local_sagemaker.http_client import Answer, ConnectionLostError
from ml_platform.local_sagemaker.http_streams import StreamedAnswer
from ml_platform.local_sagemaker.invocations import OK, Call, ModelError, Served, accept_answer, ask_by, shown
from ml_platform.local_sagemaker.service import Service

CONTENT_TYPE = "application/vnd.amazon.eventstream"
# AWS lets a model stream for up to 8 minutes.
STREAM_SECONDS = 480.0
LONGEST_MESSAGE = 2048
STRING = 7


async def start(service: Service, call: Call) -> Served[StreamedAnswer]:
    """Ask a server and return its answer, whose body is still to come.

    Raises:
        AwsError: When nobody can answer, or the model answers an error.
    """
    served = await ask_by(service, call, lambda server: server.open_stream(call.headers, call.body), streamed=True)
    answer = served.answer
    if answer.status in OK:
        return served
    said = b""
    try:
        said = b"".join([part async for part in answer.chunks(call.seconds)])
    except (ConnectionLostError, TimeoutError):
        pass
    finally:
        answer.close()
    raise ModelError(service, call.endpoint, answer.status, shown(said))


async def events(service: Service, call: Call, served: Served[StreamedAnswer]) -> AsyncGenerator[bytes, None]:
    """Yield the encoded events of an answer, whatever becomes of it."""
    asked, answer, parts, broken = time.perf_counter(), served.answer, list[bytes](), False
    keep = served.fleet.capture is not None
    try:
        async for part in answer.chunks(STREAM_SECONDS):
            if not parts:
                _time_first_part(service, call, served, asked)
            parts.append(part if keep else b"")
            yield encode_event({":message-type": "event", ":event-type": "PayloadPart", **BINARY}, part)
    except TimeoutError:
        broken = True
        message = "Your model primary did not complete sending the inference response in the allotted time."
        yield _stream_error(message, "ModelInvocationTimeExceeded")
    except ConnectionLostError as error:
        broken = True
        yield _stream_error(f"The connection to the model primary was lost: {error}", "StreamBroken")
    finally:
        answer.close()
        _emit(service, call, served, "MidStreamErrors", "None", float(broken))
        _emit(service, call, served, "ModelLatency", TIMED, (time.perf_counter() - call.began) * 1e6)
    if not broken:
        whole = Answer(answer.status, answer.headers, b"".join(parts))
        accept_answer(service, call, Served(served.fleet, served.variant, whole))


def encode_event(headers: dict[str, str], payload: bytes) -> bytes:
    """Return one message of AWS's event stream: lengths, headers and payload, each part with its checksum."""
    encoded = b"".join(
        struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", STRING, len(value)) + value.encode()
        for name, value in headers.items()
    )
    prelude = struct.pack("!II", 16 + len(encoded) + len(payload), len(encoded))
    message = prelude + struct.pack("!I", zlib.crc32(prelude)) + encoded + payload
    return message + struct.pack("!I", zlib.crc32(message))


BINARY = {":content-type": "application/octet-stream"}


def _stream_error(message: str, code: str) -> bytes:
    headers = {
        ":message-type": "exception",
        ":exception-type": "ModelStreamError",
        ":content-type": "application/json",
    }
    return encode_event(headers, json.dumps({"Message": message[:LONGEST_MESSAGE], "ErrorCode": code}).encode())


def _time_first_part(service: Service, call: Call, served: Served[StreamedAnswer], asked: float) -> None:
    now = time.perf_counter()
    _emit(service, call, served, "FirstChunkLatency", TIMED, (now - call.began) * 1e6)
    _emit(service, call, served, "FirstChunkModelLatency", TIMED, (now - asked) * 1e6)


def _emit(service: Service, call: Call, served: Served[StreamedAnswer], name: str, unit: str, value: float) -> None:
    metric = endpoint_metric(name, call.endpoint, served.variant.plan.name)
    monitoring_of(service).endpoints.emit(metric, unit, value)
