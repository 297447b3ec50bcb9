"""One frozen description per environment. Sizes and retention differ here; stacks never branch on a name."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Environment:
    """Where one copy of the platform runs."""

    name: str
    account: str | None
    """None: the account of the credentials that deploy."""
    region: str
    capture_retention_days: int
    """Captured requests hold card data: keep them only as long as monitoring and disputes need."""
    log_retention_days: int
    job_role: str = "ml-platform-sagemaker"
    """The role that jobs run as (ML_PLATFORM_ROLE_ARN)."""
    image_repositories: str = "ml-platform-*"
    """The ECR repositories of its images (ML_PLATFORM_TRAINING_IMAGE, ML_PLATFORM_SERVING_IMAGE)."""
    online_tables: str = "ml_platform.*"
    """The DynamoDB tables of online features: `<Feast project>.<view>`, when ML_PLATFORM_ONLINE_STORE is dynamodb."""
    source_stream: str = "payments"
    """The Kinesis stream that payments are read from (ML_PLATFORM_SOURCE)."""
    source_secret: str = "ml-platform/source"  # noqa: S105  # its name
    """The secret with the password of a PostgreSQL source (ML_PLATFORM_SOURCE_PASSWORD_SECRET)."""


ENVIRONMENTS = (
    Environment("dev", account=None, region="us-east-1", capture_retention_days=90, log_retention_days=30),
    Environment("prod", account=None, region="us-east-1", capture_retention_days=400, log_retention_days=400),
)
