"""The environments of a serverless variant: when one more is started, when idle ones go, when callers are too many.

After AWS's description: an environment answers one request at a time, is started by the request that finds none free
(a cold start) and goes after a while without requests. Starting and stopping processes is ``fleets``' business.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ml_platform.local_sagemaker.model_servers import ModelServer
from ml_platform.local_sagemaker.service import validation

# AWS does not say how long; observers tell of minutes.
IDLE_SECONDS = 300
LOOK_SECONDS = 30
# Each is a real process here; more requests than that share them.
MOST_ENVIRONMENTS = 8
MEMORY_STEP_MB = 1024
MEBIBYTE = 1 << 20

Config = Mapping[str, Any]


class ThrottledError(Exception):
    """More requests than ``MaxConcurrency`` at a time."""


class ServerlessPool:
    """Which environment gets a request, and how many of them there shall be."""

    def __init__(self, config: Config, grow: Callable[[], None]) -> None:
        self.config = config
        self._grow = grow
        self._waiting = 0

    @property
    def kept(self) -> int:
        """How many environments stay without requests."""
        return min(int(self.config.get("ProvisionedConcurrency", 0)), MOST_ENVIRONMENTS)

    def enter(self, servers: Sequence[ModelServer]) -> None:
        """Let a request wait for an environment.

        Raises:
            ThrottledError: When it would be one too many.
        """
        if self._waiting + _busy(servers) >= self.config["MaxConcurrency"]:
            raise ThrottledError
        self._waiting += 1

    def leave(self) -> None:
        """Tell that a request waits no longer."""
        self._waiting -= 1

    def pick(self, servers: Sequence[ModelServer], avoid: ModelServer | None) -> ModelServer | None:
        """Return a server for a request, or None when it has to wait for one that is being started."""
        ready = [server for server in servers if server.ready]
        free = [server for server in ready if not server.in_flight and server is not avoid]
        if free:
            # The one that was used last: the others may become idle.
            return max(free, key=lambda server: server.last_used)
        most = min(self.config["MaxConcurrency"], MOST_ENVIRONMENTS)
        if len(servers) < min(max(self._waiting, 1) + _busy(servers), most):
            self._grow()
            return None
        shared = len(servers) >= most and ready
        return min(ready, key=lambda server: server.in_flight) if shared else None

    def idle(self, servers: Sequence[ModelServer], now: float) -> list[ModelServer]:
        """Return the servers that have had nothing to do for so long that they go."""
        rested = [server for server in servers if server.ready and not server.in_flight]
        rested = [server for server in rested if now - server.last_used >= IDLE_SECONDS]
        rested.sort(key=lambda server: server.last_used)
        return rested[: max(0, len(servers) - self.kept)]


def require_serverless_rules(request: Mapping[str, Any]) -> None:
    """Refuse an endpoint config whose serverless variants AWS would not take."""
    variants = [*request["ProductionVariants"], *request.get("ShadowProductionVariants", [])]
    serverless = [variant for variant in variants if "ServerlessConfig" in variant]
    if not serverless:
        return
    if len(variants) > 1:
        raise validation("An endpoint configuration with a serverless variant must have one production variant only.")
    for member in ("DataCaptureConfig", "AsyncInferenceConfig", "ExplainerConfig"):
        if member in request:
            raise validation(f"{member} is not supported for serverless variants.")
    for variant in serverless:
        require_sizes(variant["ServerlessConfig"])


def require_sizes(config: Config) -> None:
    """Refuse sizes that AWS does not have."""
    if config["MemorySizeInMB"] % MEMORY_STEP_MB:
        raise validation(
            f"Invalid MemorySizeInMB {config['MemorySizeInMB']}: valid values are in 1 GB increments: 1024 MB, "
            "2048 MB, 3072 MB, 4096 MB, 5120 MB, or 6144 MB."
        )
    if config.get("ProvisionedConcurrency", 0) > config["MaxConcurrency"]:
        raise validation(
            f"ProvisionedConcurrency ({config['ProvisionedConcurrency']}) must be less than or equal to MaxConcurrency "
            f"({config['MaxConcurrency']})."
        )


def _busy(servers: Sequence[ModelServer]) -> int:
    return sum(server.in_flight for server in servers)
