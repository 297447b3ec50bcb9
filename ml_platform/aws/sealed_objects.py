"""Objects that are written once and never replaced: a second writer of the same key is told that it came too late."""

from botocore.exceptions import ClientError

from ml_platform.aws import clients, failures
from ml_platform.aws.objects import ObjectStore


def put_once(store: ObjectStore, key: str, content: bytes, content_type: str = "application/json") -> bool:
    """Write an object unless its key is taken; return whether it holds this content.

    Raises:
        ConfigurationError: When S3 refuses, for want of a permission or of the bucket.
        ServiceUnavailableError: When S3 does not answer.
    """
    with failures.translated(f"write {store.uri(key)}"):
        try:
            clients.s3(store.region).put_object(
                Bucket=store.bucket, Key=key, Body=content, ContentType=content_type, IfNoneMatch="*"
            )
        except ClientError as error:
            # 409: two conditional writes met, so the key is about to be taken.
            if failures.code(error) not in {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}:
                raise
            # The key may have been taken by this very write, whose answer was lost before it was tried again.
            return store.exists(key) and store.get(key) == content
    return True
