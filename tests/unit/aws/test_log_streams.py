"""Log lines of a job: each once, in order, live, and never another job's."""

import time

from ml_platform.aws import clients, log_streams
from ml_platform.aws.job_logs import JobLogs
from ml_platform.core.settings import Settings


def write(settings: Settings, group: str, stream: str, *lines: str) -> None:
    client = clients.logs(settings.region)
    if not client.describe_log_groups(logGroupNamePrefix=group)["logGroups"]:
        client.create_log_group(logGroupName=group)
    if not client.describe_log_streams(logGroupName=group, logStreamNamePrefix=stream)["logStreams"]:
        client.create_log_stream(logGroupName=group, logStreamName=stream)
    now = int(time.time() * 1000)
    client.put_log_events(
        logGroupName=group, logStreamName=stream, logEvents=[{"timestamp": now, "message": line} for line in lines]
    )


def a_group(settings: Settings) -> str:
    return f"/aws/sagemaker/{settings.bucket}"


def test_a_group_that_does_not_exist_yet_has_no_lines(settings: Settings) -> None:
    assert log_streams.tail(settings.region, a_group(settings), "job/").lines == ()


def test_each_line_comes_once_and_in_order(settings: Settings) -> None:
    group = a_group(settings)
    write(settings, group, "job/algo-1", "one", "two")
    first = log_streams.tail(settings.region, group, "job/")
    write(settings, group, "job/algo-1", "three")
    second = log_streams.tail(settings.region, group, "job/", first.token)
    assert first.lines == ("one", "two")
    assert second.lines == ("three",)
    assert log_streams.tail(settings.region, group, "job/", second.token).lines == ()


def test_lines_of_another_attempt_are_not_ours(settings: Settings) -> None:
    group = a_group(settings)
    write(settings, group, "job-r1/algo-1", "theirs")
    write(settings, group, "job/algo-1", "ours")
    lines: list[str] = []
    JobLogs(settings.region, group, "job", lines.append).drain("Training")
    assert lines == ["job: Training", "ours"]


def test_a_stream_longer_than_a_page_is_read_to_its_end(settings: Settings) -> None:
    group = a_group(settings)
    for start in range(0, 12_000, 6_000):
        write(settings, group, "job/algo-1", *(f"line {number}" for number in range(start, start + 6_000)))
    assert len(log_streams.tail(settings.region, group, "job/").lines) == 12_000
