"""Captured lines reach S3 whole, once, and however often S3 or the stand-in fails meanwhile."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ml_platform.local_sagemaker import capture
from ml_platform.local_sagemaker.capture import CaptureRules, CaptureWriter, Exchange, capture_line

CONFIG = {
    "InitialSamplingPercentage": 100,
    "DestinationS3Uri": "s3://bucket/some/prefix/",
    "CaptureOptions": [{"CaptureMode": "InputAndOutput"}],
    "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"], "JsonContentTypes": ["application/json"]},
}
AT = datetime(2026, 11, 22, 14, 5, 9, 7000, tzinfo=UTC)


def an_exchange(body: bytes = b"1,2", content_type: str = "text/csv", at: datetime = AT) -> Exchange:
    return Exchange(content_type, body, "application/json; charset=utf-8", b'{"a":1}', "order-1", at)


def rules(**changes: object) -> CaptureRules:
    found = CaptureRules.from_config(CONFIG | changes)
    assert found is not None
    return found


class Bucket:
    """Keeps what is uploaded; refuses the first so many uploads."""

    def __init__(self, refusals: int = 0) -> None:
        self.objects: dict[str, bytes] = {}
        self.refusals = refusals

    def upload(self, bucket: str, key: str, body: bytes) -> None:
        if self.refusals:
            self.refusals -= 1
            raise OSError("S3 is away")
        self.objects[f"{bucket}/{key}"] = body


@pytest.mark.parametrize(
    "config", [None, CONFIG | {"EnableCapture": False}, CONFIG | {"InitialSamplingPercentage": 0}], ids=str
)
def test_nothing_is_captured_unless_it_is_asked_for(config: dict | None) -> None:
    assert CaptureRules.from_config(config) is None


@pytest.mark.parametrize(
    ("content_type", "body", "encoding", "data"),
    [
        ("text/csv", b"1,2", "CSV", "1,2"),
        ("Text/CSV; charset=utf-8", b"1,2", "CSV", "1,2"),
        ("application/json", b"{}", "JSON", "{}"),
        ("application/x-npy", b"1,2", "BASE64", "MSwy"),
        ("text/csv", b"\xff", "BASE64", "/w=="),
    ],
)
def test_the_encoding_follows_the_content_type(content_type: str, body: bytes, encoding: str, data: str) -> None:
    side = json.loads(capture_line(rules(), an_exchange(body, content_type)))["captureData"]["endpointInput"]
    assert (side["encoding"], side["data"], side["observedContentType"]) == (encoding, data, content_type)


def test_lines_of_one_hour_share_an_object_and_hours_do_not(tmp_path: Path) -> None:
    bucket = Bucket()

    async def run() -> None:
        writer = CaptureWriter(tmp_path, bucket.upload)
        for hour in (14, 14, 15):
            writer.write("e", "v", rules(), an_exchange(at=AT.replace(hour=hour)))
        await writer.close()

    asyncio.run(run())
    sizes = {key.rpartition("/")[0]: body.count(b"\n") for key, body in bucket.objects.items()}
    assert sizes == {
        "bucket/some/prefix/e/v/2026/11/22/14": 2,
        "bucket/some/prefix/e/v/2026/11/22/15": 1,
    }
    assert all(key.rpartition("/")[2].startswith("05-09-007-") for key in bucket.objects)
    assert not list(tmp_path.rglob("*.spool"))


def test_an_object_is_uploaded_when_it_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "FLUSH_LINES", 3)
    bucket = Bucket()

    async def run() -> None:
        writer = CaptureWriter(tmp_path, bucket.upload)
        for _ in range(7):
            writer.write("e", "v", rules(), an_exchange())
        await writer.close()

    asyncio.run(run())
    assert sorted(body.count(b"\n") for body in bucket.objects.values()) == [1, 3, 3]


def test_an_upload_that_fails_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "RETRY_SECONDS", 0.01)
    bucket = Bucket(refusals=2)

    async def run() -> None:
        writer = CaptureWriter(tmp_path, bucket.upload)
        writer.write("e", "v", rules(), an_exchange())
        await writer.close()

    asyncio.run(run())
    assert len(bucket.objects) == 1


def test_a_crash_loses_no_line_and_a_torn_line_is_left_out(tmp_path: Path) -> None:
    bucket = Bucket()

    async def crash() -> None:
        writer = CaptureWriter(tmp_path, bucket.upload)
        for _ in range(3):
            writer.write("e", "v", rules(), an_exchange())
        for spool in writer._open.values():
            spool.stream.close()  # as the kernel does

    async def start_again() -> None:
        writer = CaptureWriter(tmp_path, bucket.upload)
        writer.recover()
        await writer.close()

    asyncio.run(crash())
    (spool,) = tmp_path.rglob("*.spool")
    with spool.open("ab") as file:
        file.write(b'{"captureData"')
    asyncio.run(start_again())
    ((_, body),) = bucket.objects.items()
    assert [json.loads(line)["eventVersion"] for line in body.splitlines()] == ["0"] * 3
    assert not list(tmp_path.rglob("*.spool"))
