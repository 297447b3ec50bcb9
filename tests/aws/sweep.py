"""Delete all that a run of the life-cycle suite made, found by the prefix of its names and not by memory.

It serves the end of every run, and a run that was killed: ``python -m tests.aws.sweep PREFIX``. Records of processing
and transform jobs stay where the service has no operation to delete them; they cost nothing.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from botocore.exceptions import ClientError

from tests.aws.target import RefusedError, Target, account_target

OWN_PREFIX = "mlp-test-"
RUNNING = ("InProgress", "Stopping")
JOBS = {"training_job": "TrainingJob", "processing_job": "ProcessingJob", "transform_job": "TransformJob"}
LOG_GROUPS = tuple(f"/aws/sagemaker/{kind}s" for kind in JOBS.values())


def sweep(target: Target, prefix: str) -> list[str]:
    """Delete what bears the prefix; return what it was. A second call finds nothing."""
    if not prefix.startswith(OWN_PREFIX):
        raise ValueError(f"{prefix!r} is no prefix of this suite: they begin with {OWN_PREFIX}")
    # What refers to something goes before what it refers to.
    steps = (_endpoints, _jobs, _configs_and_models, _packages, _rules, _queues, _alarms, _logs, _objects)
    return [name for step in steps for name in step(target, prefix)]


def _pages(client: Any, operation: str, key: str, **arguments: Any) -> list[Any]:
    return [item for page in client.get_paginator(operation).paginate(**arguments) for item in page.get(key, [])]


def _endpoints(target: Target, prefix: str) -> Iterator[str]:
    sagemaker = target.client("sagemaker")
    for endpoint in _pages(sagemaker, "list_endpoints", "Endpoints", NameContains=prefix):
        name = endpoint["EndpointName"]
        # AWS refuses to delete an endpoint that is being created or updated.
        _persist(target, lambda name=name: sagemaker.delete_endpoint(EndpointName=name))
        often = {"Delay": max(1, int(target.poll_seconds)), "MaxAttempts": 120}
        sagemaker.get_waiter("endpoint_deleted").wait(EndpointName=name, WaiterConfig=often)
        yield name


def _jobs(target: Target, prefix: str) -> Iterator[str]:
    sagemaker = target.client("sagemaker")
    for operation, kind in JOBS.items():
        for job in _pages(sagemaker, f"list_{operation}s", f"{kind}Summaries", NameContains=prefix):
            named = {f"{kind}Name": job[f"{kind}Name"]}
            deletable = hasattr(sagemaker, f"delete_{operation}")
            if job[f"{kind}Status"] == "InProgress":
                getattr(sagemaker, f"stop_{operation}")(**named)
            if deletable:
                _persist(target, lambda delete=f"delete_{operation}", n=named: getattr(sagemaker, delete)(**n))
            if deletable or job[f"{kind}Status"] in RUNNING:
                yield job[f"{kind}Name"]


def _configs_and_models(target: Target, prefix: str) -> Iterator[str]:
    sagemaker = target.client("sagemaker")
    for config in _pages(sagemaker, "list_endpoint_configs", "EndpointConfigs", NameContains=prefix):
        sagemaker.delete_endpoint_config(EndpointConfigName=config["EndpointConfigName"])
        yield config["EndpointConfigName"]
    for model in _pages(sagemaker, "list_models", "Models", NameContains=prefix):
        sagemaker.delete_model(ModelName=model["ModelName"])
        yield model["ModelName"]


def _packages(target: Target, prefix: str) -> Iterator[str]:
    sagemaker = target.client("sagemaker")
    for group in _pages(sagemaker, "list_model_package_groups", "ModelPackageGroupSummaryList", NameContains=prefix):
        name = group["ModelPackageGroupName"]
        versions = _pages(sagemaker, "list_model_packages", "ModelPackageSummaryList", ModelPackageGroupName=name)
        for version in versions:
            sagemaker.delete_model_package(ModelPackageName=version["ModelPackageArn"])
        sagemaker.delete_model_package_group(ModelPackageGroupName=name)
        yield name


def _rules(target: Target, prefix: str) -> Iterator[str]:
    events = target.client("events")
    for rule in events.list_rules(NamePrefix=prefix)["Rules"]:
        targets = [one["Id"] for one in events.list_targets_by_rule(Rule=rule["Name"])["Targets"]]
        if targets:
            events.remove_targets(Rule=rule["Name"], Ids=targets)
        events.delete_rule(Name=rule["Name"])
        yield rule["Name"]


def _queues(target: Target, prefix: str) -> Iterator[str]:
    sqs = target.client("sqs")
    for url in sqs.list_queues(QueueNamePrefix=prefix).get("QueueUrls", []):
        # A queue is listed for a minute after it was deleted.
        with suppress(sqs.exceptions.QueueDoesNotExist):
            sqs.delete_queue(QueueUrl=url)
        yield url


def _alarms(target: Target, prefix: str) -> Iterator[str]:
    cloudwatch = target.client("cloudwatch")
    names = [one["AlarmName"] for one in cloudwatch.describe_alarms(AlarmNamePrefix=prefix)["MetricAlarms"]]
    if names:
        cloudwatch.delete_alarms(AlarmNames=names)
    yield from names


def _logs(target: Target, prefix: str) -> Iterator[str]:
    logs = target.client("logs")
    for group in _pages(
        logs, "describe_log_groups", "logGroups", logGroupNamePrefix=f"/aws/sagemaker/Endpoints/{prefix}"
    ):
        logs.delete_log_group(logGroupName=group["logGroupName"])
        yield group["logGroupName"]
    for name in LOG_GROUPS:
        try:
            streams = _pages(logs, "describe_log_streams", "logStreams", logGroupName=name, logStreamNamePrefix=prefix)
        except logs.exceptions.ResourceNotFoundException:
            continue
        for stream in streams:
            logs.delete_log_stream(logGroupName=name, logStreamName=stream["logStreamName"])
            yield stream["logStreamName"]


def _objects(target: Target, prefix: str) -> Iterator[str]:
    s3 = target.client("s3")
    for one in _pages(s3, "list_objects_v2", "Contents", Bucket=target.bucket, Prefix=f"{prefix}/"):
        s3.delete_object(Bucket=target.bucket, Key=one["Key"])
        yield one["Key"]


def _persist(target: Target, delete: Callable[[], Any]) -> None:
    """Try again until what is under way has ended."""
    deadline = time.monotonic() + target.patience_seconds
    while True:
        try:
            delete()
        except ClientError:
            if time.monotonic() > deadline:
                raise
            time.sleep(target.poll_seconds)
        else:
            return


if __name__ == "__main__":
    try:
        for deleted in sweep(account_target(os.environ), sys.argv[1]):
            sys.stdout.write(f"deleted {deleted}\n")
    except (RefusedError, ValueError, IndexError) as problem:
        sys.exit(f"{problem}\nUsage: python -m tests.aws.sweep {OWN_PREFIX}...")
