"""Objects in S3: whole bytes and JSON documents under one bucket.

A put is atomic in S3: readers see the old object or the new one, never half of one.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from botocore.exceptions import ClientError, EndpointConnectionError

from ml_platform.aws import clients, failures
from ml_platform.core.errors import ServiceUnavailableError
from ml_platform.core.settings import Settings


class ObjectNotFoundError(KeyError):
    """No object has this key."""


@dataclass(frozen=True, slots=True)
class ObjectStore:
    """One bucket. Keys are relative to it; ``uri`` gives the full address."""

    bucket: str
    region: str

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Return the platform's bucket."""
        return cls(settings.bucket, settings.region)

    def uri(self, key: str) -> str:
        """Return ``s3://bucket/key``."""
        return f"s3://{self.bucket}/{key}"

    def key(self, uri: str) -> str:
        """Return the key of an address in this bucket.

        Raises:
            ValueError: When the address points at another bucket.
        """
        prefix = f"s3://{self.bucket}/"
        if not uri.startswith(prefix):
            raise ValueError(f"{uri} is not in bucket {self.bucket}")
        return uri.removeprefix(prefix)

    def ensure_bucket(self) -> None:
        """Create the bucket unless it is there; safe to repeat."""
        try:
            clients.s3(self.region).create_bucket(Bucket=self.bucket)
        except ClientError as error:
            if error.response["Error"]["Code"] not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
                raise
        except EndpointConnectionError as error:
            raise ServiceUnavailableError(
                f"S3 does not answer ({error}). Locally, start the services with `make dev` or `ml-platform dev`."
            ) from error

    def put(self, key: str, content: bytes, content_type: str = "application/octet-stream") -> str:
        """Write an object and return its address."""
        self.put_version(key, content, content_type)
        return self.uri(key)

    def put_version(self, key: str, content: bytes, content_type: str = "application/octet-stream") -> str:
        """Write an object and return the ETag of what was written."""
        written = clients.s3(self.region).put_object(
            Bucket=self.bucket, Key=key, Body=content, ContentType=content_type
        )
        return written["ETag"]

    def get(self, key: str) -> bytes:
        """Return an object's bytes.

        Raises:
            ObjectNotFoundError: When there is no such object.
        """
        return self.get_version(key)[0]

    def get_version(self, key: str) -> tuple[bytes, str]:
        """Return an object's bytes and the ETag they have; raises like ``get``."""
        try:
            answer = clients.s3(self.region).get_object(Bucket=self.bucket, Key=key)
            return answer["Body"].read(), answer["ETag"]
        except ClientError as error:
            if error.response["Error"]["Code"] in {"NoSuchKey", "404", "NoSuchBucket"}:
                raise ObjectNotFoundError(self.uri(key)) from error
            raise

    def get_unless(self, key: str, etag: str | None) -> tuple[bytes, str] | None:
        """Return an object's bytes and ETag, or None when it still has this ETag.

        Raises:
            ObjectNotFoundError: When there is no such object.
            ServiceUnavailableError: When S3 does not answer now.
            ConfigurationError: When it refuses.
        """
        unless = {"IfNoneMatch": etag} if etag else {}
        with failures.translated(f"read {self.uri(key)}"):
            try:
                answer = clients.s3(self.region).get_object(Bucket=self.bucket, Key=key, **unless)  # type: ignore[arg-type]
                return answer["Body"].read(), answer["ETag"]
            except ClientError as error:
                if error.response["Error"]["Code"] in {"304", "NotModified"}:
                    return None
                if error.response["Error"]["Code"] in {"NoSuchKey", "404", "NoSuchBucket"}:
                    raise ObjectNotFoundError(self.uri(key)) from error
                raise

    def put_json(self, key: str, value: Any) -> str:
        """Write a JSON document and return its address."""
        return self.put(key, json.dumps(value, indent=2, sort_keys=True).encode(), "application/json")

    def get_json(self, key: str) -> Any:
        """Return a JSON document; raises like ``get``."""
        return json.loads(self.get(key))

    def exists(self, key: str) -> bool:
        """Whether there is an object with this key."""
        try:
            clients.s3(self.region).head_object(Bucket=self.bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] in {"404", "NoSuchKey", "NoSuchBucket"}:
                return False
            raise
        return True

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys under a prefix, in S3's (lexical) order."""
        for key, _ in self.versions(prefix):
            yield key

    def versions(self, prefix: str) -> Iterator[tuple[str, str]]:
        """Yield the keys under a prefix with their ETags, in S3's (lexical) order."""
        pages = clients.s3(self.region).get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        for page in pages:
            for item in page.get("Contents", []):
                yield item["Key"], item["ETag"]

    def delete(self, keys: list[str]) -> None:
        """Delete objects; absent keys are no error."""
        for start in range(0, len(keys), 1000):
            clients.s3(self.region).delete_objects(
                Bucket=self.bucket, Delete={"Objects": [{"Key": key} for key in keys[start : start + 1000]]}
            )

    def upload(self, path: Path, key: str) -> str:
        """Upload a file and return its address."""
        clients.s3(self.region).upload_file(str(path), self.bucket, key)
        return self.uri(key)

    def download(self, key: str, path: Path) -> None:
        """Download an object to a file; raises like ``get``."""
        try:
            clients.s3(self.region).download_file(self.bucket, key, str(path))
        except ClientError as error:
            if error.response["Error"]["Code"] in {"NoSuchKey", "404", "NoSuchBucket"}:
                raise ObjectNotFoundError(self.uri(key)) from error
            raise
