"""Model cards: the document of a model, in versions, with its status. What a card may say is ``model_card_content``.

An edit of the content is a new version; a change of status is not. Export jobs are in ``model_card_exports``.
"""

from typing import Any

from ml_platform.local_sagemaker.model_card_content import check_content, metadata_only
from ml_platform.local_sagemaker.paging import Listing, list_page
from ml_platform.local_sagemaker.service import AwsError, Request, Response, Service, operation, validation
from ml_platform.local_sagemaker.store import DuplicateError
from ml_platform.local_sagemaker.tags import drop_tags, put_tags

KIND = "model-card"
VERSION_KIND = "model-card-version"
LISTING = Listing(
    kind=KIND, member="ModelCardSummaries", filters={"ModelCardStatus": "ModelCardStatus"}, descending=False
)
VERSION_LISTING = Listing(
    kind=VERSION_KIND,
    member="ModelCardVersionSummaryList",
    filters={"ModelCardStatus": "ModelCardStatus"},
    sorts={"Version": "ModelCardVersion"},
    descending=False,
)


@operation("CreateModelCard")
async def create_model_card(service: Service, request: Request) -> Response:
    """Store the first version of a card."""
    name = request["ModelCardName"]
    arn = service.arn(KIND, name)
    check_content(request["Content"])
    now = service.clock.timestamp()
    body = {
        "ModelCardName": name,
        "ModelCardArn": arn,
        "ModelCardVersion": 1,
        "ModelCardStatus": request["ModelCardStatus"],
        "Content": request["Content"],
        # Told again as AWS does; at rest everything here lies in one local file, encrypted by nobody.
        "SecurityConfig": request.get("SecurityConfig"),
        "CreationTime": now,
        "CreatedBy": {},
        "LastModifiedTime": now,
        "LastModifiedBy": {},
    }
    try:
        service.store.insert(KIND, name, body)
    except DuplicateError as error:
        raise AwsError("ConflictException", f"Modelcard {name} already exists") from error
    _put_version(service, body)
    put_tags(service, arn, request.get("Tags"))
    return {"ModelCardArn": arn}


@operation("DescribeModelCard")
async def describe_model_card(service: Service, request: Request) -> Response:
    """Return a card: its newest version, or the one that is asked for."""
    body = card_version(service, request["ModelCardName"], request.get("ModelCardVersion"))
    if request.get("IncludedData") == "MetadataOnly":
        body = body | {"Content": metadata_only(body["Content"])}
    return body


@operation("UpdateModelCard")
async def update_model_card(service: Service, request: Request) -> Response:
    """Change the content, which makes a version, or the status of the newest version."""
    body = _require_card(service, request["ModelCardName"])
    if ("Content" in request) == ("ModelCardStatus" in request):
        raise validation("Update either the Content or the ModelCardStatus of a model card, not both in one call.")
    now = service.clock.timestamp()
    members: dict[str, Any] = {"LastModifiedTime": now}
    if "Content" in request:
        if body["ModelCardStatus"] == "Archived":
            raise AwsError("ConflictException", f"Model card {body['ModelCardArn']} is archived and cannot be edited.")
        check_content(request["Content"])
        members |= {"Content": request["Content"], "ModelCardVersion": body["ModelCardVersion"] + 1}
    else:
        members["ModelCardStatus"] = request["ModelCardStatus"]
    _put_version(service, service.store.update(KIND, body["ModelCardName"], **members))
    return {"ModelCardArn": body["ModelCardArn"]}


@operation("ListModelCards")
async def list_model_cards(service: Service, request: Request) -> Response:
    """Return a page of cards, each by its newest version."""
    return list_page(service, LISTING, request)


@operation("ListModelCardVersions")
async def list_model_card_versions(service: Service, request: Request) -> Response:
    """Return a page of a card's versions."""
    body = _require_card(service, request["ModelCardName"])
    asked = {"SortBy": "Version"} | request
    return list_page(service, VERSION_LISTING, asked, {"ModelCardName": body["ModelCardName"]})


@operation("DeleteModelCard")
async def delete_model_card(service: Service, request: Request) -> Response:
    """Delete a card with all its versions."""
    body = _require_card(service, request["ModelCardName"])
    name = body["ModelCardName"]
    for number in range(1, body["ModelCardVersion"] + 1):
        service.store.delete(VERSION_KIND, _version_name(name, number))
    service.store.delete(KIND, name)
    drop_tags(service, body["ModelCardArn"])
    return {}


def card_version(service: Service, arn_or_name: str, number: int | None) -> dict[str, Any]:
    """Return a version of a card, the newest when none is asked for.

    Raises:
        AwsError: When there is no such card or version.
    """
    body = _require_card(service, arn_or_name)
    if number is None:
        return body
    version = service.store.get(VERSION_KIND, _version_name(body["ModelCardName"], number))
    if version is None:
        raise AwsError(
            "ResourceNotFound", f"Modelcard with name {body['ModelCardName']} and version: {number} does not exist"
        )
    return version


def _put_version(service: Service, body: dict[str, Any]) -> None:
    service.store.put(VERSION_KIND, _version_name(body["ModelCardName"], body["ModelCardVersion"]), body)


def _version_name(card: str, number: int) -> str:
    return f"{card}/{number}"


def _require_card(service: Service, arn_or_name: str) -> dict[str, Any]:
    name = arn_or_name.partition(f":{KIND}/")[2] or arn_or_name
    body = service.store.get(KIND, name)
    if body is None:
        raise AwsError("ResourceNotFound", f"Modelcard {name} does not exist.")
    return body
