"""What deploying takes: endpoints, the alarms that roll them back, and rejecting the version that a rollback leaves.

Nothing here approves: what goes live was approved by a reviewer (``registry``). Scaling and shadow variants are not
managed by the platform's code, so nobody is allowed them.
"""

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.environments import Environment
from infra.stacks.execution import alarm_arns
from infra.stacks.jobs import pass_role
from infra.stacks.registry import APPROVAL, STAGE, STATUS


class EndpointsStack(Stack):
    """The policies of who deploys and rolls back, and of who asks an endpoint for scores."""

    def __init__(self, scope: Construct, construct_id: str, *, environment: Environment) -> None:
        super().__init__(scope, construct_id)
        endpoints, configs, models, packages = (
            self.format_arn(service="sagemaker", resource=kind, resource_name="*")
            for kind in ("endpoint", "endpoint-config", "model", "model-package")
        )
        self.deployer = iam.ManagedPolicy(
            self,
            "Deployer",
            managed_policy_name=f"ml-platform-{environment.name}-deployer",
            statements=[
                iam.PolicyStatement(
                    sid="MakeModels",
                    actions=["sagemaker:CreateModel", "sagemaker:DescribeModel", "sagemaker:AddTags"],
                    resources=[models],
                ),
                iam.PolicyStatement(
                    sid="MakeEndpointConfigs",
                    actions=[
                        *(f"sagemaker:{verb}EndpointConfig" for verb in ("Create", "Describe")),
                        "sagemaker:AddTags",
                    ],
                    resources=[configs],
                ),
                iam.PolicyStatement(
                    sid="RunEndpoints",
                    actions=[
                        *(f"sagemaker:{verb}Endpoint" for verb in ("Create", "Describe", "Update", "Delete")),
                        "sagemaker:AddTags",
                    ],
                    # A config is put on an endpoint by the endpoint's call.
                    resources=[endpoints, configs],
                ),
                iam.PolicyStatement(
                    sid="WatchRollouts",
                    actions=[
                        *(f"cloudwatch:{call}" for call in ("PutMetricAlarm", "DescribeAlarms", "DeleteAlarms")),
                        "cloudwatch:TagResource",
                    ],
                    resources=alarm_arns(self),
                ),
                iam.PolicyStatement(
                    sid="RejectWhatIsRolledBack",
                    actions=["sagemaker:UpdateModelPackage"],
                    resources=[packages],
                    conditions={"StringEquals": {APPROVAL: "Rejected", STAGE: "Production", STATUS: "Rejected"}},
                ),
                pass_role(self, environment.job_role),
            ],
        )
        self.scorer = iam.ManagedPolicy(
            self,
            "Scorer",
            managed_policy_name=f"ml-platform-{environment.name}-scorer",
            statements=[
                iam.PolicyStatement(sid="AskForScores", actions=["sagemaker:InvokeEndpoint"], resources=[endpoints])
            ],
        )
