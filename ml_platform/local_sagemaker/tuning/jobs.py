"""Tuning jobs as the control plane sees them. What one does while it runs is ``run``."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from ml_platform.local_sagemaker.jobs import ENDED, RUNNING, insert_job, refuse_when
from ml_platform.local_sagemaker.paging import Listing, list_page, page_of
from ml_platform.local_sagemaker.protocol import service_model
from ml_platform.local_sagemaker.service import (
    AwsError,
    Request,
    Response,
    Service,
    operation,
    unsupported,
    validation,
)
from ml_platform.local_sagemaker.tags import drop_tags
from ml_platform.local_sagemaker.training import check_training_job
from ml_platform.local_sagemaker.training_status import KIND as TRAINING_KIND
from ml_platform.local_sagemaker.tuning import run
from ml_platform.local_sagemaker.tuning.ranges import RangeError, Space, read_space
from ml_platform.local_sagemaker.tuning.trials import KIND, progress, summary
from ml_platform.local_sagemaker.tuning.warm_start import learn
from ml_platform.local_sagemaker.validation import violations

LISTING = Listing(
    kind=KIND,
    member="HyperParameterTuningJobSummaries",
    filters={"StatusEquals": "HyperParameterTuningJobStatus"},
    sorts={"Status": "HyperParameterTuningJobStatus"},
    descending=False,
)
NOT_ACTED_ON = ("TrainingJobDefinitions", "Autotune")
# Where AWS looks for the most resources that a training job can use when MaxResource is not given.
EPOCHS = ("epochs", "numepochs", "n-epochs", "n_epochs", "num_epochs")
MOST_EPOCHS = 20_000
# AWS's default quotas.
MAX_JOBS, MAX_PARALLEL_JOBS = 750, 10
SORTS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "Name": lambda job: job["TrainingJobName"],
    "CreationTime": lambda job: job["CreationTime"],
    "Status": lambda job: job["TrainingJobStatus"],
    "FinalObjectiveMetricValue": lambda job: job["FinalHyperParameterTuningJobObjectiveMetric"]["Value"],
}


@operation("CreateHyperParameterTuningJob")
async def create_tuning_job(service: Service, request: Request) -> Response:
    """Store a tuning job and start it in the background."""
    name = request["HyperParameterTuningJobName"]
    arn = service.arn(KIND, name)
    now = service.clock.timestamp()
    body = {
        **request,
        "HyperParameterTuningJobArn": arn,
        "HyperParameterTuningJobStatus": "InProgress",
        "CreationTime": now,
        "LastModifiedTime": now,
        "_Children": [],
    }
    _check(service, body)
    body |= learn(service, body)
    body |= progress(body, [])
    insert_job(service, KIND, name, body, "Hyper parameter tuning job names", "a tuning job")
    run.start(service, name)
    return {"HyperParameterTuningJobArn": arn}


@operation("DescribeHyperParameterTuningJob")
async def describe_tuning_job(service: Service, request: Request) -> Response:
    """Return a tuning job."""
    return _require(service, request)


@operation("ListHyperParameterTuningJobs")
async def list_tuning_jobs(service: Service, request: Request) -> Response:
    """Return a page of tuning jobs."""
    page = list_page(service, LISTING, {"SortBy": "Name"} | request)
    for body in page[LISTING.member]:
        config = body["HyperParameterTuningJobConfig"]
        body.update(Strategy=config["Strategy"], ResourceLimits=config["ResourceLimits"])
    return page


@operation("ListTrainingJobsForHyperParameterTuningJob")
async def list_training_jobs(service: Service, request: Request) -> Response:
    """Return a page of a tuning job's training jobs; by objective, only of those that have one."""
    body = _require(service, request)
    stored = (service.store.get(TRAINING_KIND, name) for name in body["_Children"])
    jobs = [summary(body, job) for job in stored if job]
    sort = request.get("SortBy", "Name")
    if "StatusEquals" in request:
        jobs = [job for job in jobs if job["TrainingJobStatus"] == request["StatusEquals"]]
    if sort == "FinalObjectiveMetricValue":
        jobs = [job for job in jobs if job["FinalHyperParameterTuningJobObjectiveMetric"]]
    jobs.sort(key=SORTS[sort], reverse=request.get("SortOrder") == "Descending")
    shown, token = page_of(jobs, request, 10)
    return {"TrainingJobSummaries": shown, "NextToken": token}


@operation("StopHyperParameterTuningJob")
async def stop_tuning_job(service: Service, request: Request) -> Response:
    """Ask a tuning job and its running training jobs to stop."""
    body = _require(service, request)
    _refuse_when(body, ENDED)
    now = service.clock.timestamp()
    name = body["HyperParameterTuningJobName"]
    service.store.update(KIND, name, HyperParameterTuningJobStatus="Stopping", LastModifiedTime=now)
    return {}


@operation("DeleteHyperParameterTuningJob")
async def delete_tuning_job(service: Service, request: Request) -> Response:
    """Forget a tuning job that has ended; its training jobs stay."""
    body = _require(service, request)
    _refuse_when(body, RUNNING)
    service.store.delete(KIND, body["HyperParameterTuningJobName"])
    drop_tags(service, body["HyperParameterTuningJobArn"])
    return {}


async def recover(service: Service) -> None:
    """Go on with tuning jobs that were running. Those of their training jobs that were lost count as failed."""
    for status in RUNNING:
        for body in service.store.list(KIND, HyperParameterTuningJobStatus=status):
            run.start(service, body["HyperParameterTuningJobName"])


def _require(service: Service, request: Request) -> dict[str, Any]:
    name = request["HyperParameterTuningJobName"]
    body = service.store.get(KIND, name)
    if body is None:
        raise AwsError("ResourceNotFound", f"Amazon SageMaker can't find a tuning job with the name {name}.")
    return body


def _refuse_when(body: dict[str, Any], refused: tuple[str, ...]) -> None:
    refuse_when("hyperparameter tuning job", body["HyperParameterTuningJobStatus"], refused)


def _check(service: Service, body: dict[str, Any]) -> None:
    for member in NOT_ACTED_ON:
        if body.get(member):
            raise unsupported(f"{member} of hyper-parameter tuning jobs")
    if "TrainingJobDefinition" not in body:
        raise validation("TrainingJobDefinition is required to create a hyper-parameter tuning job.")
    definition = body["TrainingJobDefinition"]
    for member in ("HyperParameterTuningResourceConfig", "HyperParameterRanges", "TuningObjective"):
        if definition.get(member):
            raise unsupported(f"{member} of a tuning job's training jobs")
    space = _check_space(body["HyperParameterTuningJobConfig"], definition)
    _check_strategy(body["HyperParameterTuningJobConfig"], space)
    _settle_hyperband(body["HyperParameterTuningJobConfig"], definition)
    _check_objective(body["HyperParameterTuningJobConfig"], definition)
    middle = space.values_at(tuple(0.5 for _ in space.parameters))
    request = run.training_job_request(service, body, 1, middle)
    problems = list(violations(service_model().operation_model("CreateTrainingJob").input_shape, request))
    if problems:
        raise validation(f"The training jobs could not be created: {'; '.join(problems)}")
    check_training_job(service, request)


def _check_space(config: dict[str, Any], definition: dict[str, Any]) -> Space:
    ranges = config.get("ParameterRanges", {})
    if ranges.get("AutoParameters"):
        raise unsupported("AutoParameters of hyper-parameter tuning jobs")
    try:
        space = read_space(ranges)
    except RangeError as error:
        raise validation(str(error)) from error
    both = {parameter.name for parameter in space.parameters} & definition.get("StaticHyperParameters", {}).keys()
    if both:
        raise validation(f"Hyper-parameters cannot be static and have a range: {', '.join(sorted(both))}")
    return space


def _check_strategy(config: dict[str, Any], space: Space) -> None:
    strategy, limits = config["Strategy"], config["ResourceLimits"]
    most = limits.get("MaxNumberOfTrainingJobs")
    if strategy == "Bayesian" and find_spec("sklearn") is None:
        raise unsupported("tuning with strategy Bayesian where scikit-learn is not installed")
    if config.get("TuningJobCompletionCriteria", {}).get("ConvergenceDetected", {}).get("CompleteOnConvergence") == (
        "Enabled"
    ):
        raise unsupported("CompleteOnConvergence of hyper-parameter tuning jobs")
    if strategy == "Grid":
        if not space.only_choices:
            raise validation("Grid strategy supports categorical parameters only.")
        if most not in (None, space.grid_size):
            raise validation(f"MaxNumberOfTrainingJobs must be the number of combinations, {space.grid_size}.")
        most = space.grid_size
    elif most is None:
        raise validation("ResourceLimits.MaxNumberOfTrainingJobs is required.")
    if most > MAX_JOBS or limits["MaxParallelTrainingJobs"] > MAX_PARALLEL_JOBS:
        raise AwsError(
            "ResourceLimitExceeded",
            f"A tuning job can run at most {MAX_JOBS} training jobs, {MAX_PARALLEL_JOBS} of them at a time.",
        )
    if limits["MaxParallelTrainingJobs"] > most:
        raise validation("MaxParallelTrainingJobs must not be more than MaxNumberOfTrainingJobs.")


def _settle_hyperband(config: dict[str, Any], definition: dict[str, Any]) -> None:
    """Check what only Hyperband takes, and fill in what it infers."""
    given = config.get("StrategyConfig", {}).get("HyperbandStrategyConfig", {})
    if config["Strategy"] != "Hyperband":
        if given:
            raise validation("StrategyConfig can be provided only with strategy Hyperband.")
        return
    if config.get("TrainingJobEarlyStoppingType", "Off") != "Off":
        raise validation("TrainingJobEarlyStoppingType must be Off with strategy Hyperband: it stops jobs by itself.")
    static = definition.get("StaticHyperParameters", {})
    epochs = (static[name] for name in EPOCHS if static.get(name, "").isdecimal())
    most = given.get("MaxResource") or int(next(epochs, 0))
    least = given.get("MinResource", 1)
    if not 1 <= least < most <= MOST_EPOCHS:
        raise validation(
            "Unable to use strategy Hyperband: MaxResource, or the static hyper-parameter epochs, must be greater than "
            f"MinResource and at most {MOST_EPOCHS}."
        )
    config["StrategyConfig"] = {"HyperbandStrategyConfig": {"MinResource": least, "MaxResource": most}}


def _check_objective(config: dict[str, Any], definition: dict[str, Any]) -> None:
    objective = config.get("HyperParameterTuningJobObjective")
    if objective is None:
        raise validation("HyperParameterTuningJobObjective is required.")
    metrics = {each["Name"] for each in definition["AlgorithmSpecification"].get("MetricDefinitions", [])}
    if objective["MetricName"] not in metrics:
        raise validation(
            f"The objective metric {objective['MetricName']} must be one of the training jobs' MetricDefinitions."
        )
