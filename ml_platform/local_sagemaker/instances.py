"""The instances of one job: a container on each, their common end, and what each of them may use.

The first container that fails ends all the others, as on SageMaker. Which files they see is the jobs' business.
"""

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml_platform.local_sagemaker.containers import Process, end_leftover
from ml_platform.local_sagemaker.containers_setup import Host, Limits, Setup
from ml_platform.local_sagemaker.logs import LogStream
from ml_platform.local_sagemaker.service import Service

GIBIBYTE = 1 << 30
DISK_LOOK_SECONDS = 2.0
INSTANCE_TYPE = re.compile(r"ml\.([cmrt])\d[a-z0-9-]*\.(medium|large|(\d*)xlarge)")
# General purpose, compute and memory optimised: AWS's GiB for each vCPU.
GIBIBYTES_PER_CPU = {"c": 2, "m": 4, "r": 8, "t": 4}
Event = tuple[str, asyncio.Event]


class ImageError(Exception):
    """A container cannot be started; the message is the job's failure reason."""


@dataclass(frozen=True)
class Instance:
    """One machine of a job: ``base / "ml"`` is its ``/opt/ml``."""

    host: Host
    base: Path

    @property
    def ml(self) -> Path:
        """The folder that is ``/opt/ml``."""
        return self.base / "ml"


@dataclass(frozen=True)
class Job:
    """What runs on every instance of a job."""

    kind: str
    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    instance_type: str | None
    volume_gibibytes: int
    isolate_network: bool = False
    protected: Sequence[str] = ()


@dataclass(frozen=True)
class Outcome:
    """How a job's containers ended: the exit code, of which instance, and the event that made us end them."""

    code: int
    instance: Instance
    ended_by: str | None = None


def place_instances(service: Service, directory: Path, count: int) -> list[Instance]:
    """Return where each instance of a job keeps its files: in the job's folder, or one for each below it."""
    hosts = service.runner.hosts(count)
    if count == 1:
        return [Instance(hosts[0], directory)]
    return [Instance(host, directory / f"algo-{number}") for number, host in enumerate(hosts, start=1)]


async def run_instances(
    service: Service,
    job: Job,
    instances: Sequence[Instance],
    logs: Sequence[Callable[[str], None]],
    events: Iterable[Event],
    seconds: float,
    on_end: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Run the command on every instance until all have succeeded, one has failed, or an event ends them.

    Args:
        service: The stand-in.
        job: What to run.
        instances: Where; their files are in place.
        logs: What takes each instance's lines.
        events: Named events that end the job.
        seconds: After so long the job is ended by ``time``.
        on_end: Told the event that ends the job, before the containers are.

    Raises:
        ImageError: When the command cannot be started.
    """
    processes: list[Process] = []
    try:
        for instance, log in zip(instances, logs, strict=True):
            processes.append(await _start(service, job, instance, [one.host for one in instances], log))
        _remember(service, job, [await process.identity() for process in processes])
        pids = [process.pid for process in processes]
        forget = service.usage.watch_job(job.kind, job.name, pids, memory_bytes(job.instance_type))
        watched = [*events, ("disk", asyncio.Event())]
        disk = asyncio.ensure_future(_watch_disk(instances, job.volume_gibibytes, watched[-1][1]))
        try:
            ended_by = await _first_event(processes, watched, seconds)
        finally:
            disk.cancel()
            forget()
        if ended_by:
            on_end(ended_by)
        failed = next((at for at, process in enumerate(processes) if _has_failed(process)), None)
        codes = await asyncio.gather(*(process.stop(service.clock) for process in processes))
        worst = failed if failed is not None else next((at for at, code in enumerate(codes) if code), 0)
        return Outcome(codes[worst], instances[worst], ended_by)
    finally:
        # Reached while they run only when the service itself is being stopped.
        for process in processes:
            process.kill()


def end_leftovers(body: Mapping[str, Any]) -> None:
    """Kill the containers of a job that outlived the service which started them."""
    for identity in body.get("_Processes") or ():
        end_leftover(identity)


async def close_logs(logs: Iterable[LogStream]) -> None:
    """Send the last lines of every instance."""
    await asyncio.gather(*(log.close() for log in logs))


def memory_bytes(instance_type: str | None) -> int | None:
    """Return the memory of the usual instance types; None for those whose memory follows no rule."""
    match = INSTANCE_TYPE.fullmatch(instance_type or "")
    if match is None:
        return None
    family, size, times = match[1], match[2], match[3]
    cpus = {"medium": 1, "large": 2}.get(size) or 4 * int(times or 1)
    return cpus * GIBIBYTES_PER_CPU[family] * GIBIBYTE


def disk_usage(folder: Path) -> int:
    """Return the bytes of all files in a folder; those that vanish meanwhile count nothing."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += 0 if path.is_symlink() else path.stat().st_blocks * 512
        except OSError:
            continue
    return total


async def _start(
    service: Service, job: Job, instance: Instance, peers: Sequence[Host], log: Callable[[str], None]
) -> Process:
    setup = Setup(
        host=instance.host,
        peers=peers,
        protected=job.protected,
        limits=Limits(memory_bytes(job.instance_type), job.volume_gibibytes * GIBIBYTE),
        isolate_network=job.isolate_network,
    )
    try:
        return await service.runner.start(job.command, instance.base, job.environment, log, setup=setup)
    except OSError as error:
        raise ImageError(f"ClientError: the command of the image cannot run: {error}") from error


def _remember(service: Service, job: Job, identities: list[dict[str, Any] | None]) -> None:
    known = [identity for identity in identities if identity]
    if known:
        service.store.update(job.kind, job.name, _Processes=known)


async def _first_event(processes: Sequence[Process], events: Sequence[Event], seconds: float) -> str | None:
    """Wait until all succeeded or one failed (None), an event is set (its name), or the time is over (``time``)."""
    names = {asyncio.ensure_future(event.wait()): name for name, event in events}
    running = {asyncio.ensure_future(process.wait()) for process in processes}
    tasks = {*names, *running}
    deadline = asyncio.get_running_loop().time() + seconds
    try:
        while running:
            left = max(0.0, deadline - asyncio.get_running_loop().time())
            done, _ = await asyncio.wait({*running, *names}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            ended = running & done
            if any(task.result() for task in ended):
                return None
            running -= ended
            if not ended:
                return next((name for task, name in names.items() if task.done()), "time")
        return None
    finally:
        for task in tasks:
            task.cancel()


def _has_failed(process: Process) -> bool:
    return not process.running and process.exit_code != 0


async def _watch_disk(instances: Sequence[Instance], gibibytes: int, full: asyncio.Event) -> None:
    """Set ``full`` once an instance keeps more than its volume holds. A file system of its own would need root."""
    while True:
        await asyncio.sleep(DISK_LOOK_SECONDS)
        for instance in instances:
            if await asyncio.to_thread(disk_usage, instance.base) > gibibytes * GIBIBYTE:
                full.set()
                return
