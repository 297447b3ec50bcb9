"""The life of one training job: instances, files in, a real process on each, files out, and every status on the way.

An attempt ends the job unless its spot capacity is reclaimed or the stand-in itself is at fault: then the next one
resumes from the checkpoints in S3. What a request may contain is checked in ``training``.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from ml_platform.local_sagemaker.capacity import NoCapacityError, wait_for_instances, watch_spot
from ml_platform.local_sagemaker.channels import ChannelError, default_mode, download_channels, protected_folders
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
from ml_platform.local_sagemaker.job_metrics import MetricReader
from ml_platform.local_sagemaker.logs import LogStream
from ml_platform.local_sagemaker.objects import ObjectsError
from ml_platform.local_sagemaker.s3_inputs import download, objects_below
from ml_platform.local_sagemaker.service import BROKEN, Service
from ml_platform.local_sagemaker.training_files import (
    CHECKPOINTS,
    directory,
    failure_text,
    lay_out,
    live_folders,
    local,
    remove_files,
    upload_results,
)
from ml_platform.local_sagemaker.training_status import KIND, begin_attempt, end_attempt, enter, finish
from ml_platform.local_sagemaker.uploads import FolderUpload
from ml_platform.local_sagemaker.warm_pools import keep_warm, let_go

logger = logging.getLogger(__name__)

LOG_GROUP = "/aws/sagemaker/TrainingJobs"
DEFAULT_MAX_RUNTIME_SECONDS = 86_400
LOST = "InternalServerError: the local stand-in was stopped while the job ran"
ENDED_BY = {"stop": "Stopped", "time": "MaxRuntimeExceeded", "wait": "MaxWaitTimeExceeded"}
FAILURES = (ChannelError, ImageError, NoCapacityError, ObjectsError)
Body = dict[str, Any]


class InterruptedRunError(Exception):
    """Spot capacity was reclaimed."""


@dataclass(frozen=True)
class End:
    """How a job ended: its last secondary status, and what its description gains."""

    secondary: str
    reason: str | None = None
    members: Body = field(default_factory=dict)


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


def resume_lost(service: Service, body: Body) -> bool:
    """Let a job whose instances are lost go on when SageMaker would; return whether it does."""
    name = body["TrainingJobName"]
    # Nobody knows how long its last status lasted: that time is neither billed nor part of MaxRuntimeInSeconds.
    end_attempt(service, name, at=body["LastModifiedTime"])
    if not _may_resume(body):
        return False
    if body.get("EnableManagedSpotTraining"):
        _enter_again(service, name, "Interrupted")
    else:
        service.store.update(KIND, name, _Restarts=body.get("_Restarts", 0) + 1)
        _enter_again(service, name, "Restarting")
    return True


def _may_resume(body: Body) -> bool:
    """Spot jobs resume as often as they must, others as often as their RetryStrategy says."""
    retries = body.get("RetryStrategy", {}).get("MaximumRetryAttempts", 0)
    resumes = body.get("EnableManagedSpotTraining") or body.get("_Restarts", 0) < retries
    return bool(resumes) and body["TrainingJobStatus"] == "InProgress"


def _enter_again(service: Service, name: str, secondary: str) -> None:
    end_attempt(service, name)
    enter(service, name, secondary)


async def _live(service: Service, name: str, stop: asyncio.Event) -> None:
    body = service.store.get(KIND, name)
    if body is None:
        return
    count = body["ResourceConfig"].get("InstanceCount", 1)
    stamp = int(service.clock.now().timestamp())
    logs = [service.logs.stream(LOG_GROUP, f"{name}/algo-{number}-{stamp}") for number in range(1, count + 1)]
    run = _Run(
        service,
        name,
        stop,
        place_instances(service, directory(service, name), count),
        logs,
        MetricReader(body["AlgorithmSpecification"].get("MetricDefinitions", []), service.clock),
    )
    if "TuningJobArn" in body:
        service.live_metrics[name] = run.metrics
    try:
        end = await run.to_end()
        # Whoever sees the job ended must find its last lines.
        await close_logs(logs)
        metrics = {"FinalMetricDataList": run.metrics.final() or None}
        members = {**let_go(run.body), **metrics, **end.members}
        finish(service, name, end.secondary, end.reason, **members)
    except asyncio.CancelledError:
        # What may resume does so when the service is started again.
        if not _may_resume(run.body):
            finish(service, name, "Failed", LOST)
        raise
    finally:
        await asyncio.shield(close_logs(logs))
        await asyncio.to_thread(remove_files, service, name)


@dataclass
class _Run:
    """One job while it runs."""

    service: Service
    name: str
    stop: asyncio.Event
    instances: Sequence[Instance]
    logs: Sequence[LogStream]
    metrics: MetricReader

    @property
    def body(self) -> Body:
        body = self.service.store.get(KIND, self.name)
        assert body is not None  # noqa: S101 - only jobs that ended can be deleted
        return body

    async def to_end(self) -> End:
        """Make attempts until one is the last."""
        while True:
            try:
                return await self._attempt()
            except FAILURES as error:
                return End("Failed", str(error))
            except InterruptedRunError:
                _enter_again(self.service, self.name, "Interrupted")
                await held(self.service.faults, self.name, "Interrupted", self.stop)
            except Exception:
                # A defect of ours: a job that nobody runs any more must not stay in progress for ever.
                logger.exception("training job %s failed inside the stand-in", self.name)
                if not resume_lost(self.service, self.body):
                    return End("Failed", BROKEN)

    async def _attempt(self) -> End:
        early = await self._get_instances()
        if early:
            return early
        body = self.body
        begin_attempt(self.service, self.name)
        enter(self.service, self.name, "Downloading")
        await held(self.service.faults, self.name, "Downloading", self.stop)
        await asyncio.to_thread(lay_out, self.instances, body)
        channels = body.get("InputDataConfig", [])
        await download_channels(self.service.objects, channels, default_mode(body), self.instances)
        live = await self._bring_checkpoints(body)
        if self.stop.is_set():
            return End("Stopped")
        enter(self.service, self.name, "Training")
        async with AsyncExitStack() as stack:
            for upload in live:
                stack.callback(asyncio.ensure_future(upload.send_forever()).cancel)
            outcome = await self._train(body)
        for upload in live:
            await upload.send()
        return await self._judge(body, outcome)

    async def _get_instances(self) -> End | None:
        """Wait for capacity; return the end of a job that is stopped, or out of time, before it has any."""
        enter(self.service, self.name, "Starting")
        waiting = asyncio.ensure_future(wait_for_instances(self.service, self.body))
        stopped = asyncio.ensure_future(self.stop.wait())
        left = _seconds_to_wait(self.service, self.body)
        try:
            await asyncio.wait({waiting, stopped}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if waiting.done():
                waiting.result()
                return None
            return End("Stopped" if stopped.done() else "MaxWaitTimeExceeded")
        finally:
            waiting.cancel()
            stopped.cancel()
            await asyncio.wait({waiting, stopped})

    async def _bring_checkpoints(self, body: Body) -> list[FolderUpload]:
        """Download what earlier attempts, or jobs, left in S3; return what goes there from now on."""
        if "CheckpointConfig" in body:
            config = body["CheckpointConfig"]
            found = await objects_below(self.service.objects, f"{config['S3Uri'].rstrip('/')}/")
            for instance in self.instances:
                folder = local(instance, config.get("LocalPath", CHECKPOINTS))
                await download(self.service.objects, found, folder)
        live = live_folders(self.service, body, self.instances)
        for upload in live:
            upload.folder.mkdir(parents=True, exist_ok=True)
            await upload.mark_present()
        return live

    async def _train(self, body: Body) -> Outcome:
        """Run the containers.

        Raises:
            InterruptedRunError: When spot capacity was reclaimed.
        """
        events = [("stop", self.stop)]
        async with AsyncExitStack() as stack:
            if body.get("EnableManagedSpotTraining"):
                reclaimed = asyncio.Event()
                events.append(("spot", reclaimed))
                stack.callback(asyncio.ensure_future(watch_spot(self.service, self.name, reclaimed)).cancel)
            takes = [self._take(log) for log in self.logs]
            used = body.get("_Trained", 0.0)
            limit = body["StoppingCondition"].get("MaxRuntimeInSeconds", DEFAULT_MAX_RUNTIME_SECONDS) - used
            wait = _seconds_to_wait(self.service, body)
            seconds = limit if wait is None else min(limit, wait)
            outcome = await run_instances(
                self.service, _job(self.service, body), self.instances, takes, events, seconds, self._note_limit
            )
        if outcome.ended_by == "time" and wait is not None and wait < limit:
            return Outcome(outcome.code, outcome.instance, "wait")
        return outcome

    def _note_limit(self, ended_by: str) -> None:
        if ended_by == "time":
            enter(self.service, self.name, "Stopping")

    def _take(self, log: LogStream) -> Any:
        def take(line: str) -> None:
            log.write(line)
            self.metrics.read(line)

        return take

    async def _judge(self, body: Body, outcome: Outcome) -> End:
        if outcome.ended_by == "spot":
            raise InterruptedRunError
        if outcome.ended_by == "disk":
            return End("Failed", "ClientError: the job wrote more than its VolumeSizeInGB holds")
        if outcome.ended_by is None:
            enter(self.service, self.name, "Uploading")
            await held(self.service.faults, self.name, "Uploading", self.stop)
        artifact = await upload_results(self.service, body, self.instances)
        members: Body = {"ModelArtifacts": {"S3ModelArtifacts": artifact}}
        if outcome.ended_by:
            return End(ENDED_BY[outcome.ended_by], None, members)
        if outcome.code != 0:
            reason = f"AlgorithmError: {failure_text(outcome.instance)}, exit code: {outcome.code}"
            return End("Failed", reason)
        return End("Completed", None, members | keep_warm(self.service, body))


def _seconds_to_wait(service: Service, body: Body) -> float | None:
    """Return what is left of MaxWaitTimeInSeconds, which counts from the creation; not scaled, as it covers the run."""
    limit = body["StoppingCondition"].get("MaxWaitTimeInSeconds")
    return None if limit is None else max(0.0, body["CreationTime"] + limit - service.clock.timestamp())


def _job(service: Service, body: Body) -> Job:
    name = body["TrainingJobName"]
    resources = body["ResourceConfig"]
    return Job(
        kind=KIND,
        name=name,
        command=_command(service, body),
        environment={
            "TRAINING_JOB_NAME": name,
            "TRAINING_JOB_ARN": body["TrainingJobArn"],
            "AWS_REGION": service.region,
            **body.get("Environment", {}),
        },
        instance_type=resources.get("InstanceType"),
        volume_gibibytes=resources["VolumeSizeInGB"],
        isolate_network=body.get("EnableNetworkIsolation", False),
        protected=protected_folders(body.get("InputDataConfig", []), default_mode(body)),
    )


def _command(service: Service, body: Body) -> list[str]:
    """``docker run IMAGE train``, unless the request brings its own entry point or arguments."""
    algorithm = body["AlgorithmSpecification"]
    arguments = algorithm.get("ContainerArguments", [])
    if "ContainerEntrypoint" in algorithm:
        return [*algorithm["ContainerEntrypoint"], *arguments]
    command = service.images.command(algorithm["TrainingImage"], "train")
    if command is None:
        raise ImageError(f"ClientError: image {algorithm['TrainingImage']} is no longer in the images file")
    return [*command[:-1], *arguments] if arguments else command
