"""Lines that a job has written to CloudWatch Logs since we last looked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from ml_platform.aws import clients, failures

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

TRAINING_GROUP = "/aws/sagemaker/TrainingJobs"
PROCESSING_GROUP = "/aws/sagemaker/ProcessingJobs"
TRANSFORM_GROUP = "/aws/sagemaker/TransformJobs"


@dataclass(frozen=True, slots=True)
class Tail:
    """New lines, and where to go on; a job on several instances has one stream for each."""

    lines: tuple[str, ...] = ()
    token: Mapping[str, str] = field(default_factory=dict)


def tail(region: str, group: str, stream_prefix: str, since_token: Mapping[str, str] | None = None) -> Tail:
    """Return the lines that were added to the streams of a prefix since ``since_token``.

    A group or stream that does not exist yet has no lines: SageMaker creates both with the first line.

    Raises:
        ServiceUnavailableError: When CloudWatch Logs does not answer or is too busy.
        ConfigurationError: When we may not read the logs.
    """
    client = clients.logs(region)
    tokens = dict(since_token or {})
    lines: list[str] = []
    with failures.translated(f"read the logs of {stream_prefix} in {group}"):
        for stream in _streams(client, group, stream_prefix):
            found, tokens[stream] = _read(client, group, stream, tokens.get(stream))
            lines += found
    return Tail(tuple(lines), {stream: token for stream, token in tokens.items() if token})


def _streams(client: "CloudWatchLogsClient", group: str, prefix: str) -> list[str]:
    try:
        pages = client.get_paginator("describe_log_streams").paginate(logGroupName=group, logStreamNamePrefix=prefix)
        return [stream["logStreamName"] for page in pages for stream in page["logStreams"]]
    except ClientError as error:
        if failures.means_missing(error):
            return []
        raise


def _read(client: "CloudWatchLogsClient", group: str, stream: str, token: str | None) -> tuple[list[str], str]:
    lines: list[str] = []
    while True:
        where = {"nextToken": token} if token else {}
        answer = client.get_log_events(
            logGroupName=group,
            logStreamName=stream,
            startFromHead=True,
            **where,  # type: ignore[arg-type]
        )
        lines += [event["message"].rstrip("\n") for event in answer["events"]]
        # The end of a stream is where CloudWatch returns the token it was given; an empty page is not the end.
        following = answer["nextForwardToken"]
        if following == token:
            return lines, following
        token = following
