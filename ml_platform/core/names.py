"""Every name the platform gives to something in AWS is built here: prefixes, jobs, endpoints, groups.

SageMaker names allow letters, digits and hyphens, at most 63 characters; our model names use underscores.
"""

import re
from datetime import date, datetime

MAX_SAGEMAKER_NAME = 63
_FORBIDDEN = re.compile(r"[^a-zA-Z0-9-]+")


def sagemaker_name(*parts: str) -> str:
    """Join parts into a valid SageMaker name; the last part, usually a fingerprint, is never cut.

    Raises:
        ValueError: When nothing valid is left of a part.
    """
    cleaned = [_FORBIDDEN.sub("-", part).strip("-") for part in parts]
    if not all(cleaned):
        raise ValueError(f"cannot build a SageMaker name from {parts!r}")
    *head, last = cleaned
    room = MAX_SAGEMAKER_NAME - len(last) - 1
    stem = "-".join(head)[: max(room, 0)].strip("-")
    return f"{stem}-{last}" if stem else last[:MAX_SAGEMAKER_NAME]


def training_job(model: str, fingerprint: str) -> str:
    """Name of the training job for these inputs: the same inputs give the same job, so it is never paid twice."""
    return sagemaker_name(model, "train", fingerprint[:16])


def refit_job(model: str, fingerprint: str) -> str:
    """Name of the training job that does a registered fit again."""
    return sagemaker_name(model, "refit", fingerprint[:16])


def tuning_job(model: str, fingerprint: str) -> str:
    """Name of the tuning job for these inputs: at most 32 characters, and room for ``-r99`` among them."""
    return f"{sagemaker_name(model)[:15].strip('-')}-{fingerprint[:12]}"


def training_code(model: str, digest: str) -> str:
    """S3 prefix of one version of a model's own training code."""
    return f"{model_prefix(model, 'code')}{digest}/"


def transform_job(model: str, fingerprint: str) -> str:
    """Name of the transform job for these inputs."""
    return sagemaker_name(model, "score", fingerprint[:16])


def endpoint(model: str) -> str:
    """Name of the model's endpoint."""
    return sagemaker_name(model)


def model_package_group(model: str) -> str:
    """Name of the group that holds all versions of the model."""
    return sagemaker_name(model)


def deployed_model(model: str, version: int, fingerprint: str) -> str:
    """Name of the SageMaker model and of the endpoint config that serve one model package version."""
    return sagemaker_name(model, f"v{version}", fingerprint[:12])


def table_prefix(table: str) -> str:
    """S3 prefix of a partitioned table such as ``payments/transactions``."""
    return f"tables/{table}/"


def table_partition(table: str, day: date) -> str:
    """S3 key of one daily partition of a table, in Hive style so that Athena and Spark can read it."""
    return f"{table_prefix(table)}date={day.isoformat()}/part-0.parquet"


def landing_ledger(table: str) -> str:
    """S3 key of the document that says which days of a table were landed, from what, and when they last changed."""
    return f"landings/{table}.json"


def inbox_prefix(source: str) -> str:
    """S3 prefix of everything that came from one source of changes, before it is landed."""
    return f"inbox/{source}/"


def model_prefix(model: str, kind: str) -> str:
    """S3 prefix for one kind of thing a model leaves behind, e.g. ``training-sets`` or ``artifacts``."""
    return f"models/{model}/{kind}/"


def capture_prefix(model: str) -> str:
    """S3 prefix that the endpoint's data capture writes under."""
    return f"capture/{model}/"


def captured_traffic(model: str, hour: datetime) -> str:
    """S3 key of one hour of captured requests as rows."""
    return f"{model_prefix(model, 'captured-traffic')}date={hour:%Y-%m-%d}/hour={hour:%H}/part-0.parquet"


def captured_rejects(model: str, hour: datetime) -> str:
    """S3 key of the reasons why captured lines of an hour could not be read."""
    return f"{model_prefix(model, 'captured-rejects')}date={hour:%Y-%m-%d}/hour={hour:%H}.json"


def decision_policy(model: str, version: str) -> str:
    """Return the S3 key of one version of a model's decision policy."""
    return f"{model_prefix(model, 'decision-policies')}{version}.json"


def decision_policy_in_force(model: str) -> str:
    """Return the S3 key of the document that says which decision policy of a model decides now."""
    return f"{model_prefix(model, 'decision-policies')}in-force.json"


def candidate_record(model: str, fingerprint: str) -> str:
    """Return the S3 key of what is kept of one candidate, whatever became of it."""
    return f"{model_prefix(model, 'candidates')}{fingerprint}.json"


def deployments_prefix(model: str) -> str:
    """Return the S3 prefix of the records of a model's deployments, one each, in order of time."""
    return model_prefix(model, "deployments")


def batch_record(model: str, fingerprint: str) -> str:
    """Return the S3 key of what is kept of one batch of scores."""
    return f"{model_prefix(model, 'batch-scores')}{fingerprint[:16]}/record.json"
