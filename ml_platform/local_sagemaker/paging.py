"""List operations: filters first, then order, then the page. One function for every List of the control plane."""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ml_platform.local_sagemaker.service import Request, Response, Service, validation
from ml_platform.local_sagemaker.store import Query

DEFAULT_PAGE = 10
# SortBy values every List shares; the rest sort by a member of the body.
SORT_COLUMNS = {"Name": "name", "CreationTime": "created_at", "LastModifiedTime": "updated_at"}


@dataclass(frozen=True)
class Listing:
    """How one kind of resource is listed.

    Attributes:
        kind: Kind in the store.
        member: Member of the response that holds the summaries; the model's shape picks their members.
        filters: Request member -> body member that must equal it.
        sorts: SortBy value -> body member, for what ``SORT_COLUMNS`` lacks.
        descending: AWS's default order for this operation.
    """

    kind: str
    member: str
    filters: Mapping[str, str] = field(default_factory=dict)
    sorts: Mapping[str, str] = field(default_factory=dict)
    descending: bool = True


def list_page(
    service: Service, listing: Listing, request: Request, equals: Mapping[str, Any] | None = None
) -> Response:
    """Return one page of summaries, and a token when there is more.

    Args:
        service: The stand-in.
        listing: What is listed.
        request: MaxResults, NextToken, NameContains, SortBy, SortOrder, time bounds and the listing's own filters.
        equals: Conditions on body members beside the request's.
    """
    size = request.get("MaxResults", DEFAULT_PAGE)
    order = request.get("SortOrder")
    sort = request.get("SortBy", "CreationTime")
    conditions = {body: request[name] for name, body in listing.filters.items() if name in request}
    token = request.get("NextToken")
    rows = service.store.select(
        listing.kind,
        Query(
            equals=conditions | dict(equals or {}),
            name_contains=request.get("NameContains"),
            created_after=request.get("CreationTimeAfter"),
            created_before=request.get("CreationTimeBefore"),
            updated_after=request.get("LastModifiedTimeAfter"),
            updated_before=request.get("LastModifiedTimeBefore"),
            sort=listing.sorts.get(sort) or SORT_COLUMNS.get(sort, "created_at"),
            descending=order == "Descending" if order else listing.descending,
            after=_read_token(token) if token else None,
            limit=size + 1,
        ),
    )
    response: Response = {listing.member: [row.body for row in rows[:size]]}
    if len(rows) > size:
        response["NextToken"] = _write_token(rows[size - 1].sort_value, rows[size - 1].name)
    return response


def page_of(items: Sequence[Any], request: Request, default: int) -> tuple[list[Any], str | None]:
    """Return one page of what was computed rather than stored, and a token when there is more."""
    start, size = 0, request.get("MaxResults", default)
    if token := request.get("NextToken"):
        position, _ = _read_token(token)
        if not isinstance(position, int) or position < 0:
            raise validation("Invalid pagination token.")
        start = position
    end = start + size
    return list(items[start:end]), _write_token(end, "") if end < len(items) else None


def _write_token(sort_value: Any, name: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([sort_value, name]).encode()).decode()


def _read_token(token: str) -> tuple[Any, str]:
    try:
        sort_value, name = json.loads(base64.urlsafe_b64decode(token.encode()))
    except (ValueError, TypeError, binascii.Error) as error:
        raise validation("Invalid pagination token.") from error
    if not isinstance(name, str) or not isinstance(sort_value, str | int | float):
        raise validation("Invalid pagination token.")
    return sort_value, name
