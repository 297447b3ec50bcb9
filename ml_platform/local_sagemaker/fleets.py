"""The servers that serve one endpoint config: variants, their instances, and which of them gets a request.

What a fleet is to run is a ``FleetPlan``. When fleets replace each other is ``deployments``' business.
"""

import asyncio
import logging
import random
import secrets
import shutil
import time
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError

from ml_platform.local_sagemaker.capture import CaptureRules
from ml_platform.local_sagemaker.cloudwatch.monitoring import monitoring_of
from ml_platform.local_sagemaker.endpoint_metrics import TIMED, endpoint_metric
from ml_platform.local_sagemaker.fleet_plans import FleetPlan, VariantPlan
from ml_platform.local_sagemaker.instances import memory_bytes
from ml_platform.local_sagemaker.logs import LogStream
from ml_platform.local_sagemaker.model_servers import ModelServer, NotHealthyError, ServerStartError
from ml_platform.local_sagemaker.objects import ObjectsError
from ml_platform.local_sagemaker.serverless import LOOK_SECONDS, ServerlessPool
from ml_platform.local_sagemaker.service import Service
from ml_platform.local_sagemaker.shadows import Copies
from ml_platform.local_sagemaker.usage import ENDPOINTS

logger = logging.getLogger(__name__)

LEAST_LOOK_SECONDS = 0.1


@dataclass
class _Instance:
    server: ModelServer
    directory: Path
    task: "asyncio.Task[None]"
    forget: Callable[[], None]
    """Ends the measuring of what it uses."""

    async def stop(self) -> None:
        """Finish the requests in flight, then stop the process."""
        await self.server.drain()
        self.forget()
        self.task.cancel()
        await asyncio.wait({self.task})
        await asyncio.to_thread(shutil.rmtree, self.directory, ignore_errors=True)


@dataclass
class Variant:
    """The running instances of one production variant."""

    plan: VariantPlan
    instances: list[_Instance] = field(default_factory=list)
    pool: ServerlessPool | None = None

    @property
    def servers(self) -> list[ModelServer]:
        """The servers of all instances, ready or not."""
        return [instance.server for instance in self.instances]

    def least_busy(self, avoid: ModelServer | None = None) -> ModelServer | None:
        """Return the ready server with the fewest requests in flight; ``avoid`` only when it is the only one."""
        if self.pool is not None:
            return self.pool.pick(self.servers, avoid)
        ready = [instance.server for instance in self.instances if instance.server.ready]
        others = [server for server in ready if server is not avoid] or ready
        return min(others, key=lambda server: server.in_flight) if others else None


class Fleet:
    """A running ``FleetPlan``."""

    def __init__(self, service: Service, endpoint: str, plan: FleetPlan) -> None:
        self.plan = plan
        self.capture = CaptureRules.from_config(plan.capture)
        self.variants = {variant.name: Variant(variant) for variant in plan.variants}
        self._production = [variant for variant in self.variants.values() if not variant.plan.shadow]
        self._shadows = [variant for variant in self.variants.values() if variant.plan.shadow]
        self.copies = Copies()
        self.on_change: Callable[[], object] = lambda: None
        self._service = service
        self._endpoint = endpoint
        self._directory = fleet_directory(service, endpoint, plan.identity)
        self._reaper: asyncio.Task[None] | None = None
        self.serverless: Variant | None = None
        """The serverless variant, which is then the only one."""
        for variant in self._production:
            if variant.plan.serverless is not None:
                self.serverless = variant
                variant.pool = ServerlessPool(variant.plan.serverless, partial(self._grow, variant))

    async def start(self) -> None:
        """Start all servers and wait until each answers ``/ping``.

        Raises:
            ServerStartError: When one of them cannot; ``stop`` then ends the others.
        """
        await _together(self._scale_to(variant, variant.plan) for variant in self.variants.values())
        if self.serverless is not None:
            self._reaper = self._service.spawn(self._end_idle(self.serverless), f"idle servers of {self._endpoint}")

    def choose(self, target: str | None = None) -> Variant | None:
        """Return the variant for a request: the target, or one drawn by weight; None when the target is unknown."""
        if target is not None:
            found = self.variants.get(target)
            return None if found is None or found.plan.shadow else found
        if len(self._production) == 1:
            return self._production[0]
        weights = [variant.plan.weight for variant in self._production]
        drawn = random.choices(self._production, weights if any(weights) else None)  # noqa: S311 - spreads load only
        return drawn[0]

    def shadows(self) -> list[Variant]:
        """Return the shadow variants that get a copy of this request: drawn by weight relative to production's."""
        if not self._shadows:
            return []
        total = sum(variant.plan.weight for variant in self._production)
        draw = random.random() * total  # noqa: S311 - a sample, no secret
        return [variant for variant in self._shadows if draw < variant.plan.weight]

    async def apply(self, plan: FleetPlan) -> None:
        """Take over the weights and instance counts of a plan with the same variants.

        Raises:
            ServerStartError: When an added server cannot start; weights and counts are then as before.
        """
        grown = [(self.variants[variant.name], variant) for variant in plan.variants]
        try:
            await _together(self._scale_to(variant, to) for variant, to in grown)
        except ServerStartError:
            await _together(self._scale_to(variant, variant.plan) for variant, _ in grown)
            raise
        self.plan = plan
        for variant, to in grown:
            variant.plan = to

    async def stop(self) -> None:
        """Finish the requests in flight, stop every server and remove the fleet's files."""
        self.copies.cancel()
        if self._reaper is not None:
            self._reaper.cancel()
        await _stop_all(instance for variant in self.variants.values() for instance in variant.instances)
        await asyncio.to_thread(shutil.rmtree, self._directory, ignore_errors=True)

    async def _scale_to(self, variant: Variant, plan: VariantPlan) -> None:
        if variant.pool is not None and plan.serverless is not None:
            variant.pool.config = plan.serverless
        else:
            surplus = variant.instances[plan.instances :]
            del variant.instances[plan.instances :]
            await _stop_all(surplus)
        missing = plan.instances - len(variant.instances)
        if missing <= 0:
            return
        archive = await self._archive(plan)
        added = [self._launch(variant, archive) for _ in range(missing)]
        variant.instances.extend(added)
        try:
            await asyncio.gather(*(instance.server.started for instance in added))
        except NotHealthyError as error:
            raise NotHealthyError(_unhealthy(plan.name, error)) from error

    def _grow(self, variant: Variant) -> None:
        """Start one more environment of a serverless variant for a request that waits."""
        archive = None if variant.plan.container.model_data_url is None else self._archive_path(variant.plan)
        instance = self._launch(variant, archive)
        variant.instances.append(instance)
        self._service.spawn(self._watch_cold_start(variant, instance), f"cold start of {self._endpoint}")

    async def _watch_cold_start(self, variant: Variant, instance: _Instance) -> None:
        began = time.perf_counter()
        try:
            await instance.server.started
        except ServerStartError as error:
            logger.warning("an environment of endpoint %s did not start: %s", self._endpoint, error)
            variant.instances.remove(instance)
            await instance.stop()
            # Whoever waits for it has another one started.
            self._notice_change()
            return
        took = (time.perf_counter() - began) * 1e6
        metric = endpoint_metric("ModelSetupTime", self._endpoint, variant.plan.name)
        monitoring_of(self._service).endpoints.emit(metric, TIMED, took)

    async def _end_idle(self, variant: Variant) -> None:
        """Stop the environments of a serverless variant that nobody needs."""
        clock = self._service.clock
        while variant.pool is not None:
            await clock.sleep(LOOK_SECONDS)
            # On a clock that skips all waits there would be no end of looking.
            await asyncio.sleep(LEAST_LOOK_SECONDS)
            idle = variant.pool.idle(variant.servers, clock.elapsed_seconds)
            ending = [instance for instance in variant.instances if instance.server in idle]
            variant.instances = [instance for instance in variant.instances if instance not in ending]
            await _stop_all(ending)

    def _archive_path(self, plan: VariantPlan) -> Path:
        return self._directory / f"{plan.name}.tar.gz"

    def _launch(self, variant: Variant, archive: Path | None) -> _Instance:
        identity = f"i-{secrets.token_hex(9)[:17]}"
        stream = f"{variant.plan.name}/{identity}"
        directory = self._directory / variant.plan.name / identity
        log = self._service.logs.stream(log_group(self._endpoint), stream)
        server = ModelServer(self._service, variant.plan.container, directory, archive, log.write)
        server.title = f"{self._endpoint}/{self.plan.config}/{variant.plan.name}"
        server.on_change = self._notice_change
        task = self._service.spawn(_run_logged(server, log), f"model server {self._endpoint}/{stream}")
        place = {"EndpointName": self._endpoint, "VariantName": variant.plan.name}
        memory = variant.plan.container.limits.memory_bytes or memory_bytes(variant.plan.instance_type)
        forget = self._service.usage.watch(ENDPOINTS, place, server.find_pid, memory)
        return _Instance(server, directory, task, forget)

    def _notice_change(self) -> None:
        self.on_change()

    async def _archive(self, plan: VariantPlan) -> Path | None:
        """Return the variant's model archive on this machine; it is downloaded once in a fleet's life."""
        url = plan.container.model_data_url
        if url is None:
            return None
        archive = self._archive_path(plan)
        if not archive.exists():
            partial = archive.with_suffix(".partial")
            try:
                await self._service.objects.adownload(url, partial)
            except (ObjectsError, BotoCoreError) as error:
                raise ServerStartError(
                    f'Failed to download model data from URL "{url}". Please ensure that there is an object located '
                    f"at the URL and that the role passed to CreateModel has permissions to download it: {error}"
                ) from error
            partial.rename(archive)
        return archive


def log_group(endpoint: str) -> str:
    """Return the CloudWatch Logs group that an endpoint's servers write to."""
    return f"/aws/sagemaker/Endpoints/{endpoint}"


def endpoint_directory(service: Service, endpoint: str) -> Path:
    """Return the folder that holds the files of an endpoint's fleets."""
    return service.home / "endpoints" / endpoint


def fleet_directory(service: Service, endpoint: str, identity: str) -> Path:
    """Return the folder of one fleet."""
    return endpoint_directory(service, endpoint) / identity


async def _run_logged(server: ModelServer, log: LogStream) -> None:
    try:
        await server.run()
    finally:
        await log.close()


async def _together(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run all works; when one fails, end the others before the error goes on."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


async def _stop_all(instances: Iterable[_Instance]) -> None:
    await asyncio.gather(*(instance.stop() for instance in instances))


def _unhealthy(variant: str, error: NotHealthyError) -> str:
    return (
        f"The primary container for production variant {variant} did not pass the ping health check. "
        f"Please check CloudWatch logs for this endpoint: {error}"
    )
