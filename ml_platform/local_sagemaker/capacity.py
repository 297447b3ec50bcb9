"""Instances that a training job waits for, loses, or takes from a warm pool. Scripted by ``faults``."""

import asyncio
from typing import Any

from ml_platform.local_sagemaker.holds import held
from ml_platform.local_sagemaker.service import Service
from ml_platform.local_sagemaker.warm_pools import take_pool

# How often SageMaker asks for spot capacity again is not documented.
SPOT_RETRY_SECONDS = 60
LOOK_SECONDS = 0.1


class NoCapacityError(Exception):
    """There is no instance of the requested type; the message is the job's failure reason."""


async def wait_for_instances(service: Service, body: dict[str, Any]) -> None:
    """Return once a job has its instances: at once from a warm pool, or unless a fault says otherwise.

    Raises:
        NoCapacityError: When there are none. A spot job waits for them instead.
    """
    name = body["TrainingJobName"]
    await held(service.faults, name, "Starting")
    if take_pool(service, body):
        return
    while service.faults.take("capacity", name) is not None:
        if not body.get("EnableManagedSpotTraining"):
            raise NoCapacityError(
                "CapacityError: Unable to provision requested ML compute capacity. Please retry using a different ML "
                "instance type."
            )
        await service.clock.sleep(SPOT_RETRY_SECONDS)
    if (slow := service.faults.take("slow-start", name)) is not None:
        await asyncio.sleep(slow.get("seconds", 1.0))


async def watch_spot(service: Service, name: str, reclaimed: asyncio.Event) -> None:
    """Set ``reclaimed`` when a fault takes a running spot job's capacity away."""
    while (fault := service.faults.take("spot-interruption", name)) is None:
        await asyncio.sleep(LOOK_SECONDS)
    await asyncio.sleep(fault.get("seconds", 0.0))
    reclaimed.set()
