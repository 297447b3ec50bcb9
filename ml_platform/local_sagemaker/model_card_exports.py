"""Export jobs of model cards: a version of a card as a PDF in S3. How a PDF is made is ``pdf_pages``."""

import json
import logging
from collections.abc import Iterator
from typing import Any

from ml_platform.local_sagemaker.model_cards import card_version
from ml_platform.local_sagemaker.objects import ObjectsError
from ml_platform.local_sagemaker.paging import page_of
from ml_platform.local_sagemaker.pdf_pages import Line, pdf_document
from ml_platform.local_sagemaker.service import BROKEN, AwsError, Request, Response, Service, operation
from ml_platform.local_sagemaker.store import DuplicateError, Query

logger = logging.getLogger(__name__)

KIND = "model-card-export-job"
SORTS = {"Name": "ModelCardExportJobName", "CreationTime": "created_at", "Status": "Status"}
FILTERS = {"StatusEquals": "Status", "ModelCardVersion": "ModelCardVersion"}
MAX_REASON = 1024
DEEPEST = 20


@operation("CreateModelCardExportJob")
async def create_model_card_export_job(service: Service, request: Request) -> Response:
    """Store an export job and do it in the background."""
    card = card_version(service, request["ModelCardName"], request.get("ModelCardVersion"))
    name = request["ModelCardExportJobName"]
    arn = f"{card['ModelCardArn']}/export-job/{name}"
    now = service.clock.timestamp()
    body = {
        "ModelCardExportJobName": name,
        "ModelCardExportJobArn": arn,
        "Status": "InProgress",
        "ModelCardName": card["ModelCardName"],
        "ModelCardVersion": card["ModelCardVersion"],
        "OutputConfig": request["OutputConfig"],
        "CreatedAt": now,
        "LastModifiedAt": now,
    }
    try:
        service.store.insert(KIND, arn, body)
    except DuplicateError as error:
        raise AwsError("ConflictException", f"Model card export job {name} already exists.") from error
    service.spawn(_export(service, arn, card), f"model card export {name}")
    return {"ModelCardExportJobArn": arn}


@operation("DescribeModelCardExportJob")
async def describe_model_card_export_job(service: Service, request: Request) -> Response:
    """Return an export job."""
    arn = request["ModelCardExportJobArn"]
    body = service.store.get(KIND, arn)
    if body is None:
        raise AwsError("ResourceNotFound", f"Model card export job {arn} does not exist.")
    return body


@operation("ListModelCardExportJobs")
async def list_model_card_export_jobs(service: Service, request: Request) -> Response:
    """Return a page of a card's export jobs."""
    equals = {"ModelCardName": card_version(service, request["ModelCardName"], None)["ModelCardName"]}
    equals |= {body: request[member] for member, body in FILTERS.items() if member in request}
    rows = service.store.select(
        KIND,
        Query(
            equals=equals,
            created_after=request.get("CreationTimeAfter"),
            created_before=request.get("CreationTimeBefore"),
            sort=SORTS[request.get("SortBy", "CreationTime")],
            descending=request.get("SortOrder") == "Descending",
        ),
    )
    # Not the store's own filter: its names are whole ARNs.
    part = request.get("ModelCardExportJobNameContains", "").lower()
    found = [row.body for row in rows if part in row.body["ModelCardExportJobName"].lower()]
    shown, token = page_of(found, request, 10)
    return {"ModelCardExportJobSummaries": shown, "NextToken": token}


async def recover(service: Service) -> None:
    """Do again what a stop or crash interrupted: an export has no effect but its file."""
    for body in service.store.list(KIND, Status="InProgress"):
        arn = body["ModelCardExportJobArn"]
        try:
            card = card_version(service, body["ModelCardName"], body["ModelCardVersion"])
        except AwsError as error:
            _finish(service, arn, Status="Failed", FailureReason=error.message)
            continue
        service.spawn(_export(service, arn, card), f"model card export {body['ModelCardExportJobName']}")


async def _export(service: Service, arn: str, card: dict[str, Any]) -> None:
    body = service.store.get(KIND, arn) or {}
    folder = body["OutputConfig"]["S3OutputPath"].rstrip("/")
    uri = f"{folder}/{card['ModelCardName']}-{card['ModelCardVersion']}-{body['ModelCardExportJobName']}.pdf"
    try:
        await service.objects.awrite(uri, pdf_document(card["ModelCardName"], [*card_lines(card)]))
    except ObjectsError as error:
        _finish(service, arn, Status="Failed", FailureReason=str(error)[:MAX_REASON])
    except Exception:
        # A defect of ours: a job that nobody runs any more must not stay in progress for ever.
        logger.exception("model card export job %s failed inside the stand-in", arn)
        _finish(service, arn, Status="Failed", FailureReason=BROKEN)
    else:
        _finish(service, arn, Status="Completed", ExportArtifacts={"S3ExportArtifacts": uri})


def _finish(service: Service, arn: str, **members: Any) -> None:
    service.store.update(KIND, arn, **members, LastModifiedAt=service.clock.timestamp())


def card_lines(card: dict[str, Any]) -> Iterator[Line]:
    """Yield what a card says: what it is, then each section of its content."""
    for title in ("ModelCardArn", "ModelCardVersion", "ModelCardStatus"):
        yield Line(f"{title}: {card[title]}")
    for section, content in json.loads(card["Content"]).items():
        yield Line("")
        yield Line(_words(section), heading=True)
        yield from _lines(content, 0)


def _lines(value: Any, depth: int) -> Iterator[Line]:
    if depth < DEEPEST and isinstance(value, dict):
        for name, inner in value.items():
            if isinstance(inner, dict | list):
                yield Line(f"{_words(name)}:")
                yield from _lines(inner, depth + 1)
            else:
                yield Line(f"{_words(name)}: {inner}")
    elif depth < DEEPEST and isinstance(value, list):
        for number, inner in enumerate(value, start=1):
            yield Line(f"{number}.")
            yield from _lines(inner, depth + 1)
    else:
        yield Line(str(value))


def _words(name: str) -> str:
    return name.replace("_", " ").capitalize()
