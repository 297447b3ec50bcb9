"""Data capture: a sample of what an endpoint was asked and answered, as JSON lines in S3.

A line is appended to a spool file under the stand-in's home before the caller gets its answer, and spools are
uploaded in the background; a spool that outlives a crash is uploaded by the next start. The layout is SageMaker's
(``eventVersion`` 0). Reading captures is not done here.
"""

import asyncio
import base64
import json
import logging
import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

FLUSH_SECONDS = 1.0
FLUSH_LINES = 1_000
FLUSH_BYTES = 32 * 1024 * 1024
RETRY_SECONDS = 2.0
CLOSE_SECONDS = 5.0
UPLOADS_AT_ONCE = 3

logger = logging.getLogger(__name__)

Upload = Callable[[str, str, bytes], None]
"""Stores a body in S3 under a bucket and a key; blocks, and raises when it did not."""


@dataclass(frozen=True, slots=True)
class CaptureRules:
    """What an endpoint config's ``DataCaptureConfig`` asks for."""

    bucket: str
    prefix: str
    percentage: float
    inputs: bool
    outputs: bool
    csv_types: frozenset[str]
    json_types: frozenset[str]

    @classmethod
    def from_config(cls, config: dict | None) -> "CaptureRules | None":
        """Return the rules of a ``DataCaptureConfig``, or None when nothing is to be captured."""
        if not config or not config.get("EnableCapture", True) or not config["InitialSamplingPercentage"]:
            return None
        bucket, _, prefix = config["DestinationS3Uri"].partition("://")[2].partition("/")
        modes = {option["CaptureMode"] for option in config["CaptureOptions"]}
        types = config.get("CaptureContentTypeHeader", {})
        return cls(
            bucket=bucket,
            prefix=prefix.strip("/"),
            percentage=config["InitialSamplingPercentage"],
            inputs=bool(modes & {"Input", "InputAndOutput"}),
            outputs=bool(modes & {"Output", "InputAndOutput"}),
            csv_types=frozenset(name.lower() for name in types.get("CsvContentTypes", ())),
            json_types=frozenset(name.lower() for name in types.get("JsonContentTypes", ())),
        )

    def sampled(self) -> bool:
        """Decide whether this request is one of the sample."""
        return self.percentage >= 100 or random.random() * 100 < self.percentage  # noqa: S311, PLR2004 - no secret

    def side(self, mode: str, content_type: str, body: bytes) -> dict[str, str]:
        """Return one side of the exchange, as text where the rules name its content type and in base64 elsewhere."""
        media_type = content_type.partition(";")[0].strip().lower()
        encoding = "CSV" if media_type in self.csv_types else "JSON" if media_type in self.json_types else "BASE64"
        try:
            data = body.decode() if encoding != "BASE64" else base64.b64encode(body).decode()
        except UnicodeDecodeError:
            encoding, data = "BASE64", base64.b64encode(body).decode()
        return {"observedContentType": content_type, "mode": mode, "data": data, "encoding": encoding}


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer."""

    content_type: str
    body: bytes
    answer_content_type: str
    answer: bytes
    inference_id: str | None
    at: datetime


def capture_line(rules: CaptureRules, exchange: Exchange) -> bytes:
    """Return the exchange as one line of a capture file."""
    data = {}
    if rules.inputs:
        data["endpointInput"] = rules.side("INPUT", exchange.content_type, exchange.body)
    if rules.outputs:
        data["endpointOutput"] = rules.side("OUTPUT", exchange.answer_content_type, exchange.answer)
    event = {"eventId": str(uuid.uuid4())}
    if exchange.inference_id:
        event["inferenceId"] = exchange.inference_id
    event["inferenceTime"] = exchange.at.strftime("%Y-%m-%dT%H:%M:%SZ")
    line = {"captureData": data, "eventMetadata": event, "eventVersion": "0"}
    return json.dumps(line, separators=(",", ":")).encode() + b"\n"


@dataclass
class _Spool:
    """A file of lines on their way to one S3 object; its first line says which."""

    path: Path
    stream: BinaryIO
    lines: int = 0
    size: int = 0
    timer: asyncio.TimerHandle | None = field(default=None, repr=False)


class CaptureWriter:
    """Spools captured lines and uploads them, without making a caller wait for S3."""

    def __init__(self, home: Path, upload: Upload) -> None:
        self._directory = home / "capture"
        self._upload = upload
        self._open: dict[tuple[str, str], _Spool] = {}
        self._uploads: set[asyncio.Task[None]] = set()
        # While S3 is away, spools wait here and not in every thread there is.
        self._slots = asyncio.Semaphore(UPLOADS_AT_ONCE)

    def write(self, endpoint: str, variant: str, rules: CaptureRules, exchange: Exchange) -> None:
        """Keep one exchange. When this returns, a crash of the stand-in no longer loses it."""
        parts = (rules.prefix, endpoint, variant, exchange.at.strftime("%Y/%m/%d/%H"))
        destination = (rules.bucket, "/".join(part for part in parts if part))
        line = capture_line(rules, exchange)
        spool = self._open.get(destination) or self._start(destination, exchange.at)
        spool.stream.write(line)
        spool.lines += 1
        spool.size += len(line)
        if spool.lines >= FLUSH_LINES or spool.size >= FLUSH_BYTES:
            self._flush(destination)

    def recover(self) -> None:
        """Upload what an earlier stand-in left behind."""
        opened = {spool.path for spool in self._open.values()}
        for path in self._directory.glob("*.spool"):
            if path not in opened:
                self._send(path)

    async def close(self) -> None:
        """Upload everything. What S3 refuses stays in its spool for the next start."""
        for destination in list(self._open):
            self._flush(destination)
        if self._uploads:
            _, pending = await asyncio.wait(self._uploads, timeout=CLOSE_SECONDS)
            for task in pending:
                task.cancel()

    def _start(self, destination: tuple[str, str], at: datetime) -> _Spool:
        self._directory.mkdir(parents=True, exist_ok=True)
        identity = uuid.uuid4()
        path = self._directory / f"{identity}.spool"
        bucket, prefix = destination
        name = f"{at:%M-%S}-{at.microsecond // 1000:03d}-{identity}.jsonl"
        spool = _Spool(path, path.open("ab", buffering=0))
        spool.stream.write(json.dumps({"bucket": bucket, "key": f"{prefix}/{name}"}).encode() + b"\n")
        spool.timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self._flush, destination)
        self._open[destination] = spool
        return spool

    def _flush(self, destination: tuple[str, str]) -> None:
        spool = self._open.pop(destination)
        if spool.timer is not None:
            spool.timer.cancel()
        spool.stream.close()
        self._send(spool.path)

    def _send(self, path: Path) -> None:
        task = asyncio.create_task(self._send_until_stored(path))
        self._uploads.add(task)
        task.add_done_callback(self._uploads.discard)

    async def _send_until_stored(self, path: Path) -> None:
        async with self._slots:
            while not await self._stored(path):
                await asyncio.sleep(RETRY_SECONDS)

    async def _stored(self, path: Path) -> bool:
        try:
            await asyncio.to_thread(_upload_spool, path, self._upload)
        except Exception as error:  # noqa: BLE001 - whatever S3 says, the lines must not be lost
            logger.warning("capture %s is not in S3 yet, trying again: %s", path.name, error)
            return False
        return True


def _upload_spool(path: Path, upload: Upload) -> None:
    header, _, lines = path.read_bytes().partition(b"\n")
    # A crash can cut the last line short; what ends with a line break is whole.
    whole = lines[: lines.rfind(b"\n") + 1]
    if whole:
        destination = json.loads(header)
        upload(destination["bucket"], destination["key"], whole)
    path.unlink()
