"""Pipelines as far as their definitions: created, updated in versions, listed. They are never executed here."""

import json
from typing import Any

from ml_platform.local_sagemaker.objects import ObjectsError
from ml_platform.local_sagemaker.paging import page_of
from ml_platform.local_sagemaker.service import (
    AwsError,
    Request,
    Response,
    Service,
    operation,
    unsupported,
    validation,
)
from ml_platform.local_sagemaker.store import DuplicateError, Query
from ml_platform.local_sagemaker.tags import drop_tags, put_tags

KIND = "pipeline"
VERSION_KIND = "pipeline-version"
SCHEMA_VERSION = "2020-12-01"
COLUMNS = {"Name": "name", "CreationTime": "created_at"}
UPDATABLE = ("PipelineDisplayName", "PipelineDescription", "RoleArn", "ParallelismConfiguration")
LONGEST_DEFINITION = 1_048_576


@operation("CreatePipeline")
async def create_pipeline(service: Service, request: Request) -> Response:
    """Store the first version of a pipeline; the same request sent twice is one."""
    name = request["PipelineName"]
    arn = service.arn(KIND, name)
    definition = await _definition(service, request)
    if definition is None:
        raise validation("Provide exactly one of PipelineDefinition and PipelineDefinitionS3Location.")
    now = service.clock.timestamp()
    body = {
        "PipelineDisplayName": name,
        **{member: request[member] for member in UPDATABLE if member in request},
        "PipelineName": name,
        "PipelineArn": arn,
        "PipelineDefinition": definition,
        "PipelineStatus": "Active",
        "CreationTime": now,
        "CreatedBy": {},
        "LastModifiedTime": now,
        "LastModifiedBy": {},
        "_Version": 1,
        "_Token": request["ClientRequestToken"],
    }
    try:
        service.store.insert(KIND, name, body)
    except DuplicateError as error:
        known = service.store.get(KIND, name) or {}
        if known.get("_Token") == request["ClientRequestToken"]:
            return {"PipelineArn": arn}
        raise validation(
            "Pipeline names must be unique within an AWS account and region, and a pipeline with this name already "
            f"exists ({arn})"
        ) from error
    service.store.put(VERSION_KIND, f"{name}/1", body)
    put_tags(service, arn, request.get("Tags"))
    return {"PipelineArn": arn}


@operation("DescribePipeline")
async def describe_pipeline(service: Service, request: Request) -> Response:
    """Return a pipeline: its newest version, or the one that is asked for."""
    body = _require(service, request["PipelineName"])
    if "PipelineVersionId" not in request:
        return body
    return _require_version(service, request["PipelineName"], request["PipelineVersionId"])


@operation("UpdatePipeline")
async def update_pipeline(service: Service, request: Request) -> Response:
    """Store another version of a pipeline."""
    _require(service, request["PipelineName"])
    definition = await _definition(service, request)
    # Read again: another request may have come while the definition was fetched from S3.
    body = _require(service, request["PipelineName"])
    members = {member: request[member] for member in UPDATABLE if member in request}
    if definition is not None:
        members["PipelineDefinition"] = definition
    name, version = body["PipelineName"], body["_Version"] + 1
    now = service.clock.timestamp()
    updated = service.store.update(KIND, name, **members, _Version=version, LastModifiedTime=now)
    service.store.put(VERSION_KIND, f"{name}/{version}", updated)
    return {"PipelineArn": body["PipelineArn"], "PipelineVersionId": version}


@operation("UpdatePipelineVersion")
async def update_pipeline_version(service: Service, request: Request) -> Response:
    """Name or describe a version of a pipeline."""
    body = _require_version(service, request["PipelineArn"], request["PipelineVersionId"])
    members = ("PipelineVersionDisplayName", "PipelineVersionDescription")
    changes = {member: request[member] for member in members if member in request}
    service.store.update(VERSION_KIND, f"{body['PipelineName']}/{request['PipelineVersionId']}", **changes)
    return {"PipelineArn": body["PipelineArn"], "PipelineVersionId": request["PipelineVersionId"]}


@operation("ListPipelineVersions")
async def list_pipeline_versions(service: Service, request: Request) -> Response:
    """Return a page of a pipeline's versions."""
    name = _require(service, request["PipelineName"])["PipelineName"]
    rows = service.store.select(
        VERSION_KIND,
        Query(
            equals={"PipelineName": name},
            created_after=request.get("CreatedAfter"),
            created_before=request.get("CreatedBefore"),
            descending=request.get("SortOrder", "Descending") == "Descending",
        ),
    )
    # A version begins when its definition was stored, not when the pipeline was.
    found = [
        row.body | {"PipelineVersionId": row.body["_Version"], "CreationTime": row.body["LastModifiedTime"]}
        for row in rows
    ]
    shown, token = page_of(found, request, 10)
    return {"PipelineVersionSummaries": shown, "NextToken": token}


@operation("ListPipelines")
async def list_pipelines(service: Service, request: Request) -> Response:
    """Return a page of pipelines."""
    rows = service.store.select(
        KIND,
        Query(
            created_after=request.get("CreatedAfter"),
            created_before=request.get("CreatedBefore"),
            sort=COLUMNS[request.get("SortBy", "CreationTime")],
            descending=request.get("SortOrder", "Descending") == "Descending",
        ),
    )
    found = [row.body for row in rows if row.name.startswith(request.get("PipelineNamePrefix", ""))]
    shown, token = page_of(found, request, 10)
    return {"PipelineSummaries": shown, "NextToken": token}


@operation("DeletePipeline")
async def delete_pipeline(service: Service, request: Request) -> Response:
    """Delete a pipeline with all its versions."""
    body = _require(service, request["PipelineName"])
    name = body["PipelineName"]
    for version in range(1, body["_Version"] + 1):
        service.store.delete(VERSION_KIND, f"{name}/{version}")
    service.store.delete(KIND, name)
    drop_tags(service, body["PipelineArn"])
    return {"PipelineArn": body["PipelineArn"]}


@operation("StartPipelineExecution")
async def start_pipeline_execution(service: Service, request: Request) -> Response:
    """Refuse: nothing here runs a pipeline's steps, and an execution that only seems to run would be a lie."""
    _require(service, request["PipelineName"])
    raise unsupported("the execution of pipelines; it keeps their definitions only")


@operation("ListPipelineExecutions")
async def list_pipeline_executions(service: Service, request: Request) -> Response:
    """Return no executions: there can be none."""
    _require(service, request["PipelineName"])
    return {"PipelineExecutionSummaries": []}


async def _definition(service: Service, request: Request) -> str | None:
    """Return the definition that a request brings or points to, if it does either."""
    location = request.get("PipelineDefinitionS3Location")
    text: str | None = request.get("PipelineDefinition")
    if location is not None:
        if text is not None:
            raise validation("Provide exactly one of PipelineDefinition and PipelineDefinitionS3Location.")
        if "VersionId" in location:
            raise unsupported("VersionId of PipelineDefinitionS3Location")
        text = await _fetch(service, f"s3://{location['Bucket']}/{location['ObjectKey']}")
    if text is not None:
        _check(text)
    return text


async def _fetch(service: Service, uri: str) -> str:
    try:
        text = (await service.objects.aread(uri)).decode()
    except (ObjectsError, UnicodeDecodeError) as error:
        raise validation(f"Unable to read the pipeline definition at {uri}: {error}") from error
    if len(text) > LONGEST_DEFINITION:
        raise validation(f"The pipeline definition at {uri} is longer than {LONGEST_DEFINITION} characters.")
    return text


def _check(text: str) -> None:
    """Refuse what is no pipeline definition; what its steps ask for is not looked at."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise validation(f"Unable to parse pipeline definition: {error}") from error
    if not isinstance(document, dict) or document.get("Version") != SCHEMA_VERSION:
        raise validation(f"Unable to parse pipeline definition: its Version must be {SCHEMA_VERSION}.")
    steps = document.get("Steps")
    if not isinstance(steps, list) or not all(_is_step(step) for step in steps):
        raise validation("Unable to parse pipeline definition: Steps must be a list of objects with Name and Type.")
    names = [step["Name"] for step in steps]
    if len(set(names)) < len(names):
        raise validation("Unable to parse pipeline definition: step names must be unique.")


def _is_step(step: Any) -> bool:
    return isinstance(step, dict) and isinstance(step.get("Name"), str) and isinstance(step.get("Type"), str)


def _require(service: Service, arn_or_name: str) -> dict[str, Any]:
    name = arn_or_name.partition(f":{KIND}/")[2] or arn_or_name
    body = service.store.get(KIND, name)
    if body is None:
        raise _not_found(f"Pipeline '{service.arn(KIND, name)}' does not exist.")
    return body


def _require_version(service: Service, arn_or_name: str, number: int) -> dict[str, Any]:
    body = _require(service, arn_or_name)
    version = service.store.get(VERSION_KIND, f"{body['PipelineName']}/{number}")
    if version is None:
        raise _not_found(f"Pipeline {body['PipelineArn']} has no version {number}.")
    return version


def _not_found(message: str) -> AwsError:
    return AwsError("ResourceNotFound", message)
