"""Training jobs as the control plane sees them. What a job does while it runs is ``training_run``."""

from typing import Any

from ml_platform.local_sagemaker import training_run, warm_pools
from ml_platform.local_sagemaker.channels import check_channels, default_mode
from ml_platform.local_sagemaker.instances import end_leftovers
from ml_platform.local_sagemaker.job_metrics import check_definitions
from ml_platform.local_sagemaker.jobs import ENDED, RUNNING, insert_job, refuse_when
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
from ml_platform.local_sagemaker.tags import drop_tags
from ml_platform.local_sagemaker.training_files import CHECKPOINTS, TENSORBOARD, check_live_path, remove_files
from ml_platform.local_sagemaker.training_status import KIND, MESSAGES, finish

LISTING = Listing(
    kind=KIND,
    member="TrainingJobSummaries",
    filters={"StatusEquals": "TrainingJobStatus", "WarmPoolStatusEquals": "WarmPoolStatus.Status"},
    sorts={"Status": "TrainingJobStatus"},
    descending=False,
)
# Each instance is a real process on this machine.
MAX_INSTANCES = 16
NOT_ACTED_ON = (
    "DebugRuleConfigurations",
    "MlflowConfig",
    "ModelPackageConfig",
    "ProfilerRuleConfigurations",
    "ServerlessJobConfig",
)
RESOURCES_NOT_ACTED_ON = ("InstanceGroups", "InstancePlacementConfig", "InstancePreferences", "TrainingPlanArn")


@operation("CreateTrainingJob")
async def create_training_job(service: Service, request: Request) -> Response:
    """Store a job and start it in the background."""
    name = request["TrainingJobName"]
    arn = service.arn(KIND, name)
    check_training_job(service, request)
    now = service.clock.timestamp()
    body = {
        **request,
        "TrainingJobArn": arn,
        "TrainingJobStatus": "InProgress",
        "SecondaryStatus": "Starting",
        "SecondaryStatusTransitions": [{"Status": "Starting", "StartTime": now, "StatusMessage": MESSAGES["Starting"]}],
        "CreationTime": now,
        "LastModifiedTime": now,
    }
    insert_job(service, KIND, name, body, "Training job names", "a training job")
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
    refuse_when("training job", body["TrainingJobStatus"], ENDED)
    training_run.request_stop(service, request["TrainingJobName"])
    return {}


@operation("DeleteTrainingJob")
async def delete_training_job(service: Service, request: Request) -> Response:
    """Forget a job that has ended."""
    body = _require(service, request["TrainingJobName"])
    refuse_when("training job", body["TrainingJobStatus"], RUNNING)
    service.store.delete(KIND, request["TrainingJobName"])
    drop_tags(service, body["TrainingJobArn"])
    return {}


async def recover(service: Service) -> None:
    """Resume spot jobs and those with retries left. Nobody can say how far the others came: they failed."""
    for status in RUNNING:
        for body in service.store.list(KIND, TrainingJobStatus=status):
            name = body["TrainingJobName"]
            end_leftovers(body)
            remove_files(service, name)
            if training_run.resume_lost(service, body):
                training_run.start(service, name)
            else:
                finish(service, name, "Failed", training_run.LOST, **warm_pools.let_go(body))
    warm_pools.recover(service)


def _require(service: Service, name: str) -> dict[str, Any]:
    body = service.store.get(KIND, name)
    if body is None:
        raise not_found()
    return body


def check_training_job(service: Service, request: Request) -> None:
    """Refuse a job that could not run.

    Raises:
        AwsError: When it could not.
    """
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
    check_channels(request.get("InputDataConfig", []), default_mode(request))
    check_definitions(algorithm.get("MetricDefinitions", []))
    for member in NOT_ACTED_ON:
        if request.get(member):
            raise unsupported(f"{member} of training jobs")
    check_live_path("CheckpointConfig", request.get("CheckpointConfig", {}).get("LocalPath", CHECKPOINTS))
    check_live_path("TensorBoardOutputConfig", request.get("TensorBoardOutputConfig", {}).get("LocalPath", TENSORBOARD))
    _check_resources(request)
    _check_spot(request)


def _check_resources(request: Request) -> None:
    resources = request["ResourceConfig"]
    for member in RESOURCES_NOT_ACTED_ON:
        if resources.get(member):
            raise unsupported(f"ResourceConfig.{member}")
    for member in ("InstanceType", "InstanceCount", "VolumeSizeInGB"):
        if member not in resources:
            raise validation(f"ResourceConfig.{member} is required to create a training job.")
    if not 1 <= resources["InstanceCount"] <= MAX_INSTANCES:
        raise unsupported(f"training on {resources['InstanceCount']} instances; here it takes 1 to {MAX_INSTANCES}")
    if resources["VolumeSizeInGB"] < 1:
        raise validation("ResourceConfig.VolumeSizeInGB must be at least 1.")
    if resources["InstanceCount"] > 1 and request.get("EnableNetworkIsolation"):
        raise unsupported("network isolation of more than one instance: they could not reach each other")


def _check_spot(request: Request) -> None:
    condition = request["StoppingCondition"]
    longest = condition.get("MaxWaitTimeInSeconds")
    if not request.get("EnableManagedSpotTraining"):
        if longest is not None:
            raise validation("Invalid MaxWaitTimeInSeconds. It is only for EnableManagedSpotTraining.")
        return
    if longest is None or longest < condition.get("MaxRuntimeInSeconds", training_run.DEFAULT_MAX_RUNTIME_SECONDS):
        raise validation(
            "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to MaxRuntimeInSeconds"
        )
    if request["ResourceConfig"].get(warm_pools.KEEP_ALIVE):
        raise validation("KeepAlivePeriodInSeconds cannot be used with EnableManagedSpotTraining.")
