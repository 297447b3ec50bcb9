"""Forgetting everything while the service goes on: what `POST /_stand-in/reset` does, for suites of many tests.

Running containers are stopped first. What lies in S3 and CloudWatch Logs belongs to the ground services and stays.
"""

import asyncio
import shutil

from ml_platform.local_sagemaker import operations
from ml_platform.local_sagemaker.clock import Clock
from ml_platform.local_sagemaker.service import CLOSING_SCALE, Service
from ml_platform.local_sagemaker.usage import Usage

# The service itself holds these open.
KEPT = ("lock", "faults.sqlite", "resources.sqlite")


async def forget_everything(service: Service) -> None:
    """Bring a service to the state of one that was started on an empty home."""
    scale = service.clock.scale
    # As at the end of the service: containers get two AWS minutes to end, which may be real ones.
    service.clock = Clock(min(scale, CLOSING_SCALE))
    ending = [*service.tasks]
    for task in ending:
        task.cancel()
    await asyncio.gather(*ending, return_exceptions=True)
    service.clock = Clock(scale)
    service.stop_requests.clear()
    service.live_metrics.clear()
    service.hosting = service.monitoring = service.notifications = service.async_invocations = None
    service.usage = Usage()
    service.faults.clear()
    service.store.clear()
    await asyncio.to_thread(_empty, service)
    await operations.recover(service)


def _empty(service: Service) -> None:
    for path in service.home.iterdir():
        if path.name.startswith(KEPT):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.suffix != ".log":
            path.unlink()
