"""Endpoints: the operations, and which of them an endpoint's state allows.

What they set in motion is in ``deployments``; endpoint configs are in ``endpoint_configs``; invocations in ``runtime``.
"""

import secrets
from dataclasses import replace
from functools import partial
from typing import Any

from ml_platform.local_sagemaker import async_results
from ml_platform.local_sagemaker.async_invocations import queues_of
from ml_platform.local_sagemaker.autoscaling import operations as autoscaling
from ml_platform.local_sagemaker.cloudwatch.monitoring import monitoring_of
from ml_platform.local_sagemaker.deployment_configs import require_deployable
from ml_platform.local_sagemaker.deployments import KIND, deployments_of
from ml_platform.local_sagemaker.endpoint_configs import require_endpoint_config
from ml_platform.local_sagemaker.fleets import FleetPlan, VariantPlan
from ml_platform.local_sagemaker.gauges import report_gauges
from ml_platform.local_sagemaker.live_endpoint import LiveEndpoint
from ml_platform.local_sagemaker.model_servers import STARTUP_SECONDS, Container
from ml_platform.local_sagemaker.models import resolve_container
from ml_platform.local_sagemaker.notifications import notifications_of
from ml_platform.local_sagemaker.paging import Listing, list_page
from ml_platform.local_sagemaker.service import (
    AwsError,
    Request,
    Response,
    Service,
    not_found,
    operation,
    unsupported,
    validation,
)
from ml_platform.local_sagemaker.store import DuplicateError
from ml_platform.local_sagemaker.tags import drop_tags, put_tags

LISTING = Listing(
    kind=KIND, member="Endpoints", filters={"StatusEquals": "EndpointStatus"}, sorts={"Status": "EndpointStatus"}
)
MAX_INSTANCES = 20
IN_PROGRESS = frozenset({"Creating", "Updating", "RollingBack", "Deleting"})


@operation("CreateEndpoint")
async def create_endpoint(service: Service, request: Request) -> Response:
    """Create an endpoint and start its servers."""
    name = request["EndpointName"]
    arn = service.arn(KIND, name)
    plan = _plan(service, request["EndpointConfigName"])
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
        "ProductionVariants": _summaries(record, live, shadow=False),
        "ShadowProductionVariants": _summaries(record, live, shadow=True) or None,
        "DataCaptureConfig": _capture_summary(record["Plan"].get("capture")),
        "AsyncInferenceConfig": record["Plan"].get("asynchronous"),
        "PendingDeploymentSummary": _pending_summary(record, live),
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
    plan = _plan(service, request["EndpointConfigName"])
    if request.get("RetainAllVariantProperties"):
        excluded = request.get("ExcludeRetainedVariantProperties", [])
        plan = _retain(plan, FleetPlan.from_json(record["Plan"]), {each["VariantPropertyType"] for each in excluded})
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
        if "ServerlessUpdateConfig" in desired:
            raise unsupported("serverless variants")
        plan = plan.with_variant(
            desired["VariantName"],
            weight=desired.get("DesiredWeight"),
            instances=desired.get("DesiredInstanceCount"),
        )
    _require_room(plan.variants)
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
    if record["EndpointStatus"] == "Failed" and not failed_too:
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


def _plan(service: Service, config_name: str) -> FleetPlan:
    """Return what an endpoint config makes us run, refusing what it asks for and we do not run."""
    config = require_endpoint_config(service, config_name)
    if "ExplainerConfig" in config:
        raise unsupported("online explanations")
    production = [_variant_plan(service, variant) for variant in config["ProductionVariants"]]
    shadows = [_variant_plan(service, variant) for variant in config.get("ShadowProductionVariants", [])]
    variants = (*production, *(replace(variant, shadow=True) for variant in shadows))
    _require_room(variants)
    capture, asynchronous = config.get("DataCaptureConfig"), config.get("AsyncInferenceConfig")
    return FleetPlan(secrets.token_hex(6), config_name, variants, capture, asynchronous)


def _variant_plan(service: Service, variant: dict[str, Any]) -> VariantPlan:
    if "ServerlessConfig" in variant:
        raise unsupported("serverless variants")
    if variant.get("ManagedInstanceScaling", {}).get("Status") == "ENABLED":
        raise unsupported("managed instance scaling")
    resolved = resolve_container(service, variant["ModelName"])
    container = Container(
        image=resolved.image,
        environment=resolved.environment,
        model_data_url=resolved.model_data_url,
        startup_seconds=variant.get("ContainerStartupHealthCheckTimeoutInSeconds", STARTUP_SECONDS),
    )
    return VariantPlan(
        variant["VariantName"], container, variant["InitialVariantWeight"], variant["InitialInstanceCount"]
    )


def _require_room(variants: tuple[VariantPlan, ...]) -> None:
    for variant in variants:
        if variant.instances < 1:
            raise validation(f"Production variant {variant.name} must have at least one instance.")
    if (total := sum(variant.instances for variant in variants)) > MAX_INSTANCES:
        raise AwsError(
            "ResourceLimitExceeded",
            f"The local stand-in starts a process for each instance and allows {MAX_INSTANCES} per endpoint; "
            f"{total} were requested.",
        )


def _require_deployable(
    service: Service, deployment: dict[str, Any] | None, blue: FleetPlan | None, plan: FleetPlan
) -> None:
    require_deployable(deployment, blue, plan, lambda name: monitoring_of(service).state(name) is not None)


def _retain(plan: FleetPlan, current: FleetPlan, excluded: set[str]) -> FleetPlan:
    """Return the plan with the properties that the endpoint's variants have now, but for the excluded ones."""
    for variant in current.variants:
        plan = plan.with_variant(
            variant.name,
            weight=None if "DesiredWeight" in excluded else variant.weight,
            instances=None if "DesiredInstanceCount" in excluded else variant.instances,
        )
    return plan if "DataCaptureConfig" in excluded else plan.with_capture(current.capture)


def _summaries(record: dict[str, Any], live: LiveEndpoint | None, *, shadow: bool) -> list[dict[str, Any]] | None:
    if live is None or live.fleet is None:
        return None
    variants = [variant for variant in live.fleet.variants.values() if variant.plan.shadow == shadow]
    return [_variant_summary(record, variant.plan, len(variant.instances)) for variant in variants]


def _variant_summary(record: dict[str, Any], plan: VariantPlan, instances: int) -> dict[str, Any]:
    pending = record.get("Pending", {}).get("Plan", {})
    rescaled = pending.get("identity") == record["Plan"]["identity"]
    wanted = FleetPlan.from_json(pending if rescaled else record["Plan"])
    desired = next((variant for variant in wanted.variants if variant.name == plan.name), plan)
    return {
        "VariantName": plan.name,
        "DeployedImages": [
            {
                "SpecifiedImage": plan.container.image,
                "ResolvedImage": plan.container.image,
                "ResolutionTime": record["CreationTime"],
            }
        ],
        "CurrentWeight": plan.weight,
        "DesiredWeight": desired.weight,
        "CurrentInstanceCount": instances,
        "DesiredInstanceCount": desired.instances,
    }


def _capture_summary(config: dict[str, Any] | None) -> dict[str, Any] | None:
    if config is None:
        return None
    enabled = config.get("EnableCapture", True)
    return {
        "EnableCapture": enabled,
        "CaptureStatus": "Started" if enabled else "Stopped",
        "CurrentSamplingPercentage": config["InitialSamplingPercentage"],
        "DestinationS3Uri": config["DestinationS3Uri"],
        "KmsKeyId": config.get("KmsKeyId", ""),
    }


def _pending_summary(record: dict[str, Any], live: LiveEndpoint | None) -> dict[str, Any] | None:
    pending = record.get("Pending")
    if pending is None:
        return None
    plan = FleetPlan.from_json(pending["Plan"])
    return {
        "EndpointConfigName": plan.config,
        "StartTime": pending["StartTime"],
        "ProductionVariants": [_pending_variant(pending, live, variant) for variant in plan.production],
        "ShadowProductionVariants": [_pending_variant(pending, live, variant) for variant in plan.shadows] or None,
    }


def _pending_variant(pending: dict[str, Any], live: LiveEndpoint | None, variant: VariantPlan) -> dict[str, Any]:
    green = live.green if live else None
    started = pending.get("StageStartTime", pending["StartTime"])
    return {
        "VariantName": variant.name,
        "CurrentWeight": variant.weight * live.share if live and green else None,
        "DesiredWeight": variant.weight,
        "CurrentInstanceCount": len(green.variants[variant.name].instances) if green else None,
        "DesiredInstanceCount": variant.instances,
        "VariantStatus": [{"Status": pending.get("Stage", "Creating"), "StartTime": started}],
    }
