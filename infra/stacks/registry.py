"""Separation of duties in the model registry: who may propose a model, who may decide about it, and who may not both.

Policies, to be attached to the roles of people and pipelines. The stages are those that the platform sets with each
decision (``ml_platform.aws.model_packages``): what trains can propose, and only a reviewer can say Production.
"""

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.environments import Environment
from infra.stacks.storage import AUDIT_PREFIX

STAGE, STATUS = "sagemaker:ModelLifeCycle:stage", "sagemaker:ModelLifeCycle:stageStatus"
APPROVAL = "sagemaker:ModelApprovalStatus"


class RegistryStack(Stack):
    """The policies of trainers and reviewers. Neither can be both: each denies what the other may do."""

    def __init__(self, scope: Construct, construct_id: str, *, environment: Environment, data: s3.IBucket) -> None:
        super().__init__(scope, construct_id)
        packages = self.format_arn(service="sagemaker", resource="model-package", resource_name="*")
        # A version is made in its group, and IAM asks about both.
        made = [packages, self.format_arn(service="sagemaker", resource="model-package-group", resource_name="*")]
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
                *_propose(made),
                *_cannot_decide(made),
                *_keep(packages, cards),
                _append(trail),
            ],
        )
        self.reviewer = iam.ManagedPolicy(
            self,
            "Reviewer",
            managed_policy_name=f"ml-platform-{environment.name}-reviewer",
            statements=[*_decide(packages), _cannot_train(fits), *_keep(packages, cards), _append(trail)],
        )


def _propose(made: list[str]) -> list[iam.PolicyStatement]:
    return [
        iam.PolicyStatement(
            sid="ProposeModels",
            actions=["sagemaker:CreateModelPackage"],
            resources=made,
            conditions={"StringEquals": {STAGE: "Proposal", STATUS: "PendingApproval"}},
        )
    ]


def _cannot_decide(made: list[str]) -> list[iam.PolicyStatement]:
    """Deny, so that no other policy of the same role can allow it: by the approval, and by what would look like one."""
    forbidden = {
        "WhoTrainsCannotApprove": {APPROVAL: "Approved"},
        "WhoTrainsCannotSayProduction": {STAGE: "Production", STATUS: "Approved"},
    }
    return [
        iam.PolicyStatement(
            sid=sid,
            effect=iam.Effect.DENY,
            actions=["sagemaker:CreateModelPackage", "sagemaker:UpdateModelPackage"],
            resources=made,
            conditions={"StringEquals": condition},
        )
        for sid, condition in forbidden.items()
    ]


def _decide(packages: str) -> list[iam.PolicyStatement]:
    return [
        iam.PolicyStatement(
            sid="ReadModels",
            actions=["sagemaker:DescribeModelPackage", "sagemaker:ListModelPackages"],
            resources=[packages],
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


def _append(trail: str) -> iam.PolicyStatement:
    """That nobody replaces or deletes a record is the bucket's policy."""
    return iam.PolicyStatement(sid="AppendToTheTrail", actions=["s3:GetObject", "s3:PutObject"], resources=[trail])
