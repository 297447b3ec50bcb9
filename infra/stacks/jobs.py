"""What the process that runs the graph may ask of AWS: jobs, and the sources of payments. Policies for its role.

Who may propose a model and who may decide about it is ``registry``; buckets are ``storage``.
"""

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.environments import Environment

# SageMaker's own call of each kind of job, and the resource it is allowed on.
JOBS = {
    "TrainingJob": "training-job",
    "HyperParameterTuningJob": "hyper-parameter-tuning-job",
    "ProcessingJob": "processing-job",
    "TransformJob": "transform-job",
}


class JobsStack(Stack):
    """The policies of the graph's role: one for jobs, one for what payments are read from."""

    def __init__(self, scope: Construct, construct_id: str, *, environment: Environment) -> None:
        super().__init__(scope, construct_id)
        self.jobs = iam.ManagedPolicy(
            self,
            "Jobs",
            managed_policy_name=f"ml-platform-{environment.name}-jobs",
            statements=[
                *(self._one_kind(call, resource) for call, resource in JOBS.items()),
                self._trials(),
                pass_role(self, environment.job_role),
            ],
        )
        self.sources = iam.ManagedPolicy(
            self,
            "Sources",
            managed_policy_name=f"ml-platform-{environment.name}-sources",
            statements=[self._stream(environment.source_stream), self._secret(environment.source_secret)],
        )

    def _one_kind(self, call: str, resource: str) -> iam.PolicyStatement:
        """A job is started with tags, looked at and stopped; nothing is deleted."""
        return iam.PolicyStatement(
            sid=f"Run{call}s",
            actions=[*(f"sagemaker:{verb}{call}" for verb in ("Create", "Describe", "Stop")), "sagemaker:AddTags"],
            resources=[self.format_arn(service="sagemaker", resource=resource, resource_name="*")],
        )

    def _trials(self) -> iam.PolicyStatement:
        call = "HyperParameterTuningJob"
        return iam.PolicyStatement(
            sid="ListTrials",
            actions=[f"sagemaker:ListTrainingJobsFor{call}"],
            resources=[self.format_arn(service="sagemaker", resource=JOBS[call], resource_name="*")],
        )

    def _stream(self, stream: str) -> iam.PolicyStatement:
        return iam.PolicyStatement(
            sid="ReadPayments",
            actions=["kinesis:ListShards", "kinesis:GetShardIterator", "kinesis:GetRecords"],
            resources=[self.format_arn(service="kinesis", resource="stream", resource_name=stream)],
        )

    def _secret(self, secret: str) -> iam.PolicyStatement:
        """The database's password. Secrets Manager ends each ARN with six characters of its own."""
        arn = self.format_arn(
            service="secretsmanager",
            resource="secret",
            resource_name=f"{secret}-??????",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        return iam.PolicyStatement(
            sid="ReadTheSourcesPassword", actions=["secretsmanager:GetSecretValue"], resources=[arn]
        )


def pass_role(stack: Stack, role: str) -> iam.PolicyStatement:
    """Only the jobs' role, and only to SageMaker: any other would lend a job the rights of that role."""
    return iam.PolicyStatement(
        sid="LendJobsTheirRole",
        actions=["iam:PassRole"],
        resources=[stack.format_arn(service="iam", region="", resource="role", resource_name=role)],
        conditions={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
    )
