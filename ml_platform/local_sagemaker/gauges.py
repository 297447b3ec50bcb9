"""What is measured once a minute, whether or not anybody calls: backlogs, use of processor and memory.

A minute follows the service's clock, down to half a second; use of processor and memory is not measured of minutes that
a step of the clock skips.
"""

import asyncio
import logging
from functools import partial

from ml_platform.local_sagemaker.async_invocations import report_backlogs
from ml_platform.local_sagemaker.cloudwatch.metric_store import Metric
from ml_platform.local_sagemaker.cloudwatch.monitoring import monitoring_of
from ml_platform.local_sagemaker.service import Service

logger = logging.getLogger(__name__)

MINUTE_SECONDS, LEAST_PAUSE = 60, 0.5


async def report_gauges(service: Service) -> None:
    """Emit all gauges, for as long as the service runs."""
    service.clock.followers.append(partial(_report_queues, service))
    while True:
        await asyncio.sleep(max(service.clock.real_seconds(MINUTE_SECONDS), LEAST_PAUSE))
        await _report_queues(service)
        try:
            await _report_usage(service)
        except Exception:
            # One endpoint that cannot be measured must not end the measuring of all others.
            logger.exception("a round of gauges failed inside the stand-in")


async def _report_queues(service: Service) -> None:
    try:
        report_backlogs(service)
    except Exception:
        # One queue that cannot be measured must not end the measuring of the endpoints.
        logger.exception("measuring the queues failed inside the stand-in")


async def _report_usage(service: Service) -> None:
    # The processes are read in a thread: on a busy machine that takes longer than an invocation.
    values: list[tuple[Metric, str, float]] = []
    await asyncio.to_thread(service.usage.report, lambda *value: values.append(value))
    for metric, unit, value in values:
        monitoring_of(service).endpoints.emit(metric, unit, value)
