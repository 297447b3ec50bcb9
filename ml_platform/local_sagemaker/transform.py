"""Transform jobs as the control plane sees them. What a job does while it runs is ``transform_run``."""

from typing import Any

from ml_platform.local_sagemaker import transform_run
from ml_platform.local_sagemaker.jobs import ENDED, RUNNING, insert_job, refuse_when
from ml_platform.local_sagemaker.models import resolve_container
from ml_platform.local_sagemaker.paging import Listing, list_page
from ml_platform.local_sagemaker.service import (
    Request,
    Response,
    Service,
    not_found,
    operation,
    unsupported,
    validation,
)
from ml_platform.local_sagemaker.transform_data import TransformDataError, check_path
from ml_platform.local_sagemaker.transform_flow import FlowPlan
from ml_platform.local_sagemaker.transform_run import KIND

LISTING = Listing(
    kind=KIND,
    member="TransformJobSummaries",
    filters={"StatusEquals": "TransformJobStatus"},
    sorts={"Status": "TransformJobStatus"},
)
# Each instance is a real server on this machine.
MAX_INSTANCES = 16
FILTERED_TYPES = ("text/csv", "application/json", "application/jsonlines")


@operation("CreateTransformJob")
async def create_transform_job(service: Service, request: Request) -> Response:
    """Store a job and start it in the background."""
    name = request["TransformJobName"]
    arn = service.arn(KIND, name)
    resolve_container(service, request["ModelName"])
    _check(request)
    now = service.clock.timestamp()
    body = {
        **request,
        "TransformJobArn": arn,
        "TransformJobStatus": "InProgress",
        "CreationTime": now,
        "LastModifiedTime": now,
    }
    insert_job(service, KIND, name, body)
    transform_run.start(service, name)
    return {"TransformJobArn": arn}


@operation("DescribeTransformJob")
async def describe_transform_job(service: Service, request: Request) -> Response:
    """Return a job."""
    return _require(service, request["TransformJobName"])


@operation("ListTransformJobs")
async def list_transform_jobs(service: Service, request: Request) -> Response:
    """Return a page of jobs."""
    return list_page(service, LISTING, request)


@operation("StopTransformJob")
async def stop_transform_job(service: Service, request: Request) -> Response:
    """Ask a running job to stop."""
    body = _require(service, request["TransformJobName"])
    refuse_when("transform job", body["TransformJobStatus"], ENDED)
    transform_run.request_stop(service, request["TransformJobName"])
    return {}


async def recover(service: Service) -> None:
    """Mark jobs whose process died with the service as failed; outputs that were written stay in S3."""
    for status in RUNNING:
        for body in service.store.list(KIND, TransformJobStatus=status):
            transform_run.clean_up(service, body["TransformJobName"])
            transform_run.finish(service, body["TransformJobName"], "Failed", transform_run.LOST)


def _require(service: Service, name: str) -> dict[str, Any]:
    body = service.store.get(KIND, name)
    if body is None:
        raise not_found()
    return body


def _check(request: Request) -> None:
    source = request["TransformInput"]
    data_type = source["DataSource"]["S3DataSource"]["S3DataType"]
    if data_type not in ("S3Prefix", "ManifestFile"):
        raise unsupported(f"transform input of S3DataType {data_type}")
    if source.get("SplitType", "None") not in ("None", "Line"):
        raise unsupported(f"SplitType {source['SplitType']}")
    if request.get("DataCaptureConfig", {}).get("GenerateInferenceId") and source.get("SplitType", "None") == "None":
        raise unsupported("GenerateInferenceId without SplitType Line")
    if request["TransformResources"]["InstanceCount"] > MAX_INSTANCES:
        raise unsupported(f"transform jobs on more than {MAX_INSTANCES} instances")
    processing, plan = request.get("DataProcessing", {}), FlowPlan.of(request)
    content_type = source.get("ContentType", "").split(";")[0].strip()
    if not plan.rules.passive and not plan.split_lines and content_type != "application/json":
        raise validation("Filters and JoinSource require SplitType Line, or one JSON document as application/json.")
    if not plan.rules.passive and content_type not in FILTERED_TYPES:
        raise validation(f"Filters and JoinSource require a ContentType of {', '.join(FILTERED_TYPES)}.")
    try:
        for member in ("InputFilter", "OutputFilter"):
            check_path(processing.get(member, "$"), is_csv=plan.is_csv)
    except TransformDataError as error:
        raise validation(str(error)) from error
