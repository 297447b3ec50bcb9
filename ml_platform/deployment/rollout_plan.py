"""How an update reaches its endpoint: what moves when, and which alarms send it back. Pure.

Sending it is ``rollout``. The alarms watch the new fleet alone: SageMaker gives it metrics of its own, under the
dimension ``EndpointConfigName``, so that an old fleet in trouble does not condemn the new one. They are therefore
made for one deployment and deleted after it.
"""

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from ml_platform.deployment.endpoint_config import VARIANT

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch.type_defs import PutMetricAlarmInputTypeDef
    from mypy_boto3_sagemaker.type_defs import DeploymentConfigTypeDef, UpdateEndpointInputTypeDef

NAMESPACE = "AWS/SageMaker"
# Both fleets are billed while the old one waits; requests under way need at most 60 s.
TERMINATION_WAIT_SECONDS = 60
MAX_UPDATE_SECONDS = 1800
PERIOD_SECONDS = 60
MICROSECONDS_PER_MS = 1000


class RolloutPolicy(BaseModel):
    """How carefully a new model takes over. The defaults are the careful choice."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    strategy: Literal["canary", "all_at_once"] = Field(
        default="canary", description="`canary`: part of the new fleet first, watched by alarms, then the rest."
    )
    instance_count: int = Field(default=2, ge=1, le=20, description="Instances per fleet. A canary needs two.")
    canary_percent: int = Field(default=10, ge=1, le=50, description="First part, rounded up to instances. At most 50.")
    baking_seconds: int = Field(default=300, ge=0, le=3600, description="How long the canary is watched.")
    max_server_errors: int = Field(
        default=5, ge=1, description="This many 5XX answers of the new fleet within a minute roll it back."
    )
    max_p95_latency_ms: float = Field(
        default=1000.0,
        gt=0,
        description="The new fleet's p95 model latency over a minute; above it, it is rolled back.",
    )

    @property
    def guarded(self) -> bool:
        """Whether alarms watch the update. All at once has no time in which they could speak."""
        return self.strategy == "canary" and self.instance_count > 1


def alarm_requests(policy: RolloutPolicy, *, endpoint: str, config: str) -> "list[PutMetricAlarmInputTypeDef]":
    """Build the alarms of one update: errors and latency of the fleet that serves ``config``."""
    if not policy.guarded:
        return []
    return [
        {
            **_watching(endpoint, config, "Invocation5XXErrors"),
            "AlarmDescription": f"The new fleet of {endpoint} answers with server errors.",
            "Statistic": "Sum",
            "Threshold": policy.max_server_errors,
        },
        {
            **_watching(endpoint, config, "ModelLatency"),
            "AlarmDescription": f"The new fleet of {endpoint} is slow.",
            "ExtendedStatistic": "p95",
            "Threshold": policy.max_p95_latency_ms * MICROSECONDS_PER_MS,
            "Unit": "Microseconds",
        },
    ]


def _watching(endpoint: str, config: str, metric: str) -> "PutMetricAlarmInputTypeDef":
    return {
        "AlarmName": f"{config}-{metric}",
        "Namespace": NAMESPACE,
        "MetricName": metric,
        "Dimensions": [
            {"Name": "EndpointName", "Value": endpoint},
            {"Name": "VariantName", "Value": VARIANT},
            {"Name": "EndpointConfigName", "Value": config},
        ],
        "Period": PERIOD_SECONDS,
        "EvaluationPeriods": 1,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        # Before its first request the new fleet has no data, which says nothing against it.
        "TreatMissingData": "notBreaching",
        "Tags": [{"Key": "ml-platform:endpoint", "Value": endpoint}],
    }


def update_endpoint_request(
    policy: RolloutPolicy, *, endpoint: str, config: str, alarms: list[str]
) -> "UpdateEndpointInputTypeDef":
    """Build the move of an endpoint to a config."""
    return {
        "EndpointName": endpoint,
        "EndpointConfigName": config,
        "DeploymentConfig": deployment_config(policy, alarms),
    }


def deployment_config(policy: RolloutPolicy, alarms: list[str]) -> "DeploymentConfigTypeDef":
    """Build the blue/green policy of an update, rolled back by any of the alarms."""
    if not policy.guarded:
        return {
            "BlueGreenUpdatePolicy": {
                "TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0},
                "TerminationWaitInSeconds": TERMINATION_WAIT_SECONDS,
                "MaximumExecutionTimeoutInSeconds": MAX_UPDATE_SECONDS,
            }
        }
    return {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {
                "Type": "CANARY",
                "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": policy.canary_percent},
                "WaitIntervalInSeconds": policy.baking_seconds,
            },
            "TerminationWaitInSeconds": TERMINATION_WAIT_SECONDS,
            "MaximumExecutionTimeoutInSeconds": MAX_UPDATE_SECONDS + 2 * policy.baking_seconds,
        },
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name} for name in alarms]},
    }
