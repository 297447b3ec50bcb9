"""Separation of duties in the model registry: who may propose a model, who may decide about it, and who may not both.

Policies, to be attached to the roles of people and pipelines. The stages are those that the platform sets with each
decision (``ml_platform.aws.model_packages``): what trains can propose, and only a reviewer can say Production.
"""

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.environments import Environment

STAGE, STATUS = "sagemaker:ModelLifeCycle:stage", "sagemaker:ModelLifeCycle:stageStatus"
APPROVAL = "sagemaker:ModelApprovalStatus"
AUDIT_PREFIX = "audit/*"


class RegistryStack(Stack):
    """The policies of trainers and reviewers. Neither can be both: each denies what the other may do."""

    def __init__(self, scope: Construct, construct_id: str, *, environment: Environment, data: s3.IBucket) -> None:
        super().__init__(scope, construct_id)
        packages = self.format_arn(service="sagemaker", resource="model-package", resource_name="*")
        cards = self.format_arn(service="sagemaker", resource="model-card", resource_name="*")
        # A tuning job trains too.
        fits = [
            self.format_arn(service="sagemaker", resource=kind, resource_name="*")
            for kind in ("training-job", "hyper-parameter-tuning-job")
        ]
        trail = data.arn_for_objects(AUDIT_PREFIX)
        self.trainer = iam.ManagedPolicy(
            self,
            "Trainer",
            managed_policy_name=f"ml-platform-{environment.name}-trainer",
            statements=[
                *_propose(packages),
                _cannot_decide(packages),
                *_keep(packages, cards),
                *_append_only(trail),
            ],
        )
        self.reviewer = iam.ManagedPolicy(
            self,
            "Reviewer",
            managed_policy_name=f"ml-platform-{environment.name}-reviewer",
            statements=[*_decide(packages), _cannot_train(fits), *_keep(packages, cards), *_append_only(trail)],
        )


def _propose(packages: str) -> list[iam.PolicyStatement]:
    return [
        iam.PolicyStatement(
            sid="ProposeModels",
            actions=["sagemaker:CreateModelPackage"],
            resources=[packages],
            conditions={"StringEquals": {STAGE: "Proposal", STATUS: "PendingApproval"}},
        )
    ]


def _cannot_decide(packages: str) -> iam.PolicyStatement:
    """Deny, so that no other policy of the same role can allow it."""
    return iam.PolicyStatement(
        sid="WhoTrainsCannotApprove",
        effect=iam.Effect.DENY,
        actions=["sagemaker:CreateModelPackage", "sagemaker:UpdateModelPackage"],
        resources=[packages],
        conditions={"StringEquals": {APPROVAL: "Approved"}},
    )


def _decide(packages: str) -> list[iam.PolicyStatement]:
    return [
        iam.PolicyStatement(
            sid="ReadModels",
            actions=["sagemaker:DescribeModelPackage", "sagemaker:ListModelPackages"],
            resources=["*"],
        ),
        iam.PolicyStatement(
            sid="DecideAboutModels",
            actions=["sagemaker:UpdateModelPackage"],
            resources=[packages],
            conditions={"StringEquals": {STAGE: "Production", STATUS: ["Approved", "Rejected"]}},
        ),
    ]


def _keep(packages: str, cards: str) -> list[iam.PolicyStatement]:
    """What both do around a decision: links, the card, and taking an approval back, which lets nothing go live."""
    return [
        iam.PolicyStatement(
            sid="LinkModels",
            actions=["sagemaker:UpdateModelPackage"],
            resources=[packages],
            conditions={"Null": {APPROVAL: "true", STAGE: "true"}},
        ),
        iam.PolicyStatement(
            sid="TakeApprovalsBack",
            actions=["sagemaker:UpdateModelPackage"],
            resources=[packages],
            conditions={
                "StringEquals": {APPROVAL: "PendingManualApproval", STAGE: "Proposal", STATUS: "PendingApproval"}
            },
        ),
        iam.PolicyStatement(
            sid="WriteCards",
            actions=[f"sagemaker:{verb}ModelCard" for verb in ("Create", "Describe", "Update")] + ["sagemaker:AddTags"],
            resources=[cards],
        ),
    ]


def _cannot_train(fits: list[str]) -> iam.PolicyStatement:
    return iam.PolicyStatement(
        sid="WhoApprovesCannotTrain",
        effect=iam.Effect.DENY,
        actions=["sagemaker:CreateTrainingJob", "sagemaker:CreateHyperParameterTuningJob"],
        resources=fits,
    )


def _append_only(trail: str) -> list[iam.PolicyStatement]:
    """A record is written when there is none of its number, and is never taken away."""
    return [
        iam.PolicyStatement(
            sid="AppendToTheTrail",
            actions=["s3:GetObject", "s3:PutObject"],
            resources=[trail],
        ),
        iam.PolicyStatement(
            sid="NeverReplaceARecord",
            effect=iam.Effect.DENY,
            actions=["s3:PutObject"],
            resources=[trail],
            conditions={"Null": {"s3:if-none-match": "true"}},
        ),
        iam.PolicyStatement(
            sid="NeverDeleteARecord",
            effect=iam.Effect.DENY,
            actions=["s3:DeleteObject", "s3:DeleteObjectVersion"],
            resources=[trail],
        ),
    ]
