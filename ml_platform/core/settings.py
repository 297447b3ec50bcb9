"""All settings, read once from the environment. Local and AWS differ here and nowhere else.

Precedence: environment variables ``ML_PLATFORM_*``, then ``$ML_PLATFORM_HOME/platform.env``, then the defaults
below, which are the local ones. Endpoint addresses are boto3's own variables (``AWS_ENDPOINT_URL`` and
``AWS_ENDPOINT_URL_SAGEMAKER``), not ours: unset, boto3 talks to AWS.
"""

import os
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from ml_platform.core.errors import ConfigurationError

DEFAULT_HOME = Path(".ml_platform")
SIMULATOR = "simulator"


class Settings(BaseSettings):
    """One frozen object that says where the platform runs and how."""

    model_config = SettingsConfigDict(env_prefix="ML_PLATFORM_", frozen=True, extra="ignore")

    home: Path = Field(default=DEFAULT_HOME, description="Local state: Dagster, registries, stand-in, reports.")
    region: str = Field(default="us-east-1", description="AWS region of every client.")
    bucket: str = Field(default="ml-platform-local", min_length=3, description="Bucket for all data and artifacts.")
    role_arn: str = Field(
        default="arn:aws:iam::000000000000:role/ml-platform-sagemaker",
        description="Role that SageMaker assumes to run jobs and endpoints.",
    )
    training_image: str = Field(
        default="000000000000.dkr.ecr.us-east-1.amazonaws.com/ml-platform-training:latest",
        description="Image that answers `train`.",
    )
    serving_image: str = Field(
        default="000000000000.dkr.ecr.us-east-1.amazonaws.com/ml-platform-serving:latest",
        description="Image that answers `serve`.",
    )
    training_instance_type: str = Field(default="ml.m5.large", description="Instance type of training jobs.")
    hosting_instance_type: str = Field(default="ml.m5.large", description="Instance type of endpoints.")
    max_training_seconds: int = Field(default=3600, gt=60, description="A training job is stopped after this.")
    poll_seconds: float = Field(
        default=0.5, gt=0, description="Pause between two looks at a job or endpoint. Use 15 or more on AWS."
    )

    source: str = Field(
        default=SIMULATOR,
        description="`simulator`; a path or s3:// address of Parquet or CSV; postgresql://…?table=…; kinesis://stream.",
    )
    source_columns: dict[str, str] = Field(
        default_factory=dict,
        description="Our column -> the source's column, as JSON; columns with the same name need no entry.",
    )
    source_label_delay_days: int = Field(
        default=7, ge=0, description="Known time of a label whose source does not say when it became known."
    )
    source_password_secret: str | None = Field(
        default=None, description="AWS secret with the password of a postgresql:// source. Or PGPASSWORD, ~/.pgpass."
    )
    source_arrival_delay_hours: float = Field(
        default=0, ge=0, description="A day of a stream or database is complete so long after it is over."
    )
    source_freshness_hours: float | None = Field(
        default=None, gt=0, description="The newest landed day ended no longer ago than this. Unset: no such promise."
    )
    history_start: date = Field(default=date(2026, 1, 5), description="First day: start of all daily partitions.")
    simulator_seed: int = Field(default=7, description="Seed of the payments simulator.")
    simulator_customers: int = Field(default=1000, gt=0, description="Cards in the simulated world.")
    simulator_terminals: int = Field(default=2000, gt=0, description="Terminals in the simulated world.")
    simulator_shift_day: int | None = Field(
        default=None, ge=0, description="Day on which the simulated world changes: prices rise. None: never."
    )

    label_rule: Literal["priority", "newest"] = Field(
        default="priority",
        description="Which label holds when sources disagree: the best source's newest, or whoever spoke last.",
    )
    label_priority: tuple[str, ...] = Field(
        default=("chargeback", "analyst", "customer"), description="Sources of labels, the best first, as JSON."
    )
    offline_store: str = Field(
        default="s3",
        description="Feature tables: `s3`, `redshift://workgroup/database` or `athena://workgroup/database`.",
    )
    feature_registry: str | None = Field(
        default=None,
        description="SQLAlchemy address of Feast's registry, e.g. postgresql+psycopg://host/db. Unset: SQLite.",
    )
    online_store: str = Field(
        default="sqlite",
        description="Online features: `sqlite`, `redis://host:port/db` (also rediss, valkey, unix), or `dynamodb`.",
    )

    ground_port: int = Field(default=5560, ge=1024, le=65535, description="Local S3 and other ground services.")
    sagemaker_port: int = Field(default=5561, ge=1024, le=65535, description="Local SageMaker stand-in.")
    sagemaker_time_scale: float = Field(
        default=0.02,
        gt=0,
        le=1,
        description="Pace of the stand-in's waits, such as the 60 s for which an old fleet is kept. 1 is AWS's own.",
    )
    dagster_port: int = Field(default=3000, ge=1024, le=65535, description="Dagster's UI under `ml-platform dev`.")

    approve_by_gate: bool = Field(
        default=False,
        description="Register packages that pass the gate as Approved instead of PendingManualApproval.",
    )
    approval_valid_days: int = Field(
        default=90, ge=1, description="Days after which an approval that was not deployed no longer holds."
    )
    user: str | None = Field(
        default=None, description="Who acts, where AWS names no person. Unset: the user this runs as."
    )
    mlflow_uri: str | None = Field(
        default=None,
        description="MLflow: an http(s) address, a database, or the ARN of SageMaker's. Unset: a file in the home.",
    )
    roll_back_by_decision: bool = Field(
        default=False,
        description="Roll back when the operating decision says so. Off: a person does, by `ml-platform rollback`.",
    )
    prices_file: Path | None = Field(
        default=None,
        description="YAML or JSON of instance prices for cost estimates; `resources.sagemaker_prices` shows its form.",
    )

    @staticmethod
    def load() -> "Settings":
        """Read the settings from the environment and the home's ``platform.env``.

        Raises:
            ConfigurationError: When a variable cannot be used; the message names each one.
        """
        home = Path(os.environ.get("ML_PLATFORM_HOME", DEFAULT_HOME)).absolute()
        try:
            found = (home / "platform.env").stat()
            written = (found.st_mtime_ns, found.st_size)
        except OSError:
            written = None
        ours = (item for item in os.environ.items() if item[0].upper().startswith("ML_PLATFORM_"))
        return _read(home, written, tuple(sorted(ours)))

    @property
    def dagster_home(self) -> Path:
        """Directory that holds Dagster's storage and ``dagster.yaml``."""
        return self.home / "dagster"

    @property
    def feast_home(self) -> Path:
        """Directory that holds Feast's registry and online store when they are local."""
        return self.home / "feast"


@lru_cache(maxsize=8)
def _read(home: Path, _written: tuple[int, int] | None, _environment: tuple[tuple[str, str], ...]) -> Settings:
    """Read settings; what they come from is in the arguments, because a resource asks at every step: 2 ms each time."""
    try:
        settings = Settings(_env_file=home / "platform.env")
    except ValidationError as error:
        problems = "; ".join(
            f"ML_PLATFORM_{'_'.join(str(part) for part in problem['loc']).upper()}: {problem['msg']}"
            for problem in error.errors()
        )
        raise ConfigurationError(
            f"Settings cannot be used: {problems}. See .env.example for every variable and its default."
        ) from error
    return settings.model_copy(update={"home": home})
