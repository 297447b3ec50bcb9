"""What every operation gets: the service's state, the registry of operations and AWS's errors.

Operations live in the modules that ``operations`` imports; reading and writing HTTP is ``app`` and ``protocol``.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml_platform.local_sagemaker.clock import Clock
from ml_platform.local_sagemaker.containers import Runner
from ml_platform.local_sagemaker.faults import Faults
from ml_platform.local_sagemaker.images import Images
from ml_platform.local_sagemaker.logs import Logs
from ml_platform.local_sagemaker.objects import Objects
from ml_platform.local_sagemaker.store import Store
from ml_platform.local_sagemaker.usage import Usage

if TYPE_CHECKING:
    from ml_platform.local_sagemaker.async_invocations import AsyncInvocations
    from ml_platform.local_sagemaker.cloudwatch.monitoring import Monitoring
    from ml_platform.local_sagemaker.deployments import Deployments
    from ml_platform.local_sagemaker.job_metrics import MetricReader
    from ml_platform.local_sagemaker.notifications import Notifications

logger = logging.getLogger(__name__)

Request = dict[str, Any]
Response = dict[str, Any]
Handler = Callable[["Service", Request], Awaitable[Response | None]]

CLOSING_SCALE = 1 / 60
BROKEN = "InternalServerError: the local stand-in failed; its log has the traceback"
"""The failure reason of background work that a defect of ours has ended."""
OPERATIONS: dict[str, Handler] = {}


class AwsError(Exception):
    """An error that the caller receives as AWS would send it."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


def validation(message: str) -> AwsError:
    """Return a ValidationException."""
    return AwsError("ValidationException", message)


def not_found(message: str = "Requested resource not found.") -> AwsError:
    """Return the ValidationException with which SageMaker says that a name is unknown."""
    return validation(message)


def in_use(message: str) -> AwsError:
    """Return a ResourceInUse error: the name is taken."""
    return AwsError("ResourceInUse", message)


def unsupported(feature: str) -> AwsError:
    """Return the refusal of what AWS can do and the stand-in cannot: never accept it and do something else."""
    logger.warning("refused: the local stand-in does not implement %s", feature)
    return validation(f"The local SageMaker stand-in does not implement {feature}.")


def operation(name: str) -> Callable[[Handler], Handler]:
    """Register the handler of an operation. Its request is parsed and validated; its response is wire-ready values."""

    def register(handler: Handler) -> Handler:
        OPERATIONS[name] = handler
        return handler

    return register


@dataclass
class Service:
    """State and collaborators of one running stand-in. All operations run on one event loop."""

    home: Path
    region: str
    account: str
    store: Store
    objects: Objects
    logs: Logs
    clock: Clock
    images: Images
    runner: Runner
    faults: Faults = field(default_factory=Faults)
    stop_requests: dict[tuple[str, str], asyncio.Event] = field(default_factory=dict)
    """Set when a running job, named by kind and name, is asked to stop."""
    live_metrics: "dict[str, MetricReader]" = field(default_factory=dict)
    """What the running training jobs of tuning jobs print, by name."""
    tasks: set[asyncio.Task[Any]] = field(default_factory=set)
    hosting: "Deployments | None" = None
    monitoring: "Monitoring | None" = None
    notifications: "Notifications | None" = None
    async_invocations: "AsyncInvocations | None" = None
    usage: Usage = field(default_factory=Usage)
    """What the running containers use of processor and memory."""

    def arn(self, kind: str, name: str) -> str:
        """Return the ARN of a resource, e.g. ``arn("training-job", "fraud-1")``."""
        return f"arn:aws:sagemaker:{self.region}:{self.account}:{kind}/{name}"

    def spawn(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Run work in the background until it ends or the service closes; an unexpected error is logged."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self.tasks.add(task)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            logger.error("background task %s failed", task.get_name(), exc_info=error)

    async def close(self) -> None:
        """Cancel all background work and wait until its processes are gone."""
        # AWS gives containers up to two minutes to end; a stop of everything must not take that long.
        self.clock = Clock(min(self.clock.scale, CLOSING_SCALE))
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.store.close()
        self.faults.close()
