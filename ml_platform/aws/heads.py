"""Heads: small documents that several writers may want to replace at once, by compare and swap.

A head says what exists; the things themselves are objects written before it. So one put makes many of them visible at
once, and a writer that was overtaken is told so instead of undoing what the other one did.
"""

from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from botocore.exceptions import ClientError
from pydantic import BaseModel

from ml_platform.aws import clients
from ml_platform.aws.objects import ObjectNotFoundError, ObjectStore

Document = TypeVar("Document", bound=BaseModel)


class HeadMovedError(Exception):
    """Another writer replaced the head since it was read. Read it again and decide anew."""


@dataclass(frozen=True, slots=True)
class Head(Generic[Document]):
    """One document at a key; ``kind`` is its type, whose defaults are what it says before it is first written."""

    store: ObjectStore
    key: str
    kind: type[Document]

    def read(self) -> tuple[Document, str | None]:
        """Return what the head says and its ETag, which is None before it is first written."""
        try:
            content, etag = self.store.get_version(self.key)
        except ObjectNotFoundError:
            return self.kind(), None
        return self.kind.model_validate_json(content), etag

    def replace(self, document: Document, etag: str | None) -> str:
        """Write the head if it still is the one that was read, and return its new ETag.

        Raises:
            HeadMovedError: When it is not; nothing was written.
        """
        put = partial(
            clients.s3(self.store.region).put_object,
            Bucket=self.store.bucket,
            Key=self.key,
            Body=document.model_dump_json().encode(),
            ContentType="application/json",
        )
        try:
            return (put(IfNoneMatch="*") if etag is None else put(IfMatch=etag))["ETag"]
        except ClientError as error:
            # 409: two conditional writes met; S3 asks to try again, which is what being overtaken means.
            if error.response["Error"]["Code"] in {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}:
                raise HeadMovedError(self.store.uri(self.key)) from error
            raise
