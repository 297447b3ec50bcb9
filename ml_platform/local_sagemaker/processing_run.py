"""The life of one processing job: inputs in, a real process on each instance, outputs out while it runs or after.

What a request may contain is checked in ``processing``. The exit code decides; ``/opt/ml/output/message`` is passed on.
"""

import asyncio
import json
import logging
import shutil
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ml_platform.local_sagemaker import s3_inputs
from ml_platform.local_sagemaker.holds import held
from ml_platform.local_sagemaker.instances import (
    ImageError,
    Instance,
    Job,
    Outcome,
    close_logs,
    place_instances,
    run_instances,
)
from ml_platform.local_sagemaker.logs import LogStream
from ml_platform.local_sagemaker.objects import ObjectsError
from ml_platform.local_sagemaker.service import BROKEN, Service
from ml_platform.local_sagemaker.uploads import FolderUpload

logger = logging.getLogger(__name__)

KIND = "processing-job"
LOG_GROUP = "/aws/sagemaker/ProcessingJobs"
OPT_ML = PurePosixPath("/opt/ml")
DATA = OPT_ML / "processing"
MAX_MESSAGE_BYTES = 1024
DEFAULT_MAX_RUNTIME_SECONDS = 86_400
LOST = "InternalServerError: the local stand-in was stopped while the job ran"
NOT_IN_REQUEST = ("ProcessingJobStatus", "CreationTime", "LastModifiedTime", "ProcessingStartTime", "ExperimentConfig")


class ProcessingError(Exception):
    """The job failed; the message is its failure reason."""


@dataclass(frozen=True)
class End:
    """How a job ended."""

    status: str
    reason: str | None = None
    message: str | None = None


def start(service: Service, name: str) -> None:
    """Run a stored job in the background."""
    stop = service.stop_requests[KIND, name] = asyncio.Event()
    task = service.spawn(_live(service, name, stop), f"processing job {name}")
    task.add_done_callback(lambda _: service.stop_requests.pop((KIND, name), None))


def request_stop(service: Service, name: str) -> None:
    """Let a running job stop: SIGTERM first, what was uploaded stays."""
    service.store.update(KIND, name, ProcessingJobStatus="Stopping", LastModifiedTime=service.clock.timestamp())
    if stop := service.stop_requests.get((KIND, name)):
        stop.set()


def finish(service: Service, name: str, status: str, reason: str | None = None, message: str | None = None) -> None:
    """Note the end of a job."""
    now = service.clock.timestamp()
    service.store.update(
        KIND,
        name,
        ProcessingJobStatus=status,
        FailureReason=reason and reason[:MAX_MESSAGE_BYTES],
        ExitMessage=message,
        ProcessingEndTime=now,
        LastModifiedTime=now,
        _Processes=None,
    )


def remove_files(service: Service, name: str) -> None:
    """Delete what a job left on this machine; its results are in S3."""
    shutil.rmtree(_directory(service, name), ignore_errors=True)


async def _live(service: Service, name: str, stop: asyncio.Event) -> None:
    body = service.store.get(KIND, name)
    if body is None:
        return
    count = body["ProcessingResources"]["ClusterConfig"]["InstanceCount"]
    instances = place_instances(service, _directory(service, name), count)
    stamp = int(service.clock.now().timestamp())
    logs = [service.logs.stream(LOG_GROUP, f"{name}/algo-{number}-{stamp}") for number in range(1, count + 1)]
    try:
        end = await _run_to_end(service, body, stop, instances, logs)
        # Whoever sees the job ended must find its last lines.
        await close_logs(logs)
        finish(service, name, end.status, end.reason, end.message)
    except (ProcessingError, ImageError, ObjectsError) as error:
        await close_logs(logs)
        finish(service, name, "Failed", str(error))
    except asyncio.CancelledError:
        finish(service, name, "Failed", LOST)
        raise
    except Exception:
        # A defect of ours: a job that nobody runs any more must not stay in progress for ever.
        logger.exception("processing job %s failed inside the stand-in", name)
        finish(service, name, "Failed", BROKEN)
    finally:
        await asyncio.shield(close_logs(logs))
        await asyncio.to_thread(remove_files, service, name)


async def _run_to_end(
    service: Service,
    body: dict[str, Any],
    stop: asyncio.Event,
    instances: list[Instance],
    logs: list[LogStream],
) -> End:
    name = body["ProcessingJobName"]
    await held(service.faults, name, "Starting", stop)
    await asyncio.to_thread(_lay_out, instances, body)
    await _bring_inputs(service, body, instances)
    if stop.is_set():
        return End("Stopped")
    body = service.store.update(KIND, name, ProcessingStartTime=service.clock.timestamp())
    outputs = body.get("ProcessingOutputConfig", {}).get("Outputs", [])
    continuous = _uploads(service, instances, outputs, "Continuous")
    async with AsyncExitStack() as stack:
        for upload in continuous:
            stack.callback(asyncio.ensure_future(upload.send_forever()).cancel)
        outcome = await _run(service, body, stop, instances, logs)
    end = _judge(outcome)
    await held(service.faults, name, "Uploading", stop)
    late = _uploads(service, instances, outputs, "EndOfJob") if end.status == "Completed" else []
    for upload in [*continuous, *late]:
        await upload.send()
    return end


async def _run(
    service: Service, body: dict[str, Any], stop: asyncio.Event, instances: list[Instance], logs: list[LogStream]
) -> Outcome:
    cluster = body["ProcessingResources"]["ClusterConfig"]
    job = Job(
        kind=KIND,
        name=body["ProcessingJobName"],
        command=_command(service, body),
        environment={"AWS_REGION": service.region, **body.get("Environment", {})},
        instance_type=cluster["InstanceType"],
        volume_gibibytes=cluster["VolumeSizeInGB"],
        isolate_network=body.get("NetworkConfig", {}).get("EnableNetworkIsolation", False),
    )
    # Not scaled: this limits the customer's own computation, which takes the time it takes.
    seconds = body.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", DEFAULT_MAX_RUNTIME_SECONDS)
    return await run_instances(service, job, instances, [log.write for log in logs], [("stop", stop)], seconds)


def _judge(outcome: Outcome) -> End:
    """Say what an exit code and a message mean.

    Raises:
        ProcessingError: When the message is not text.
    """
    try:
        message = _message(outcome.instance)
    except UnicodeDecodeError as error:
        raise ProcessingError("ClientError: /opt/ml/output/message is not UTF-8") from error
    if outcome.ended_by == "stop":
        return End("Stopped", None, message)
    if outcome.ended_by == "time":
        return End("Stopped", "ClientError: the job ran longer than MaxRuntimeInSeconds", message)
    if outcome.ended_by == "disk":
        return End("Failed", "ClientError: the job wrote more than its VolumeSizeInGB holds", message)
    if outcome.code:
        return End("Failed", f"AlgorithmError: {message or ''}, exit code: {outcome.code}", message)
    return End("Completed", None, message)


def _message(instance: Instance) -> str | None:
    path = instance.ml / "output" / "message"
    with suppress(OSError):
        content = b"" if path.is_symlink() else path.read_bytes()
        # The whole must be UTF-8; the cut may fall into a character.
        content.decode()
        return content[:MAX_MESSAGE_BYTES].decode(errors="ignore") or None
    return None


def _uploads(
    service: Service, instances: list[Instance], outputs: list[dict[str, Any]], mode: str
) -> list[FolderUpload]:
    wanted = [one["S3Output"] for one in outputs if one["S3Output"]["S3UploadMode"] == mode]
    return [
        FolderUpload(service.objects, _local(instance, one["LocalPath"]), one["S3Uri"])
        for one in wanted
        for instance in reversed(instances)
    ]


def _command(service: Service, body: dict[str, Any]) -> list[str]:
    """The image's entry point, unless the request brings its own; then the arguments."""
    application = body["AppSpecification"]
    entry = application.get("ContainerEntrypoint") or service.images.command(application["ImageUri"], "process")
    if entry is None:
        raise ProcessingError(f"ClientError: image {application['ImageUri']} is no longer in the images file")
    return [*entry, *application.get("ContainerArguments", [])]


def _lay_out(instances: list[Instance], body: dict[str, Any]) -> None:
    """Write the folders and configuration files that SageMaker puts into a processing container."""
    described = {key: value for key, value in body.items() if key not in NOT_IN_REQUEST and not key.startswith("_")}
    application = {"ContainerEntrypoint": None, "ContainerArguments": None} | body["AppSpecification"]
    hosts = sorted(instance.host.name for instance in instances)
    for instance in instances:
        shutil.rmtree(instance.base, ignore_errors=True)
        for folder in ("config", "processing", "output"):
            (instance.ml / folder).mkdir(parents=True)
        for one in body.get("ProcessingOutputConfig", {}).get("Outputs", []):
            _local(instance, one["S3Output"]["LocalPath"]).mkdir(parents=True, exist_ok=True)
        for file, content in (
            ("processingjobconfig.json", described | {"AppSpecification": application}),
            ("resourceconfig.json", {"current_host": instance.host.name, "hosts": hosts}),
        ):
            (instance.ml / "config" / file).write_text(json.dumps(content))


async def _bring_inputs(service: Service, body: dict[str, Any], instances: list[Instance]) -> None:
    for one in body.get("ProcessingInputs", []):
        source = one["S3Input"]
        found = await s3_inputs.find_objects(service.objects, source["S3DataType"], source["S3Uri"])
        if not found:
            raise ProcessingError(
                f"ClientError: Data download failed:No S3 objects found under S3 URL {source['S3Uri']!r} given in "
                f"input {one['InputName']}."
            )
        distribution = source.get("S3DataDistributionType", "FullyReplicated")
        for index, instance in enumerate(instances):
            part = s3_inputs.shard(found, distribution, index, len(instances))
            await s3_inputs.download(service.objects, part, _local(instance, source["LocalPath"]))


def _local(instance: Instance, path: str) -> Path:
    return instance.ml / PurePosixPath(path).relative_to(OPT_ML)


def _directory(service: Service, name: str) -> Path:
    return service.home / "processing-jobs" / name
