"""Where the life-cycle suite runs, and what it must know about that place. Nothing else differs between targets.

A real account costs money, so it must be asked for by name: ``account_target`` says what is missing.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

ECR = re.compile(
    r"(?P<registry>\d{12})\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/(?P<repository>[^:@]+):(?P<tag>.+)"
)
NEEDED = {
    "ML_PLATFORM_TEST_ACCOUNT": "the id of the account, which must be the credentials' own",
    "ML_PLATFORM_TEST_SPEND": "`yes`: the suite runs seven short jobs and one endpoint of one to three ml.m5.large "
    "for about an hour. By our estimate that is under 2 USD; prices were not looked up",
    "ML_PLATFORM_TEST_IMAGE": "the image in ECR that tests/aws/image/Dockerfile builds",
    "ML_PLATFORM_ROLE_ARN": "the role that SageMaker assumes",
    "ML_PLATFORM_BUCKET": "a bucket that the role may read and write",
}


class RefusedError(Exception):
    """The suite must not, or cannot, run on a real account; the message says what to do."""


@dataclass(frozen=True)
class Target:
    """An account, and the patience that it takes there."""

    region: str
    account: str
    role: str
    bucket: str
    image: str
    poll_seconds: float
    patience_seconds: float
    """How long one change may take: an endpoint on AWS needs several minutes."""
    bake_seconds: int
    """How long a canary is watched, in AWS's seconds."""
    pause_seconds: float
    """Between two requests of steady traffic."""
    urls: Mapping[str, str] = field(default_factory=dict)
    """Address by boto3's name of a service; boto3's own choice for all others."""

    def client(self, service: str, **options: Any) -> Any:
        """Return a boto3 client."""
        options = {"region_name": self.region, "endpoint_url": self.urls.get(service), **options}
        return boto3.Session().client(service, **options)  # type: ignore[call-overload]


def account_target(environment: Mapping[str, str]) -> Target:
    """Return the account that the environment names.

    Raises:
        RefusedError: When something is missing or contradicts itself.
    """
    if missing := [f"  {name}: {meaning}" for name, meaning in NEEDED.items() if not environment.get(name)]:
        raise RefusedError("The life-cycle suite did not run on an account. Set:\n" + "\n".join(missing))
    if environment["ML_PLATFORM_TEST_SPEND"] != "yes":
        raise RefusedError("ML_PLATFORM_TEST_SPEND is not `yes`: the suite would cost money.")
    target = Target(
        region=environment.get("ML_PLATFORM_REGION", "us-east-1"),
        account=environment["ML_PLATFORM_TEST_ACCOUNT"],
        role=environment["ML_PLATFORM_ROLE_ARN"],
        bucket=environment["ML_PLATFORM_BUCKET"],
        image=environment["ML_PLATFORM_TEST_IMAGE"],
        poll_seconds=float(environment.get("ML_PLATFORM_TEST_POLL_SECONDS", "15")),
        patience_seconds=2400,
        bake_seconds=300,
        pause_seconds=float(environment.get("ML_PLATFORM_TEST_PAUSE_SECONDS", "0.5")),
    )
    _check_caller(target)
    _check_image(target)
    return target


def _check_caller(target: Target) -> None:
    try:
        caller = target.client("sts").get_caller_identity()["Account"]
        if caller != target.account:
            raise RefusedError(
                f"The credentials belong to account {caller}, ML_PLATFORM_TEST_ACCOUNT says {target.account}."
            )
        target.client("s3").head_bucket(Bucket=target.bucket)
    except (BotoCoreError, ClientError) as error:
        raise RefusedError(f"No use of account {target.account} with bucket {target.bucket}: {error}") from error


def _check_image(target: Target) -> None:
    match = ECR.fullmatch(target.image)
    if match is None:
        raise RefusedError(f"ML_PLATFORM_TEST_IMAGE={target.image} is no image in ECR with a tag.")
    try:
        target.client("ecr").describe_images(
            registryId=match["registry"], repositoryName=match["repository"], imageIds=[{"imageTag": match["tag"]}]
        )
    except (BotoCoreError, ClientError) as error:
        raise RefusedError(
            f"Image {target.image} cannot be found: {error}. Build and push it with tests/aws/image/Dockerfile."
        ) from error
