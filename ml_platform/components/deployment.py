"""The live endpoint: what DescribeEndpoint says after the change, never what was asked for."""

from typing import Any

import dagster as dg

from ml_platform.components.origin import declared_by
from ml_platform.components.settings import ModelSettings
from ml_platform.resources.deciding_policy import deciding_policy
from ml_platform.resources.lineage import keep_deployment
from ml_platform.resources.sagemaker import SageMaker


class EndpointChange(dg.Config):
    """What to change, when not to the newest approved package."""

    roll_back_version: int | None = None
    """Leave this version, which must be live, for the approved one before it. It is rejected, for this reason."""
    reason: str = "no reason was given"
    by: str = "a person"


def build_live_endpoint(model: ModelSettings, model_package: dg.AssetsDefinition) -> dg.AssetsDefinition:
    """Return the asset ``live_endpoint``. It has no condition: the approval sensor, or a person, launches it."""

    @dg.asset(
        key=[model.name, "live_endpoint"],
        deps=[model_package],
        group_name="deployment",
        kinds={"sagemaker"},
        owners=[model.owner],
        tags={"model": model.name},
        pool="sagemaker_endpoint",
        description="The endpoint that serves the newest approved package, and records what it answers.",
    )
    def live_endpoint(
        context: dg.AssetExecutionContext, config: EndpointChange, sagemaker: SageMaker
    ) -> dg.MaterializeResult:
        rolled_back: dict[str, Any] = {}
        if config.roll_back_version is not None:
            sagemaker.roll_back(model.name, version=config.roll_back_version, by=config.by, reason=config.reason)
            rolled_back = {"rolled_back_version": config.roll_back_version, "rolled_back_because": config.reason}
        live = sagemaker.deploy(
            model.name, model.rollout, context.log.info, declared_by(model).policies, returning=bool(rolled_back)
        )
        sagemaker.manifests(model.name).write("live_endpoint", live)
        keep_deployment(sagemaker.store, model.name, live)
        serves = sagemaker.live_package(model.name)
        policy = deciding_policy(sagemaker.store, model.name, serves.package if serves else None)
        return dg.MaterializeResult(
            metadata={
                "version": live.version,
                **rolled_back,
                "endpoint": live.endpoint,
                "endpoint_config": live.config,
                "previous_endpoint_config": live.previous_config or "none",
                "status": live.status,
                "since": dg.MetadataValue.timestamp(live.since),
                "model_package": live.package_arn,
                "decision_policy": policy.said if policy else "none decides yet",
            }
        )

    return live_endpoint
