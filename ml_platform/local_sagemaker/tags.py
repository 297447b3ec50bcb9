"""Tags of any resource, by ARN."""

from typing import Any

from ml_platform.local_sagemaker.service import Request, Response, Service, operation, validation

KIND = "tags"
MAX_TAGS = 50
Tag = dict[str, Any]


def put_tags(service: Service, arn: str, tags: list[Tag] | None) -> list[Tag]:
    """Add tags to a resource, replacing those of the same key; return all its tags."""
    merged = {tag["Key"]: tag for tag in [*tags_of(service, arn), *(tags or [])]}
    if len(merged) > MAX_TAGS:
        raise validation(f"Number of tags exceeds the limit of {MAX_TAGS} for {arn}.")
    if tags:
        service.store.put(KIND, arn, {"Tags": list(merged.values())})
    return list(merged.values())


def tags_of(service: Service, arn: str) -> list[Tag]:
    """Return a resource's tags."""
    return list((service.store.get(KIND, arn) or {}).get("Tags", []))


def drop_tags(service: Service, arn: str) -> None:
    """Forget the tags of a resource that is deleted."""
    service.store.delete(KIND, arn)


@operation("AddTags")
async def add_tags(service: Service, request: Request) -> Response:
    """Add or replace tags."""
    return {"Tags": put_tags(service, request["ResourceArn"], request["Tags"])}


@operation("ListTags")
async def list_tags(service: Service, request: Request) -> Response:
    """Return all tags: a resource has at most 50, which is the smallest page AWS allows to ask for."""
    return {"Tags": tags_of(service, request["ResourceArn"])}


@operation("DeleteTags")
async def delete_tags(service: Service, request: Request) -> Response:
    """Remove tags by key."""
    kept = [tag for tag in tags_of(service, request["ResourceArn"]) if tag["Key"] not in request["TagKeys"]]
    service.store.put(KIND, request["ResourceArn"], {"Tags": kept})
    return {}
