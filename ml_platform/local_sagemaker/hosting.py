"""Endpoints: the operations, and which of them an endpoint's state allows.

What they set in motion is in ``deployments``, what a config makes us run in ``endpoint_plans``.
"""

from functools import partial
from typing import Any

from ml_platform.local_sagemaker import async_results
from ml_platform.local_sagemaker.async_invocations import queues_of
from ml_platform.local_sagemaker.autoscaling import operations as autoscaling
from ml_platform.local_sagemaker.cloudwatch.monitoring import monitoring_of
from ml_platform.local_sagemaker.deployment_configs import require_deployable
from ml_platform.local_sagemaker.deployments import KIND, MIXED, deployments_of
from ml_platform.local_sagemaker.endpoint_plans import plan_of, require_room, retain, with_desired
from ml_platform.local_sagemaker.endpoint_summaries import capture_summary, pending_summary, summaries
from ml_platform.local_sagemaker.fleet_plans import FleetPlan
from ml_platform.local_sagemaker.gauges import report_gauges
from ml_platform.local_sagemaker.notifications import notifications_of
from ml_platform.local_sagemaker.paging import Listing, list_page
from ml_platform.local_sagemaker.service import Request, Response, Service, not_found, operation, validation
from ml_platform.local_sagemaker.store import DuplicateError
from ml_platform.local_sagemaker.tags import drop_tags, put_tags

LISTING = Listing(
    kind=KIND, member="Endpoints", filters={"StatusEquals": "EndpointStatus"}, sorts={"Status": "EndpointStatus"}
)
IN_PROGRESS = frozenset({"Creating", "Updating", "RollingBack", "Deleting"})


@operation("CreateEndpoint")
async def create_endpoint(service: Service, request: Request) -> Response:
    """Create an endpoint and start its servers."""
    name = request["EndpointName"]
    arn = service.arn(KIND, name)
    plan = plan_of(service, request["EndpointConfigName"])
    _require_deployable(service, request.get("DeploymentConfig"), None, plan)
    now = service.clock.timestamp()
    body = {
        "EndpointName": name,
        "EndpointArn": arn,
        "EndpointConfigName": plan.config,
        "EndpointStatus": "Creating",
        "CreationTime": now,
        "LastModifiedTime": now,
        "LastDeploymentConfig": request.get("DeploymentConfig"),
        "Plan": plan.as_json(),
    }
    try:
        service.store.insert(KIND, name, body)
    except DuplicateError as error:
        raise validation(f'Cannot create already existing endpoint "{arn}".') from error
    put_tags(service, arn, request.get("Tags"))
    deployments_of(service).create(name)
    return {"EndpointArn": arn}


@operation("DescribeEndpoint")
async def describe_endpoint(service: Service, request: Request) -> Response:
    """Return an endpoint: its state, what serves now and what it is being moved to."""
    record = _require_endpoint(service, request["EndpointName"])
    live = deployments_of(service).live.get(record["EndpointName"])
    return {
        **record,
        "ProductionVariants": summaries(record, live, shadow=False),
        "ShadowProductionVariants": summaries(record, live, shadow=True) or None,
        "DataCaptureConfig": capture_summary(record["Plan"].get("capture")),
        "AsyncInferenceConfig": record["Plan"].get("asynchronous"),
        "PendingDeploymentSummary": pending_summary(record, live),
    }


@operation("ListEndpoints")
async def list_endpoints(service: Service, request: Request) -> Response:
    """Return a page of endpoints."""
    return list_page(service, LISTING, request)


@operation("UpdateEndpoint")
async def update_endpoint(service: Service, request: Request) -> Response:
    """Move an endpoint to another config, in the steps that its deployment config asks for."""
    record = _require_settled(service, request["EndpointName"])
    deployment = request.get("DeploymentConfig")
    if request.get("RetainDeploymentConfig"):
        deployment = record.get("LastDeploymentConfig")
    plan = plan_of(service, request["EndpointConfigName"])
    if request.get("RetainAllVariantProperties"):
        excluded = request.get("ExcludeRetainedVariantProperties", [])
        plan = retain(plan, FleetPlan.from_json(record["Plan"]), {each["VariantPropertyType"] for each in excluded})
    blue = FleetPlan.from_json(record["Plan"]) if record["EndpointStatus"] != "Failed" else None
    _require_deployable(service, deployment, blue, plan)
    return _start_update(service, record, plan, deployment)


@operation("UpdateEndpointWeightsAndCapacities")
async def update_endpoint_weights_and_capacities(service: Service, request: Request) -> Response:
    """Change weights and instance counts of an endpoint's variants, one by one or several at once."""
    record = _require_settled(service, request["EndpointName"], failed_too=False)
    plan = FleetPlan.from_json(record["Plan"])
    known = {variant.name for variant in plan.variants}
    asked = [desired["VariantName"] for desired in request["DesiredWeightsAndCapacities"]]
    if twice := next((name for name in asked if asked.count(name) > 1), None):
        raise validation(f'The variant name "{twice}" was non-unique within the request.')
    for desired in request["DesiredWeightsAndCapacities"]:
        if desired["VariantName"] not in known:
            raise validation(
                f'The variant name(s) "{desired["VariantName"]}" is/are not present within endpoint configuration '
                f'"{record["EndpointConfigName"]}".'
            )
        plan = with_desired(plan, desired)
    # Asynchronous requests can wait for an instance.
    require_room(plan.variants, least=1 if plan.asynchronous is None else 0)
    return _start_update(service, record, plan, record.get("LastDeploymentConfig"))


@operation("DeleteEndpoint")
async def delete_endpoint(service: Service, request: Request) -> Response:
    """Stop an endpoint's servers and forget it."""
    record = _require_settled(service, request["EndpointName"])
    service.store.update(
        KIND, record["EndpointName"], EndpointStatus="Deleting", LastModifiedTime=service.clock.timestamp()
    )
    drop_tags(service, record["EndpointArn"])
    deployments_of(service).delete(record["EndpointName"])
    return {}


async def recover(service: Service) -> None:
    """Bring back every endpoint after a stop or crash of the stand-in, and what scales them."""
    await deployments_of(service).recover()
    notifications_of(service).observers[async_results.ORIGIN] = partial(async_results.count_undelivered, service)
    queues_of(service).recover()
    service.spawn(report_gauges(service), "gauges")
    await autoscaling.recover(service)


def _require_endpoint(service: Service, name: str) -> dict[str, Any]:
    body = service.store.get(KIND, name)
    if body is None:
        raise not_found(f'Could not find endpoint "{service.arn(KIND, name)}".')
    return body


def _require_settled(service: Service, name: str, *, failed_too: bool = True) -> dict[str, Any]:
    record = _require_endpoint(service, name)
    if record["EndpointStatus"] in IN_PROGRESS:
        raise validation(f'Cannot update in-progress endpoint "{record["EndpointArn"]}".')
    if record["EndpointStatus"] in ("Failed", MIXED) and not failed_too:
        raise validation(f'Cannot update failed endpoint "{record["EndpointArn"]}".')
    return record


def _start_update(
    service: Service, record: dict[str, Any], plan: FleetPlan, deployment: dict[str, Any] | None
) -> Response:
    now = service.clock.timestamp()
    service.store.update(
        KIND,
        record["EndpointName"],
        EndpointStatus="Updating",
        FailureReason=None,
        LastModifiedTime=now,
        Pending={"Plan": plan.as_json(), "DeploymentConfig": deployment, "StartTime": now},
    )
    deployments_of(service).update(record["EndpointName"])
    return {"EndpointArn": record["EndpointArn"]}


def _require_deployable(
    service: Service, deployment: dict[str, Any] | None, blue: FleetPlan | None, plan: FleetPlan
) -> None:
    if deployment and any(variant.serverless for variant in plan.variants):
        raise validation("DeploymentConfig is not supported for endpoints with serverless variants.")
    require_deployable(deployment, blue, plan, lambda name: monitoring_of(service).state(name) is not None)
