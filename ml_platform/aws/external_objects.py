"""Objects in somebody else's bucket: found and fetched, never written.

The platform's own bucket is ``objects``.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError, NoCredentialsError

from ml_platform.aws import clients
from ml_platform.core.errors import ServiceUnavailableError, SourceDataError


@dataclass(frozen=True, slots=True)
class ExternalObject:
    """One object; the etag changes when its content does."""

    key: str
    etag: str
    size: int


def list_objects(region: str, bucket: str, prefix: str) -> list[ExternalObject]:
    """Return the objects under a prefix, in S3's (lexical) order.

    Raises:
        SourceDataError: When the bucket is not there or may not be read.
        ServiceUnavailableError: When S3 does not answer.
    """
    try:
        pages = clients.s3(region).get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [
            ExternalObject(item["Key"], item["ETag"].strip('"'), item["Size"])
            for page in pages
            for item in page.get("Contents", [])
        ]
    except (ClientError, BotoCoreError) as error:
        _explain(error, f"s3://{bucket}/{prefix}")


def download(region: str, bucket: str, key: str, path: Path) -> None:
    """Download one object to a file; raises like ``list_objects``."""
    try:
        clients.s3(region).download_file(bucket, key, str(path))
    except (ClientError, BotoCoreError) as error:
        _explain(error, f"s3://{bucket}/{key}")


def _explain(error: Exception, address: str) -> NoReturn:
    if isinstance(error, EndpointConnectionError):
        raise ServiceUnavailableError(
            f"S3 does not answer for {address} ({error}). Check the network and AWS_ENDPOINT_URL."
        ) from error
    if isinstance(error, NoCredentialsError):
        raise SourceDataError(
            f"{address} cannot be read without AWS credentials. Set AWS_PROFILE or AWS_ACCESS_KEY_ID and its secret."
        ) from error
    raise SourceDataError(
        f"{address} cannot be read: {error}. Check the address in ML_PLATFORM_SOURCE and that these credentials may "
        "list and get its objects."
    ) from error
