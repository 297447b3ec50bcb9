"""What is measured once a minute, whether or not anybody calls: backlogs. A minute follows the service's clock."""

import asyncio
import logging

from ml_platform.local_sagemaker.async_invocations import report_backlogs
from ml_platform.local_sagemaker.service import Service

logger = logging.getLogger(__name__)

MINUTE_SECONDS, LEAST_PAUSE = 60, 0.5


async def report_gauges(service: Service) -> None:
    """Emit all gauges, for as long as the service runs."""
    while True:
        await asyncio.sleep(max(service.clock.real_seconds(MINUTE_SECONDS), LEAST_PAUSE))
        try:
            report_backlogs(service)
        except Exception:
            # One endpoint that cannot be measured must not end the measuring of all others.
            logger.exception("a round of gauges failed inside the stand-in")
