"""The life of one transform job: a model server, the input objects through it, and one output object for each.

What happens to the bytes on the way is ``transform_flow``.
"""

import asyncio
import json
import logging
import secrets
import shutil
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml_platform.local_sagemaker.containers import end_leftover
from ml_platform.local_sagemaker.containers_setup import Limits
from ml_platform.local_sagemaker.holds import held
from ml_platform.local_sagemaker.instances import memory_bytes
from ml_platform.local_sagemaker.logs import LogStream
from ml_platform.local_sagemaker.model_servers import IDENTITY, Container, ModelServer, ServerStartError
from ml_platform.local_sagemaker.models import resolve_container
from ml_platform.local_sagemaker.objects import ObjectsError
from ml_platform.local_sagemaker.s3_inputs import Found, find_objects
from ml_platform.local_sagemaker.service import BROKEN, AwsError, Service
from ml_platform.local_sagemaker.transform_data import TransformDataError, read_advice
from ml_platform.local_sagemaker.transform_flow import Flow, FlowPlan
from ml_platform.local_sagemaker.usage import JOBS

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
    for identity in _directory(service, name).glob(f"*/{IDENTITY}"):
        with suppress(OSError, ValueError):  # the file was cut short
            end_leftover(json.loads(identity.read_text()))
    shutil.rmtree(_directory(service, name), ignore_errors=True)


async def _live(service: Service, name: str, stop: asyncio.Event) -> None:
    body = service.store.get(KIND, name)
    if body is None:
        return
    try:
        status, reason = await _run_or_stop(_Job(service, body), stop)
    except asyncio.CancelledError:
        finish(service, name, "Failed", LOST)
        raise
    except Exception:
        # A defect of ours: a job that nobody runs any more must not stay in progress for ever.
        logger.exception("transform job %s failed inside the stand-in", name)
        status, reason = "Failed", BROKEN
    finally:
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

    @property
    def name(self) -> str:
        return str(self.body["TransformJobName"])

    async def run(self) -> None:
        """Let each instance transform its part of the objects; the first error ends all."""
        await held(self.service.faults, self.name, "Starting")
        self.service.store.update(KIND, self.name, TransformStartTime=self.service.clock.timestamp())
        source = self.body["TransformInput"]["DataSource"]["S3DataSource"]
        found = await find_objects(self.service.objects, source["S3DataType"], source["S3Uri"])
        if not found:
            raise TransformDataError(f"ClientError: No S3 objects found under {source['S3Uri']}.")
        container, archive = await self._container()
        # An object is never divided: more instances than objects have nothing to do.
        count = min(self.body["TransformResources"]["InstanceCount"], len(found))
        works = [
            asyncio.ensure_future(self._work(container, archive, number, found[number::count]))
            for number in range(count)
        ]
        try:
            await asyncio.gather(*works)
        finally:
            for work in works:
                work.cancel()
            await asyncio.wait(works)
        await self._capture(found)

    async def _work(self, container: Container, archive: Path | None, number: int, found: Sequence[Found]) -> None:
        """Start one server, and send objects through it."""
        stream = f"{self.name}/i-{secrets.token_hex(8)}-{int(self.service.clock.now().timestamp())}"
        log, data_log = (self.service.logs.stream(LOG_GROUP, one) for one in (stream, f"{stream}/data-log"))
        directory = _directory(self.service, self.name) / str(number)
        server = ModelServer(self.service, container, directory, archive, log.write)
        server.title = self.name
        life = asyncio.ensure_future(server.run())
        place, memory = {"Host": stream}, memory_bytes(self.body["TransformResources"]["InstanceType"])
        forget = self.service.usage.watch(JOBS[KIND], place, server.find_pid, memory)
        try:
            await _started(server, log)
            plan = FlowPlan.of(self.body, read_advice(await server.execution_parameters()))
            flow = Flow(plan, server, self.service.clock, data_log)
            for uri, relative in found:
                await self._transform(flow, directory, uri, relative)
        finally:
            forget()
            life.cancel()
            await asyncio.wait({life})
            # Whoever sees the job ended must find its last lines.
            await asyncio.shield(asyncio.gather(log.close(), data_log.close()))

    async def _transform(self, flow: Flow, directory: Path, uri: str, relative: str) -> None:
        source, output = directory / "input", directory / "output"
        target = self.body["TransformOutput"]["S3OutputPath"].rstrip("/")
        await self.service.objects.adownload(uri, source)
        await flow.transform(uri, source, output)
        await held(self.service.faults, self.name, "Uploading")
        await self.service.objects.aupload(output, f"{target}/{relative}.out")

    async def _container(self) -> tuple[Container, Path | None]:
        """Return what every instance runs, and its model, which is downloaded once."""
        try:
            resolved = resolve_container(self.service, self.body["ModelName"])
        except AwsError as error:
            raise TransformDataError(f"ClientError: {error.message}") from error
        archive = None
        if resolved.model_data_url:
            archive = _directory(self.service, self.name) / "model.tar.gz"
            await self.service.objects.adownload(resolved.model_data_url, archive)
        batch = FlowPlan.of(self.body).environment()
        environment = {**resolved.environment, **self.body.get("Environment", {}), **batch}
        container = Container(
            image=resolved.image,
            environment={"AWS_REGION": self.service.region, **environment},
            model_data_url=resolved.model_data_url,
            limits=Limits(memory_bytes(self.body["TransformResources"]["InstanceType"])),
        )
        return container, archive

    async def _capture(self, found: Sequence[Found]) -> None:
        """Write which objects came in and went out, as two manifests."""
        config = self.body.get("DataCaptureConfig")
        if not config:
            return
        hour = self.service.clock.now().strftime("%Y/%m/%d/%H")
        uri, relative = found[0]
        target = self.body["TransformOutput"]["S3OutputPath"].rstrip("/")
        for side, prefix, ending in (("input", uri.removesuffix(relative), ""), ("output", f"{target}/", ".out")):
            manifest = [{"prefix": prefix}, *(f"{name}{ending}" for _, name in found)]
            address = f"{config['DestinationS3Uri'].rstrip('/')}/{side}/{hour}/{uuid.uuid4()}.json"
            await self.service.objects.awrite(address, json.dumps(manifest).encode())


async def _started(server: ModelServer, log: LogStream) -> None:
    try:
        await server.started
    except ServerStartError as error:
        log.write(str(error))
        raise TransformDataError(
            "AlgorithmError: Model container failed to respond to ping; Please ensure /ping endpoint is "
            f"implemented and responds with an HTTP 200 status code: {error}"
        ) from error


def _directory(service: Service, name: str) -> Path:
    return service.home / "transform-jobs" / name
