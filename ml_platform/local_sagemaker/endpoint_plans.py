"""From an endpoint config, and from what an update asks for, to the plan of a fleet.

What the config asks for and the stand-in does not run is refused here; nothing is quietly left out.
"""

import secrets
from dataclasses import replace
from typing import Any

from ml_platform.local_sagemaker.containers_setup import Limits
from ml_platform.local_sagemaker.endpoint_configs import require_endpoint_config
from ml_platform.local_sagemaker.fleet_plans import FleetPlan, VariantPlan
from ml_platform.local_sagemaker.model_servers import STARTUP_SECONDS, Container
from ml_platform.local_sagemaker.models import resolve_container
from ml_platform.local_sagemaker.serverless import MEBIBYTE, MOST_ENVIRONMENTS, require_sizes
from ml_platform.local_sagemaker.service import AwsError, Service, unsupported, validation

MAX_INSTANCES = 20


def plan_of(service: Service, config_name: str) -> FleetPlan:
    """Return what an endpoint config makes us run, refusing what it asks for and we do not run."""
    config = require_endpoint_config(service, config_name)
    if "ExplainerConfig" in config:
        raise unsupported("online explanations")
    production = [_variant_plan(service, variant) for variant in config["ProductionVariants"]]
    shadows = [_variant_plan(service, variant) for variant in config.get("ShadowProductionVariants", [])]
    variants = (*production, *(replace(variant, shadow=True) for variant in shadows))
    require_room(variants)
    capture, asynchronous = config.get("DataCaptureConfig"), config.get("AsyncInferenceConfig")
    return FleetPlan(secrets.token_hex(6), config_name, variants, capture, asynchronous)


def _variant_plan(service: Service, variant: dict[str, Any]) -> VariantPlan:
    if variant.get("ManagedInstanceScaling", {}).get("Status") == "ENABLED":
        raise unsupported("managed instance scaling")
    resolved = resolve_container(service, variant["ModelName"])
    container = Container(
        image=resolved.image,
        environment=resolved.environment,
        model_data_url=resolved.model_data_url,
        startup_seconds=variant.get("ContainerStartupHealthCheckTimeoutInSeconds", STARTUP_SECONDS),
    )
    plan = VariantPlan(variant["VariantName"], container, variant["InitialVariantWeight"])
    serverless = variant.get("ServerlessConfig")
    if serverless is None:
        return replace(plan, instances=variant["InitialInstanceCount"], instance_type=variant.get("InstanceType"))
    # As on AWS, the model has to load once before the endpoint is in service.
    limits = Limits(memory_bytes=serverless["MemorySizeInMB"] * MEBIBYTE)
    first = min(max(1, serverless.get("ProvisionedConcurrency", 1)), MOST_ENVIRONMENTS)
    return replace(plan, container=replace(container, limits=limits), instances=first, serverless=serverless)


def with_desired(plan: FleetPlan, desired: dict[str, Any]) -> FleetPlan:
    """Return a plan with what is desired of one of its variants."""
    name, update = desired["VariantName"], desired.get("ServerlessUpdateConfig")
    (variant,) = (variant for variant in plan.variants if variant.name == name)
    if variant.serverless is None:
        if update is not None:
            raise validation(f"ServerlessUpdateConfig cannot be given for variant {name}, which is not serverless.")
        return plan.with_variant(
            name, weight=desired.get("DesiredWeight"), instances=desired.get("DesiredInstanceCount")
        )
    if "DesiredInstanceCount" in desired:
        raise validation(f"DesiredInstanceCount cannot be given for variant {name}, which is serverless.")
    serverless = variant.serverless | (update or {})
    require_sizes(serverless)
    first = min(max(1, serverless.get("ProvisionedConcurrency", 1)), MOST_ENVIRONMENTS)
    return plan.with_variant(name, weight=desired.get("DesiredWeight"), instances=first, serverless=serverless)


def require_room(variants: tuple[VariantPlan, ...], *, least: int = 1) -> None:
    """Refuse more instances than this machine should start, and fewer than an endpoint needs."""
    for variant in variants:
        if variant.instances < least:
            raise validation(f"Production variant {variant.name} must have at least one instance.")
    if (total := sum(variant.instances for variant in variants)) > MAX_INSTANCES:
        raise AwsError(
            "ResourceLimitExceeded",
            f"The local stand-in starts a process for each instance and allows {MAX_INSTANCES} per endpoint; "
            f"{total} were requested.",
        )


def retain(plan: FleetPlan, current: FleetPlan, excluded: set[str]) -> FleetPlan:
    """Return the plan with the properties that the endpoint's variants have now, but for the excluded ones."""
    wanted = {variant.name: variant for variant in plan.variants}
    for variant in current.variants:
        if variant.serverless or (variant.name in wanted and wanted[variant.name].serverless):
            continue
        plan = plan.with_variant(
            variant.name,
            weight=None if "DesiredWeight" in excluded else variant.weight,
            instances=None if "DesiredInstanceCount" in excluded else variant.instances,
        )
    return plan if "DataCaptureConfig" in excluded else plan.with_capture(current.capture)
