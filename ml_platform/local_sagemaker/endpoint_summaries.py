"""What DescribeEndpoint says of an endpoint's variants: what serves now, and what it is being moved to."""

from typing import Any

from ml_platform.local_sagemaker.fleet_plans import FleetPlan, VariantPlan
from ml_platform.local_sagemaker.live_endpoint import LiveEndpoint


def summaries(record: dict[str, Any], live: LiveEndpoint | None, *, shadow: bool) -> list[dict[str, Any]] | None:
    """Return what serves now; None when nothing does."""
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
        "CurrentInstanceCount": 0 if plan.serverless else instances,
        "DesiredInstanceCount": None if plan.serverless else desired.instances,
        "CurrentServerlessConfig": plan.serverless,
        "DesiredServerlessConfig": desired.serverless,
    }


def capture_summary(config: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return what is captured; None when the endpoint config says nothing of it."""
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


def pending_summary(record: dict[str, Any], live: LiveEndpoint | None) -> dict[str, Any] | None:
    """Return what an update under way has reached; None when there is none."""
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
        "DesiredInstanceCount": None if variant.serverless else variant.instances,
        "DesiredServerlessConfig": variant.serverless,
        "VariantStatus": [{"Status": pending.get("Stage", "Creating"), "StartTime": started}],
    }
