"""Tags of any resource, by ARN."""

import re
from typing import Any

from ml_platform.local_sagemaker.service import Request, Response, Service, not_found, operation, validation

KIND = "tags"
MAX_TAGS = 50
ARN = re.compile(r"arn:aws[a-z-]*:sagemaker:[a-z0-9-]*:[0-9]*:(?P<kind>[a-z-]+)/(?P<name>.+)", re.DOTALL)
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
    arn = _require_resource(service, request["ResourceArn"])
    return {"Tags": put_tags(service, arn, request["Tags"])}


@operation("ListTags")
async def list_tags(service: Service, request: Request) -> Response:
    """Return all tags: a resource has at most 50, which is the smallest page AWS allows to ask for."""
    return {"Tags": tags_of(service, _require_resource(service, request["ResourceArn"]))}


@operation("DeleteTags")
async def delete_tags(service: Service, request: Request) -> Response:
    """Remove tags by key."""
    arn = _require_resource(service, request["ResourceArn"])
    kept = [tag for tag in tags_of(service, arn) if tag["Key"] not in request["TagKeys"]]
    service.store.put(KIND, arn, {"Tags": kept})
    return {}


def _require_resource(service: Service, arn: str) -> str:
    """Return the ARN of a resource that is there: tags of anything else would never go away."""
    match = ARN.fullmatch(arn)
    if match is None or arn != service.arn(match["kind"], match["name"]):
        raise validation(f"Invalid ARN: {arn}")
    if service.store.get(match["kind"], match["name"]) is None:
        raise not_found(f'Could not find {match["kind"]} "{arn}".')
    return arn
