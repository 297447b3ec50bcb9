"""What endpoints emit to CloudWatch: counted per request in memory, summed up when it is stored.

An invocation costs one tuple in a list; the sums are made once a second. Names, units and dimensions are SageMaker's.
"""

import time
from collections.abc import Iterable
from typing import NamedTuple

from ml_platform.local_sagemaker.clock import Clock
from ml_platform.local_sagemaker.cloudwatch.metric_store import Metric, Moment
from ml_platform.local_sagemaker.cloudwatch.statistics import Summary

NAMESPACE = "AWS/SageMaker"
OWN_NAMESPACE = "LocalSageMaker"
"""For what AWS does not tell."""
COUNTED, TIMED = "None", "Microseconds"
OK, CLIENT_ERROR, SERVER_ERROR = range(200, 300), range(400, 500), range(500, 600)
# If nothing is stored for long (a stuck disk), metrics are lost before memory is.
MAX_PENDING = 200_000


class Invocation(NamedTuple):
    """One invocation of a variant.

    Attributes:
        config: The endpoint config, while a deployment is guarded: SageMaker then emits each metric for it as well.
        instances: How many instances the variant had.
        status: What the model's server answered; 0 when it did not.
    """

    endpoint: str
    variant: str
    config: str | None
    instances: int
    status: int
    model_seconds: float | None
    overhead_seconds: float | None


class _Counts:
    __slots__ = ("client_errors", "model", "model_errors", "overhead", "requests", "server_errors", "shares")

    def __init__(self) -> None:
        self.requests = self.client_errors = self.server_errors = self.model_errors = 0
        self.shares: dict[float, int] = {}
        self.model, self.overhead = Summary(), Summary()

    def add(self, one: Invocation) -> None:
        self.requests += 1
        share = 1 / max(one.instances, 1)
        self.shares[share] = self.shares.get(share, 0) + 1
        if one.status not in OK:
            self.model_errors += 1
            self.client_errors += one.status in CLIENT_ERROR
            self.server_errors += one.status in SERVER_ERROR
        if one.model_seconds is not None:
            self.model.add(round(one.model_seconds * 1e6))
        if one.overhead_seconds is not None:
            self.overhead.add(round(one.overhead_seconds * 1e6))

    def metrics(self) -> Iterable[tuple[str, str, Summary]]:
        yield "Invocations", COUNTED, _sums((1.0, self.requests))
        yield "InvocationsPerInstance", COUNTED, _sums(*self.shares.items())
        for name, errors in (
            ("Invocation4XXErrors", self.client_errors),
            ("Invocation5XXErrors", self.server_errors),
            ("InvocationModelErrors", self.model_errors),
        ):
            yield name, COUNTED, _sums((1.0, errors), (0.0, self.requests - errors))
        yield "ModelLatency", TIMED, self.model
        yield "OverheadLatency", TIMED, self.overhead


class EndpointMetrics:
    """Invocations that are not stored yet."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pending: list[tuple[float, float, Invocation]] = []
        self._dropped: dict[tuple[Moment, str, str], int] = {}
        self._emitted: list[tuple[float, float, Metric, str, float]] = []

    def drop(self, endpoint: str, variant: str, resolution: int) -> None:
        """Count a request that a shadow variant missed because it was too far behind."""
        key = (Moment.of(time.time(), self._clock.position, resolution), endpoint, variant)
        self._dropped[key] = self._dropped.get(key, 0) + 1

    def emit(self, metric: Metric, unit: str, value: float) -> None:
        """Add a value to any metric, now."""
        if len(self._emitted) < MAX_PENDING:
            self._emitted.append((time.time(), self._clock.position, metric, unit, value))

    def record(self, invocation: Invocation) -> None:
        """Count one invocation."""
        if len(self._pending) < MAX_PENDING:
            self._pending.append((time.time(), self._clock.position, invocation))

    def drain(self, resolution: int) -> dict[tuple[Metric, Moment, str], Summary]:
        """Return and forget the sums by metric, moment (in multiples of the resolution, in milliseconds) and unit."""
        if not self._pending and not self._dropped and not self._emitted:
            return {}
        emitted, self._emitted = self._emitted, []
        pending, self._pending = self._pending, []
        dropped, self._dropped = self._dropped, {}
        counts: dict[tuple[Moment, str, str, str | None], _Counts] = {}
        for real, position, one in pending:
            at = Moment.of(real, position, resolution)
            counts.setdefault((at, one.endpoint, one.variant, one.config), _Counts()).add(one)
        sums: dict[tuple[Metric, Moment, str], Summary] = {}
        for (at, endpoint, variant, config), counted in counts.items():
            for name, unit, summary in counted.metrics():
                if summary.count:
                    for metric in _metrics(name, endpoint, variant, config):
                        sums.setdefault((metric, at, unit), Summary()).merge(summary)
        for (at, endpoint, variant), times in dropped.items():
            metric = Metric.of(OWN_NAMESPACE, "ShadowRequestsDropped", _dimensions(endpoint, variant))
            sums[metric, at, COUNTED] = _sums((1.0, times))
        for real, position, metric, unit, value in emitted:
            at = Moment.of(real, position, resolution)
            sums.setdefault((metric, at, unit), Summary()).add(value)
        return sums


def endpoint_metric(name: str, endpoint: str, variant: str | None = None) -> Metric:
    """Return a metric of an endpoint, or of one of its variants."""
    return Metric.of(NAMESPACE, name, _dimensions(endpoint, variant))


def _metrics(name: str, endpoint: str, variant: str, config: str | None) -> Iterable[Metric]:
    dimensions = _dimensions(endpoint, variant)
    yield Metric.of(NAMESPACE, name, dimensions)
    if config is not None:
        yield Metric.of(NAMESPACE, name, [*dimensions, {"Name": "EndpointConfigName", "Value": config}])


def _dimensions(endpoint: str, variant: str | None) -> list[dict[str, str]]:
    of_variant = [] if variant is None else [{"Name": "VariantName", "Value": variant}]
    return [{"Name": "EndpointName", "Value": endpoint}, *of_variant]


def _sums(*values: tuple[float, int]) -> Summary:
    summary = Summary()
    for value, times in values:
        if times:
            summary.add(value, times)
    return summary
