"""S3, as far as jobs and endpoints need it: list, read and write objects at ``AWS_ENDPOINT_URL``.

Calls are synchronous; from the event loop use the ``async`` methods, which run them in a thread.
"""

import asyncio
import io
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

from ml_platform.local_sagemaker.faults import Faults

FAILURES = (ClientError, BotoCoreError)


class ObjectsError(Exception):
    """S3 refused or lacks what was asked; the message names the address."""


@dataclass(frozen=True)
class Location:
    """An address in S3: a bucket and a key or key prefix."""

    bucket: str
    key: str

    @classmethod
    def parse(cls, uri: str) -> "Location":
        """Split ``s3://bucket/key``.

        Raises:
            ObjectsError: When it is no S3 address.
        """
        # Not urlsplit: it would cut a key at `?` or `#`, and both are legal in S3.
        scheme, _, rest = uri.partition("://")
        bucket, _, key = rest.partition("/")
        if scheme != "s3" or not bucket:
            raise ObjectsError(f"{uri!r} is not an S3 address")
        return cls(bucket, key)


class _ErrorBody(io.BytesIO):
    """An answer's body as botocore reads one."""

    def stream(self, **_: Any) -> Iterator[bytes]:
        """Yield the body."""
        yield self.read()


class Objects:
    """The S3 client of the stand-in."""

    def __init__(self, session: Session, region: str, faults: Faults | None = None) -> None:
        config = Config(
            retries={"mode": "standard", "max_attempts": 5},
            s3={"addressing_style": "path"},
            max_pool_connections=32,
        )
        self._client: Any = session.create_client("s3", region_name=region, config=config)
        self._faults = faults or Faults()
        self._client.meta.events.register("before-send.s3", self._fail_on_demand)  # type: ignore[arg-type]

    def _fail_on_demand(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse | None:
        """Answer in place of S3 when a fault says so; the client then retries as it would on AWS."""
        target = unquote(urlsplit(request.url).path).lstrip("/")
        fault = self._faults.take("s3-error", target)
        if fault is None:
            return None
        body = _ErrorBody(b"<Error><Code>InternalError</Code><Message>a fault on demand</Message></Error>")
        return AWSResponse(request.url, fault.get("status", HTTPStatus.SERVICE_UNAVAILABLE), HTTPHeaders(), body)

    def keys(self, prefix: str) -> list[str]:
        """Return the keys under an S3 address, sorted; folder markers are left out."""
        return sorted(key for key in self._keys(Location.parse(prefix)) if not key.endswith("/"))

    def _keys(self, location: Location) -> Iterator[str]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=location.bucket, Prefix=location.key)
        try:
            for page in pages:
                yield from (entry["Key"] for entry in page.get("Contents", []))
        except FAILURES as error:
            raise ObjectsError(f"s3://{location.bucket}/{location.key}: {error}") from error

    def exists(self, uri: str) -> bool:
        """Return whether there is an object at an address."""
        location = Location.parse(uri)
        try:
            self._client.head_object(Bucket=location.bucket, Key=location.key)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == HTTPStatus.NOT_FOUND:
                return False
            raise ObjectsError(f"{uri}: {error}") from error
        except BotoCoreError as error:
            raise ObjectsError(f"{uri}: {error}") from error
        return True

    def read(self, uri: str) -> bytes:
        """Return an object's bytes."""
        location = Location.parse(uri)
        try:
            return bytes(self._client.get_object(Bucket=location.bucket, Key=location.key)["Body"].read())
        except FAILURES as error:
            raise ObjectsError(f"{uri}: {error}") from error

    def download(self, uri: str, path: Path) -> None:
        """Write an object to a file, whose folder is made."""
        location = Location.parse(uri)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            body = self._client.get_object(Bucket=location.bucket, Key=location.key)["Body"]
        except FAILURES as error:
            raise ObjectsError(f"{uri}: {error}") from error
        with path.open("wb") as file:
            shutil.copyfileobj(body, file, 1 << 20)

    def upload(self, path: Path, uri: str) -> None:
        """Write a file to S3."""
        with path.open("rb") as file:
            self._put(uri, file)

    def write(self, uri: str, body: bytes) -> None:
        """Write bytes to S3."""
        self._put(uri, body)

    def _put(self, uri: str, body: Any) -> None:
        location = Location.parse(uri)
        try:
            self._client.put_object(Bucket=location.bucket, Key=location.key, Body=body)
        except FAILURES as error:
            raise ObjectsError(f"{uri}: {error}") from error

    async def akeys(self, prefix: str) -> list[str]:
        """List without blocking the event loop."""
        return await asyncio.to_thread(self.keys, prefix)

    async def aread(self, uri: str) -> bytes:
        """Read without blocking the event loop."""
        return await asyncio.to_thread(self.read, uri)

    async def adownload(self, uri: str, path: Path) -> None:
        """Download without blocking the event loop."""
        await asyncio.to_thread(self.download, uri, path)

    async def aupload(self, path: Path, uri: str) -> None:
        """Upload without blocking the event loop."""
        await asyncio.to_thread(self.upload, path, uri)

    async def awrite(self, uri: str, body: bytes) -> None:
        """Write without blocking the event loop."""
        await asyncio.to_thread(self.write, uri, body)


def path_below(folder: Path, relative: str) -> Path:
    """Return where an object goes below a folder.

    Raises:
        ObjectsError: When the key would leave the folder (``..`` parts, absolute paths, NUL).
    """
    parts = PurePosixPath(relative).parts
    if not parts or relative.startswith("/") or "\0" in relative or any(part in ("..", ".") for part in parts):
        raise ObjectsError(f"refused S3 key {relative!r}: it would leave its folder")
    return folder.joinpath(*parts)
