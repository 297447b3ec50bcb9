"""Objects that are written once and never replaced: a second writer of the same key is told that it came too late."""

from botocore.exceptions import ClientError

from ml_platform.aws import clients
from ml_platform.aws.objects import ObjectStore


def put_once(store: ObjectStore, key: str, content: bytes, content_type: str = "application/json") -> bool:
    """Write an object unless its key is taken; return whether this call wrote it."""
    try:
        clients.s3(store.region).put_object(
            Bucket=store.bucket, Key=key, Body=content, ContentType=content_type, IfNoneMatch="*"
        )
    except ClientError as error:
        # 409: two conditional writes met, so the key is about to be taken.
        if error.response["Error"]["Code"] in {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}:
            return False
        raise
    return True
