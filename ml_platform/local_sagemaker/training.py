"""Training jobs as the control plane sees them. What a job does while it runs is ``training_run``."""

from typing import Any

from ml_platform.local_sagemaker import training_run
from ml_platform.local_sagemaker.channels import check_channels
from ml_platform.local_sagemaker.containers import end_leftover
from ml_platform.local_sagemaker.job_metrics import check_definitions
from ml_platform.local_sagemaker.paging import Listing, list_page
from ml_platform.local_sagemaker.service import (
    Request,
    Response,
    Service,
    in_use,
    not_found,
    operation,
    unsupported,
    validation,
)
from ml_platform.local_sagemaker.store import DuplicateError
from ml_platform.local_sagemaker.tags import drop_tags, put_tags
from ml_platform.local_sagemaker.training_run import KIND

LISTING = Listing(
    kind=KIND,
    member="TrainingJobSummaries",
    filters={"StatusEquals": "TrainingJobStatus"},
    sorts={"Status": "TrainingJobStatus"},
    descending=False,
)


@operation("CreateTrainingJob")
async def create_training_job(service: Service, request: Request) -> Response:
    """Store a job and start it in the background."""
    name = request["TrainingJobName"]
    arn = service.arn(KIND, name)
    _check(service, request)
    now = service.clock.timestamp()
    body = {
        **request,
        "TrainingJobArn": arn,
        "TrainingJobStatus": "InProgress",
        "SecondaryStatus": "Starting",
        "SecondaryStatusTransitions": [
            {"Status": "Starting", "StartTime": now, "StatusMessage": "Preparing the instances for training"}
        ],
        "CreationTime": now,
        "LastModifiedTime": now,
    }
    body.pop("Tags", None)
    try:
        service.store.insert(KIND, name, body)
    except DuplicateError as error:
        raise in_use(
            "Training job names must be unique within an AWS account and region, and a training job with this name "
            f"already exists ({arn})"
        ) from error
    put_tags(service, arn, request.get("Tags"))
    training_run.start(service, name)
    return {"TrainingJobArn": arn}


@operation("DescribeTrainingJob")
async def describe_training_job(service: Service, request: Request) -> Response:
    """Return a job."""
    return _require(service, request["TrainingJobName"])


@operation("ListTrainingJobs")
async def list_training_jobs(service: Service, request: Request) -> Response:
    """Return a page of jobs."""
    return list_page(service, LISTING, request)


@operation("StopTrainingJob")
async def stop_training_job(service: Service, request: Request) -> Response:
    """Ask a running job to stop."""
    body = _require(service, request["TrainingJobName"])
    _refuse_when(body, "Completed", "Failed", "Stopped")
    training_run.request_stop(service, request["TrainingJobName"])
    return {}


@operation("DeleteTrainingJob")
async def delete_training_job(service: Service, request: Request) -> Response:
    """Forget a job that has ended."""
    body = _require(service, request["TrainingJobName"])
    _refuse_when(body, "InProgress", "Stopping")
    service.store.delete(KIND, request["TrainingJobName"])
    drop_tags(service, body["TrainingJobArn"])
    return {}


async def recover(service: Service) -> None:
    """Mark jobs whose process died with the service as failed: nobody can say how far they came."""
    for status in ("InProgress", "Stopping"):
        for body in service.store.list(KIND, TrainingJobStatus=status):
            end_leftover(body.get("_Process"))
            training_run.finish(service, body["TrainingJobName"], "Failed", training_run.LOST)
            training_run.remove_files(service, body["TrainingJobName"])


def _require(service: Service, name: str) -> dict[str, Any]:
    body = service.store.get(KIND, name)
    if body is None:
        raise not_found()
    return body


def _refuse_when(body: dict[str, Any], *statuses: str) -> None:
    if body["TrainingJobStatus"] in statuses:
        raise validation(f"The request was rejected because the training job is in status {body['TrainingJobStatus']}.")


def _check(service: Service, request: Request) -> None:
    algorithm = request.get("AlgorithmSpecification", {})
    if "TrainingImage" not in algorithm:
        raise unsupported("training jobs without AlgorithmSpecification.TrainingImage")
    for required in ("OutputDataConfig", "ResourceConfig", "StoppingCondition"):
        if required not in request:
            raise validation(f"{required} is required to create a training job.")
    image = algorithm["TrainingImage"]
    if service.images.command(image, "train") is None and "ContainerEntrypoint" not in algorithm:
        raise validation(
            f"Cannot find image {image}. The stand-in's images file names no `train` command for it; add one."
        )
    resources = request["ResourceConfig"]
    if resources.get("InstanceCount", 1) > 1 or len(resources.get("InstanceGroups", [])) > 1:
        raise unsupported("training on more than one instance")
    if request.get("EnableManagedSpotTraining"):
        raise unsupported("managed spot training")
    if "CheckpointConfig" in request:
        raise unsupported("checkpoints in S3")
    check_channels(request.get("InputDataConfig", []), algorithm.get("TrainingInputMode", "File"))
    check_definitions(algorithm.get("MetricDefinitions", []))
