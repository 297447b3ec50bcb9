"""Which services this process talks to: boto3's own environment variables, set for the local services.

The rest of the platform only ever reads them; there is no branch on local or AWS anywhere.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from ml_platform.aws import clients
from ml_platform.cli.processes import LOOPBACK
from ml_platform.core.settings import Settings


def local_environment(settings: Settings) -> dict[str, str]:
    """What a process must have in its environment to use the local services and nothing else."""
    return {
        "AWS_ENDPOINT_URL": f"http://{LOOPBACK}:{settings.ground_port}",
        "AWS_ENDPOINT_URL_SAGEMAKER": f"http://{LOOPBACK}:{settings.sagemaker_port}",
        "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": f"http://{LOOPBACK}:{settings.sagemaker_port}",
        # Alarms on what endpoints emit: emulators do not evaluate them, or ignore dimensions.
        "AWS_ENDPOINT_URL_CLOUDWATCH": f"http://{LOOPBACK}:{settings.sagemaker_port}",
        "AWS_ENDPOINT_URL_APPLICATION_AUTO_SCALING": f"http://{LOOPBACK}:{settings.sagemaker_port}",
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_DEFAULT_REGION": settings.region,
        "AWS_REGION": settings.region,
        "AWS_EC2_METADATA_DISABLED": "true",
        # A person's own configuration must not leak in: profiles may assume roles, caches may hold real tokens.
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "NO_PROXY": f"{LOOPBACK},localhost",
        "no_proxy": f"{LOOPBACK},localhost",
        "DAGSTER_HOME": str(settings.dagster_home),
        "DAGSTER_EVENT_BATCH_SIZE": "1000",
        "ML_PLATFORM_HOME": str(settings.home),
    }


def chosen_by_caller() -> bool:
    """Whether the caller already said which services to talk to, in boto3's own variables."""
    ignore_local = os.environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true"
    return ignore_local or bool(os.environ.get("AWS_ENDPOINT_URL"))


def without_aws(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without anything that steers boto3: profiles, roles, tokens, other endpoints."""
    return {name: value for name, value in environment.items() if not name.startswith("AWS_")}


def for_children(environment: Mapping[str, str], extra: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a service: the caller's, less what would steer or slow it, and its own."""
    # With PYTHONDONTWRITEBYTECODE every process would compile our modules anew.
    kept = {name: value for name, value in without_aws(environment).items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONUNBUFFERED": "1", **extra}


@contextmanager
def exported(variables: Mapping[str, str]) -> Iterator[None]:
    """Have exactly these AWS settings, and these other variables, in the environment for a while."""
    before = dict(os.environ)
    try:
        _replace({**without_aws(before), **variables})
        yield
    finally:
        _replace(before)


def _replace(environment: Mapping[str, str]) -> None:
    for name in os.environ.keys() - environment.keys():
        del os.environ[name]
    os.environ.update(environment)
    # Clients keep the address they were made with.
    clients.forget_clients()
