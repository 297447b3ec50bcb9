"""Moments at which a job or a model server waits until it is told to go on: for whoever wants to look, or to kill.

A hold is a fault of kind ``hold`` that stays until it is removed; adding and removing one is ``admin``.
"""

import asyncio

from ml_platform.local_sagemaker.faults import Faults

LOOK_SECONDS = 0.05


async def held(faults: Faults, target: str, state: str, stop: asyncio.Event | None = None) -> None:
    """Return at once, unless a fault holds this job or server in this state: then when it is gone, or at a stop."""
    while faults.waits("hold", target, state=state) and not (stop and stop.is_set()):
        await asyncio.sleep(LOOK_SECONDS)
