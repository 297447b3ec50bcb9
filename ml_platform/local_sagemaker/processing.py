"""Processing jobs as the control plane sees them. What a job does while it runs is ``processing_run``."""

from pathlib import PurePosixPath
from typing import Any

from ml_platform.local_sagemaker import processing_run
from ml_platform.local_sagemaker.instances import end_leftovers
from ml_platform.local_sagemaker.jobs import ENDED, RUNNING, insert_job, refuse_when
from ml_platform.local_sagemaker.paging import Listing, list_page
from ml_platform.local_sagemaker.processing_run import DATA, KIND
from ml_platform.local_sagemaker.service import (
    Request,
    Response,
    Service,
    not_found,
    operation,
    unsupported,
    validation,
)
from ml_platform.local_sagemaker.tags import drop_tags

LISTING = Listing(
    kind=KIND,
    member="ProcessingJobSummaries",
    filters={"StatusEquals": "ProcessingJobStatus"},
    sorts={"Status": "ProcessingJobStatus"},
    descending=False,
)


@operation("CreateProcessingJob")
async def create_processing_job(service: Service, request: Request) -> Response:
    """Store a job and start it in the background."""
    name = request["ProcessingJobName"]
    arn = service.arn(KIND, name)
    _check(service, request)
    now = service.clock.timestamp()
    body = {
        **request,
        "ProcessingJobArn": arn,
        "ProcessingJobStatus": "InProgress",
        "CreationTime": now,
        "LastModifiedTime": now,
    }
    insert_job(service, KIND, name, body)
    processing_run.start(service, name)
    return {"ProcessingJobArn": arn}


@operation("DescribeProcessingJob")
async def describe_processing_job(service: Service, request: Request) -> Response:
    """Return a job."""
    return _require(service, request["ProcessingJobName"])


@operation("ListProcessingJobs")
async def list_processing_jobs(service: Service, request: Request) -> Response:
    """Return a page of jobs."""
    return list_page(service, LISTING, request)


@operation("StopProcessingJob")
async def stop_processing_job(service: Service, request: Request) -> Response:
    """Ask a running job to stop."""
    body = _require(service, request["ProcessingJobName"])
    refuse_when("processing job", body["ProcessingJobStatus"], ENDED)
    processing_run.request_stop(service, request["ProcessingJobName"])
    return {}


@operation("DeleteProcessingJob")
async def delete_processing_job(service: Service, request: Request) -> Response:
    """Forget a job that has ended."""
    body = _require(service, request["ProcessingJobName"])
    refuse_when("processing job", body["ProcessingJobStatus"], RUNNING)
    service.store.delete(KIND, request["ProcessingJobName"])
    drop_tags(service, body["ProcessingJobArn"])
    return {}


async def recover(service: Service) -> None:
    """Mark jobs whose process died with the service as failed; what they uploaded stays in S3."""
    for status in RUNNING:
        for body in service.store.list(KIND, ProcessingJobStatus=status):
            end_leftovers(body)
            processing_run.finish(service, body["ProcessingJobName"], "Failed", processing_run.LOST)
            processing_run.remove_files(service, body["ProcessingJobName"])


def _require(service: Service, name: str) -> dict[str, Any]:
    body = service.store.get(KIND, name)
    if body is None:
        raise not_found()
    return body


def _check(service: Service, request: Request) -> None:
    application = request["AppSpecification"]
    image = application["ImageUri"]
    if service.images.command(image, "process") is None and "ContainerEntrypoint" not in application:
        raise validation(
            f"Cannot find the entry point of image {image}: give AppSpecification.ContainerEntrypoint, or name its "
            "`process` command in the stand-in's images file."
        )
    cluster = request["ProcessingResources"]["ClusterConfig"]
    for member in ("InstanceType", "InstanceCount"):
        if member not in cluster:
            raise unsupported(f"a processing cluster without {member} (InstancePreferences)")
    if cluster["InstanceCount"] > 1 and request.get("NetworkConfig", {}).get("EnableNetworkIsolation"):
        raise unsupported("network isolation of more than one instance: they could not reach each other")
    _check_inputs(request.get("ProcessingInputs", []))
    _check_outputs(request.get("ProcessingOutputConfig", {}).get("Outputs", []))


def _check_inputs(inputs: list[dict[str, Any]]) -> None:
    _refuse_twice([one["InputName"] for one in inputs], "input")
    for one in inputs:
        source = one.get("S3Input")
        if source is None or "DatasetDefinition" in one:
            raise unsupported("processing inputs that are not an S3Input")
        if one.get("AppManaged"):
            raise unsupported("processing inputs managed by the application")
        if source.get("S3InputMode", "File") != "File":
            raise unsupported(f"S3InputMode {source['S3InputMode']}")
        if source.get("S3CompressionType", "None") != "None":
            raise validation("S3CompressionType Gzip is only for S3InputMode Pipe.")
        _check_path(source.get("LocalPath"), f"input {one['InputName']}")


def _check_outputs(outputs: list[dict[str, Any]]) -> None:
    _refuse_twice([one["OutputName"] for one in outputs], "output")
    for one in outputs:
        if "S3Output" not in one or "FeatureStoreOutput" in one:
            raise unsupported("processing outputs that are not an S3Output")
        if one.get("AppManaged"):
            raise unsupported("processing outputs managed by the application")
        _check_path(one["S3Output"].get("LocalPath"), f"output {one['OutputName']}")


def _refuse_twice(names: list[str], what: str) -> None:
    if len(set(names)) < len(names):
        raise validation(f"Processing {what} names must be unique within a job.")


def _check_path(local: str | None, owner: str) -> None:
    path = PurePosixPath(local or "")
    if not path.is_relative_to(DATA) or ".." in path.parts or "\0" in str(path):
        raise validation(f"LocalPath of {owner} must be a path in {DATA}, not {local!r}.")
