"""The life of one training job: files in, a real process, files out, and every change of status on the way.

Statuses, messages and file names are SageMaker's. What a request may contain is checked in ``training``.
"""

import asyncio
import json
import logging
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from ml_platform.local_sagemaker import archives
from ml_platform.local_sagemaker.channels import ChannelError, describe_channels, download_channels
from ml_platform.local_sagemaker.containers import Process
from ml_platform.local_sagemaker.containers_setup import Setup
from ml_platform.local_sagemaker.job_metrics import MetricReader
from ml_platform.local_sagemaker.logs import LogStream
from ml_platform.local_sagemaker.objects import ObjectsError
from ml_platform.local_sagemaker.service import Service

logger = logging.getLogger(__name__)

KIND = "training-job"
LOG_GROUP = "/aws/sagemaker/TrainingJobs"
MAX_FAILURE_CHARACTERS = 1024
DEFAULT_MAX_RUNTIME_SECONDS = 86_400
MESSAGES = {
    "Downloading": "Downloading the training image and input data",
    "Training": "Training image download completed. Training in progress.",
    "Stopping": "Stopping the training job",
    "Uploading": "Uploading generated training model",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
}
LOST = "InternalServerError: the local stand-in was stopped while the job ran"
TERMINAL = ("Completed", "Failed", "Stopped", "MaxRuntimeExceeded")


class FailedRunError(Exception):
    """The job failed; the message is its failure reason."""


def start(service: Service, name: str) -> None:
    """Run a stored job in the background."""
    stop = service.stop_requests[KIND, name] = asyncio.Event()
    task = service.spawn(_live(service, name, stop), f"training job {name}")
    task.add_done_callback(lambda _: service.stop_requests.pop((KIND, name), None))


def request_stop(service: Service, name: str) -> None:
    """Let a running job stop: SIGTERM, its files are uploaded, then it is ``Stopped``."""
    service.store.update(KIND, name, TrainingJobStatus="Stopping")
    enter(service, name, "Stopping")
    if stop := service.stop_requests.get((KIND, name)):
        stop.set()


def enter(service: Service, name: str, secondary: str, message: str | None = None) -> None:
    """Note the next secondary status."""
    now = service.clock.timestamp()

    def edit(body: dict[str, Any]) -> None:
        transitions = body["SecondaryStatusTransitions"]
        if transitions[-1]["Status"] == secondary:
            return
        transitions[-1].setdefault("EndTime", now)
        following = {"Status": secondary, "StartTime": now, "StatusMessage": message or MESSAGES[secondary]}
        transitions.append(following | ({"EndTime": now} if secondary in TERMINAL else {}))
        body.update(SecondaryStatus=secondary, LastModifiedTime=now)

    service.store.change(KIND, name, edit)


def finish(service: Service, name: str, secondary: str, reason: str | None = None, **members: Any) -> None:
    """Note the end of a job. ``MaxRuntimeExceeded`` is a way of being ``Stopped``."""
    now = service.clock.timestamp()
    enter(service, name, secondary, reason)

    def edit(body: dict[str, Any]) -> None:
        seconds = max(1, round(now - body["TrainingStartTime"])) if "TrainingStartTime" in body else None
        body.update(
            TrainingJobStatus="Stopped" if secondary == "MaxRuntimeExceeded" else secondary,
            FailureReason=reason,
            TrainingEndTime=now,
            TrainingTimeInSeconds=seconds,
            BillableTimeInSeconds=seconds,
            _Process=None,
            **members,
        )

    service.store.change(KIND, name, edit)


def remove_files(service: Service, name: str) -> None:
    """Delete what a job left on this machine; its results are in S3."""
    shutil.rmtree(_directory(service, name), ignore_errors=True)


async def _live(service: Service, name: str, stop: asyncio.Event) -> None:
    body = service.store.get(KIND, name)
    if body is None:
        return
    log = service.logs.stream(LOG_GROUP, f"{name}/algo-1-{int(service.clock.now().timestamp())}")
    metrics = MetricReader(body["AlgorithmSpecification"].get("MetricDefinitions", []), service.clock)
    try:
        secondary, reason, members = await _run_to_end(service, body, stop, log, metrics)
        # Whoever sees the job ended must find its last lines.
        await log.close()
        finish(service, name, secondary, reason, FinalMetricDataList=metrics.final() or None, **members)
    except (ChannelError, ObjectsError, FailedRunError) as error:
        await log.close()
        finish(service, name, "Failed", str(error))
    except asyncio.CancelledError:
        finish(service, name, "Failed", LOST)
        raise
    except Exception:
        logger.exception("training job %s failed inside the stand-in", name)
        finish(service, name, "Failed", "InternalServerError: the local stand-in failed; its log has the traceback")
    finally:
        await asyncio.shield(log.close())
        await asyncio.to_thread(remove_files, service, name)


async def _run_to_end(
    service: Service, body: dict[str, Any], stop: asyncio.Event, log: LogStream, metrics: MetricReader
) -> tuple[str, str | None, dict[str, Any]]:
    """Return the last secondary status, the failure reason and what else the job's description gains."""
    name = body["TrainingJobName"]
    base = _directory(service, name)
    enter(service, name, "Downloading")
    service.store.update(KIND, name, TrainingStartTime=service.clock.timestamp())
    await asyncio.to_thread(_lay_out, base, body, service.runner.host_name)
    await download_channels(service.objects, body.get("InputDataConfig", []), base / "ml/input/data")
    if stop.is_set():
        return "Stopped", None, {}
    enter(service, name, "Training")

    def take(line: str) -> None:
        log.write(line)
        metrics.read(line)

    code, ended_by = await _train(service, body, stop, base, take)
    if ended_by is None:
        enter(service, name, "Uploading")
    artifact = await _upload(service, body, base)
    members = {"ModelArtifacts": {"S3ModelArtifacts": artifact}}
    if ended_by:
        return ended_by, None, members
    if code != 0:
        return "Failed", f"AlgorithmError: {_failure_text(base)}, exit code: {code}", {}
    return "Completed", None, members


async def _train(
    service: Service, body: dict[str, Any], stop: asyncio.Event, base: Path, take: Any
) -> tuple[int, str | None]:
    """Run the container; return its exit code and, when we ended it, the status that this leads to."""
    name = body["TrainingJobName"]
    environment = {
        "TRAINING_JOB_NAME": name,
        "TRAINING_JOB_ARN": body["TrainingJobArn"],
        "AWS_REGION": service.region,
        **body.get("Environment", {}),
    }
    try:
        process = await service.runner.start(
            _command(service, body),
            base,
            environment,
            take,
            setup=Setup(isolate_network=body.get("EnableNetworkIsolation", False)),
        )
    except OSError as error:
        raise FailedRunError(f"ClientError: the command of the training image cannot run: {error}") from error
    try:
        service.store.update(KIND, name, _Process=await process.identity())
        return await _wait(service, body, stop, process)
    finally:
        # Reached while running only when the service itself is being stopped.
        process.kill()


async def _wait(
    service: Service, body: dict[str, Any], stop: asyncio.Event, process: Process
) -> tuple[int, str | None]:
    # Not scaled: this limits the customer's own computation, which takes the time it takes.
    limit = body["StoppingCondition"].get("MaxRuntimeInSeconds", DEFAULT_MAX_RUNTIME_SECONDS)
    ended = asyncio.ensure_future(process.wait())
    stopped = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({ended, stopped}, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            return ended.result(), None
        by = "Stopped" if stopped.done() else "MaxRuntimeExceeded"
        if by == "MaxRuntimeExceeded":
            enter(service, body["TrainingJobName"], "Stopping")
        return await process.stop(service.clock), by
    finally:
        ended.cancel()
        stopped.cancel()


def _command(service: Service, body: dict[str, Any]) -> list[str]:
    """``docker run IMAGE train``, unless the request brings its own entry point or arguments."""
    algorithm = body["AlgorithmSpecification"]
    arguments = algorithm.get("ContainerArguments", [])
    if "ContainerEntrypoint" in algorithm:
        return [*algorithm["ContainerEntrypoint"], *arguments]
    command = service.images.command(algorithm["TrainingImage"], "train")
    if command is None:
        raise FailedRunError(f"ClientError: image {algorithm['TrainingImage']} is no longer in the images file")
    return [*command[:-1], *arguments] if arguments else command


def _lay_out(base: Path, body: dict[str, Any], host: str) -> None:
    """Write the folders and configuration files that SageMaker puts into a training container."""
    shutil.rmtree(base, ignore_errors=True)
    ml = base / "ml"
    for folder in ("input/config", "input/data", "model", "output/data", "checkpoints", "code"):
        (ml / folder).mkdir(parents=True)
    instance_type = body["ResourceConfig"].get("InstanceType")
    resources = {
        "current_host": host,
        "current_instance_type": instance_type,
        "current_group_name": "homogeneousCluster",
        "hosts": [host],
        "instance_groups": [
            {"instance_group_name": "homogeneousCluster", "instance_type": instance_type, "hosts": [host]}
        ],
        "network_interface_name": "lo",
    }
    for file, content in (
        ("hyperparameters.json", body.get("HyperParameters", {})),
        ("inputdataconfig.json", describe_channels(body.get("InputDataConfig", []))),
        ("resourceconfig.json", resources),
    ):
        (ml / "input/config" / file).write_text(json.dumps(content))


async def _upload(service: Service, body: dict[str, Any], base: Path) -> str:
    """Upload the model, and the output when there is any; return the model's address."""
    prefix = f"{body['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{body['TrainingJobName']}/output"
    output = base / "ml/output/data"
    if any(path.is_file() for path in output.rglob("*")):
        await _upload_folder(service, output, base / "output.tar.gz", f"{prefix}/output.tar.gz")
    address = f"{prefix}/model.tar.gz"
    await _upload_folder(service, base / "ml/model", base / "model.tar.gz", address)
    return address


async def _upload_folder(service: Service, folder: Path, archive: Path, address: str) -> None:
    await asyncio.to_thread(archives.pack, folder, archive)
    await service.objects.aupload(archive, address)


def _failure_text(base: Path) -> str:
    with suppress(OSError):
        return (base / "ml/output/failure").read_text(errors="replace")[:MAX_FAILURE_CHARACTERS].strip()
    return ""


def _directory(service: Service, name: str) -> Path:
    return service.home / "training-jobs" / name
