"""The life of one transform job: a model server, the input objects through it, and one output object for each.

What happens to the bytes on the way is ``transform_flow``.
"""

import asyncio
import json
import logging
import secrets
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml_platform.local_sagemaker.containers import end_leftover
from ml_platform.local_sagemaker.logs import LogStream
from ml_platform.local_sagemaker.model_servers import IDENTITY, Container, ModelServer, ServerStartError
from ml_platform.local_sagemaker.models import resolve_container
from ml_platform.local_sagemaker.objects import ObjectsError
from ml_platform.local_sagemaker.s3_inputs import objects_below
from ml_platform.local_sagemaker.service import AwsError, Service
from ml_platform.local_sagemaker.transform_data import TransformDataError
from ml_platform.local_sagemaker.transform_flow import Flow, FlowPlan

logger = logging.getLogger(__name__)

KIND = "transform-job"
LOG_GROUP = "/aws/sagemaker/TransformJobs"
LOST = "InternalServerError: the local stand-in was stopped while the job ran"


def start(service: Service, name: str) -> None:
    """Run a stored job in the background."""
    stop = service.stop_requests[KIND, name] = asyncio.Event()
    task = service.spawn(_live(service, name, stop), f"transform job {name}")
    task.add_done_callback(lambda _: service.stop_requests.pop((KIND, name), None))


def request_stop(service: Service, name: str) -> None:
    """Let a running job stop; output objects that are complete stay."""
    service.store.update(KIND, name, TransformJobStatus="Stopping", LastModifiedTime=service.clock.timestamp())
    if stop := service.stop_requests.get((KIND, name)):
        stop.set()


def finish(service: Service, name: str, status: str, reason: str | None = None) -> None:
    """Note the end of a job."""
    now = service.clock.timestamp()
    service.store.update(
        KIND, name, TransformJobStatus=status, FailureReason=reason, TransformEndTime=now, LastModifiedTime=now
    )


def clean_up(service: Service, name: str) -> None:
    """End a server that outlived the service and delete a job's files on this machine."""
    with suppress(OSError, ValueError):  # none was started, or the file was cut short
        end_leftover(json.loads((_directory(service, name) / IDENTITY).read_text()))
    shutil.rmtree(_directory(service, name), ignore_errors=True)


async def _live(service: Service, name: str, stop: asyncio.Event) -> None:
    body = service.store.get(KIND, name)
    if body is None:
        return
    stream = f"{name}/i-{secrets.token_hex(8)}-{int(service.clock.now().timestamp())}"
    log = service.logs.stream(LOG_GROUP, stream)
    data_log = service.logs.stream(LOG_GROUP, f"{stream}/data-log")
    try:
        status, reason = await _run_or_stop(_Job(service, body, log, data_log), stop)
    except asyncio.CancelledError:
        finish(service, name, "Failed", LOST)
        raise
    except Exception:
        logger.exception("transform job %s failed inside the stand-in", name)
        status, reason = "Failed", "InternalServerError: the local stand-in failed; its log has the traceback"
    finally:
        await asyncio.shield(asyncio.gather(log.close(), data_log.close()))
        await asyncio.to_thread(shutil.rmtree, _directory(service, name), ignore_errors=True)
    finish(service, name, status, reason)


async def _run_or_stop(job: "_Job", stop: asyncio.Event) -> tuple[str, str | None]:
    work = asyncio.ensure_future(job.run())
    stopped = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            return "Stopped", None
        work.result()
    except (TransformDataError, ObjectsError) as error:
        return "Failed", str(error)
    else:
        return "Completed", None
    finally:
        work.cancel()
        stopped.cancel()
        await asyncio.wait({work, stopped})


@dataclass
class _Job:
    service: Service
    body: dict[str, Any]
    log: LogStream
    data_log: LogStream

    async def run(self) -> None:
        name = self.body["TransformJobName"]
        self.service.store.update(KIND, name, TransformStartTime=self.service.clock.timestamp())
        plan = FlowPlan.of(self.body)
        server = await self._server(plan)
        life = asyncio.ensure_future(server.run())
        try:
            await self._started(server)
            await self._transform_all(Flow(plan, server, self.service.clock, self.data_log))
        finally:
            life.cancel()
            await asyncio.wait({life})

    async def _transform_all(self, flow: Flow) -> None:
        directory = _directory(self.service, self.body["TransformJobName"])
        source, output = directory / "input", directory / "output"
        prefix = self.body["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"]
        target = self.body["TransformOutput"]["S3OutputPath"].rstrip("/")
        found = await objects_below(self.service.objects, prefix)
        if not found:
            raise TransformDataError(f"ClientError: No S3 objects found under {prefix}.")
        for uri, relative in found:
            await self.service.objects.adownload(uri, source)
            await flow.transform(uri, source, output)
            await self.service.objects.aupload(output, f"{target}/{relative}.out")

    async def _server(self, plan: FlowPlan) -> ModelServer:
        try:
            resolved = resolve_container(self.service, self.body["ModelName"])
        except AwsError as error:
            raise TransformDataError(f"ClientError: {error.message}") from error
        directory = _directory(self.service, self.body["TransformJobName"])
        archive = None
        if resolved.model_data_url:
            archive = directory / "model.tar.gz"
            await self.service.objects.adownload(resolved.model_data_url, archive)
        environment = {**resolved.environment, **self.body.get("Environment", {}), **plan.environment()}
        container = Container(
            image=resolved.image,
            environment={"AWS_REGION": self.service.region, **environment},
            model_data_url=resolved.model_data_url,
        )
        return ModelServer(self.service, container, directory, archive, self.log.write)

    async def _started(self, server: ModelServer) -> None:
        try:
            await server.started
        except ServerStartError as error:
            self.log.write(str(error))
            raise TransformDataError(
                "AlgorithmError: Model container failed to respond to ping; Please ensure /ping endpoint is "
                f"implemented and responds with an HTTP 200 status code: {error}"
            ) from error


def _directory(service: Service, name: str) -> Path:
    return service.home / "transform-jobs" / name
