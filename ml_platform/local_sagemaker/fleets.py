"""The servers that serve one endpoint config: variants, their instances, and which of them gets a request.

A fleet is described by a ``FleetPlan``, which is kept with the endpoint, so that a fleet can be started again from the
plan and from the archives on this machine alone. When fleets replace each other is ``deployments``' business.
"""

import asyncio
import random
import secrets
import shutil
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError

from ml_platform.local_sagemaker.capture import CaptureRules
from ml_platform.local_sagemaker.containers_setup import Limits
from ml_platform.local_sagemaker.logs import LogStream
from ml_platform.local_sagemaker.model_servers import Container, ModelServer, NotHealthyError, ServerStartError
from ml_platform.local_sagemaker.objects import ObjectsError
from ml_platform.local_sagemaker.service import Service
from ml_platform.local_sagemaker.shadows import Copies


@dataclass(frozen=True)
class VariantPlan:
    """What one variant runs; a shadow variant gets copies of requests, and its answers reach nobody."""

    name: str
    container: Container
    weight: float = 1.0
    instances: int = 1
    shadow: bool = False


@dataclass(frozen=True)
class FleetPlan:
    """Everything that is needed to serve an endpoint config, in values that JSON can hold."""

    identity: str
    config: str
    variants: tuple[VariantPlan, ...]
    capture: dict[str, Any] | None = None
    asynchronous: dict[str, Any] | None = None
    """The ``AsyncInferenceConfig``, where there is one."""

    @property
    def production(self) -> tuple[VariantPlan, ...]:
        """The variants that answer callers."""
        return tuple(variant for variant in self.variants if not variant.shadow)

    @property
    def shadows(self) -> tuple[VariantPlan, ...]:
        """The variants that get copies."""
        return tuple(variant for variant in self.variants if variant.shadow)

    def as_json(self) -> dict[str, Any]:
        """Return the plan as a JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> "FleetPlan":
        """Read what ``as_json`` returned."""
        variants = tuple(
            VariantPlan(**{**variant, "container": _container(variant["container"])}) for variant in body["variants"]
        )
        return cls(**{**body, "variants": variants})

    def with_variant(self, name: str, *, weight: float | None = None, instances: int | None = None) -> "FleetPlan":
        """Return the plan with another weight or number of instances of one variant."""
        changes: dict[str, Any] = {"weight": weight, "instances": instances}
        given = {member: value for member, value in changes.items() if value is not None}
        variants = (replace(plan, **given) if plan.name == name else plan for plan in self.variants)
        return replace(self, variants=tuple(variants))

    def with_capture(self, capture: dict[str, Any] | None) -> "FleetPlan":
        """Return the plan with another data capture configuration."""
        return replace(self, capture=capture)


def _container(body: dict[str, Any]) -> Container:
    return Container(**{**body, "limits": Limits(**body.get("limits", {}))})


@dataclass
class _Instance:
    server: ModelServer
    directory: Path
    task: "asyncio.Task[None]"

    async def stop(self) -> None:
        """Finish the requests in flight, then stop the process."""
        await self.server.drain()
        self.task.cancel()
        await asyncio.wait({self.task})
        await asyncio.to_thread(shutil.rmtree, self.directory, ignore_errors=True)


@dataclass
class Variant:
    """The running instances of one production variant."""

    plan: VariantPlan
    instances: list[_Instance] = field(default_factory=list)

    def least_busy(self, avoid: ModelServer | None = None) -> ModelServer | None:
        """Return the ready server with the fewest requests in flight; ``avoid`` only when it is the only one."""
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

    async def start(self) -> None:
        """Start all servers and wait until each answers ``/ping``.

        Raises:
            ServerStartError: When one of them cannot; ``stop`` then ends the others.
        """
        await _together(self._scale_to(variant, variant.plan) for variant in self.variants.values())

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
        await _stop_all(instance for variant in self.variants.values() for instance in variant.instances)
        await asyncio.to_thread(shutil.rmtree, self._directory, ignore_errors=True)

    async def _scale_to(self, variant: Variant, plan: VariantPlan) -> None:
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

    def _launch(self, variant: Variant, archive: Path | None) -> _Instance:
        identity = f"i-{secrets.token_hex(9)[:17]}"
        stream = f"{variant.plan.name}/{identity}"
        directory = self._directory / variant.plan.name / identity
        log = self._service.logs.stream(log_group(self._endpoint), stream)
        server = ModelServer(self._service, variant.plan.container, directory, archive, log.write)
        server.title = f"{self._endpoint}/{self.plan.config}/{variant.plan.name}"
        server.on_change = self._notice_change
        task = self._service.spawn(_run_logged(server, log), f"model server {self._endpoint}/{stream}")
        return _Instance(server, directory, task)

    def _notice_change(self) -> None:
        self.on_change()

    async def _archive(self, plan: VariantPlan) -> Path | None:
        """Return the variant's model archive on this machine; it is downloaded once in a fleet's life."""
        url = plan.container.model_data_url
        if url is None:
            return None
        archive = self._directory / f"{plan.name}.tar.gz"
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
