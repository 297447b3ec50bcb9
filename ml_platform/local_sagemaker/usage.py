"""CPUUtilization and MemoryUtilization of the real processes behind instances, in SageMaker's namespaces.

Percent as SageMaker counts it: processor time of all processes of a container, up to 100 a core; memory as a part of
what the instance type has. When it is measured is ``gauges``' business.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import psutil

from ml_platform.local_sagemaker.cloudwatch.metric_store import Metric

Emit = Callable[[Metric, str, float], None]
FindPid = Callable[[], int | None]

ENDPOINTS = "/aws/sagemaker/Endpoints"
JOBS = {
    "training-job": "/aws/sagemaker/TrainingJobs",
    "processing-job": "/aws/sagemaker/ProcessingJobs",
    "transform-job": "/aws/sagemaker/TransformJobs",
}
ATTRIBUTES = ["pid", "ppid", "cpu_times", "memory_info"]


@dataclass(eq=False)
class Watched:
    """A container whose use is measured: its metrics' place, its first process, its instance's memory."""

    namespace: str
    dimensions: Mapping[str, str]
    find_pid: FindPid
    memory_bytes: int
    sampled_at: float = field(default_factory=time.monotonic)
    cpu_seconds: dict[int, float] = field(default_factory=dict)
    """Processor time of each process at the last look; a process that is new since then started at zero."""


class Usage:
    """The containers that are measured."""

    def __init__(self) -> None:
        self._watched: list[Watched] = []

    def watch(
        self, namespace: str, dimensions: Mapping[str, str], find_pid: FindPid, memory_bytes: int | None
    ) -> Callable[[], None]:
        """Measure a container from now on, until the function returned is called."""
        watched = Watched(namespace, dimensions, find_pid, memory_bytes or psutil.virtual_memory().total)
        self._watched.append(watched)

        def forget() -> None:
            if watched in self._watched:
                self._watched.remove(watched)

        return forget

    def watch_job(self, kind: str, name: str, pids: Iterable[int], memory_bytes: int | None) -> Callable[[], None]:
        """Measure the instances of a job; return what ends that."""
        forgets = [
            self.watch(JOBS[kind], {"Host": f"{name}/algo-{number}"}, lambda pid=pid: pid, memory_bytes)  # type: ignore[misc]
            for number, pid in enumerate(pids, start=1)
            if kind in JOBS
        ]

        def forget() -> None:
            for each in forgets:
                each()

        return forget

    def report(self, emit: Emit) -> None:
        """Emit what every container has used since the last report. Reads all processes of the machine, once."""
        if not self._watched:
            return
        found = {process.info["pid"]: process.info for process in psutil.process_iter(ATTRIBUTES)}
        children: dict[int, list[int]] = defaultdict(list)
        for pid, info in found.items():
            children[info["ppid"]].append(pid)
        for watched in [*self._watched]:
            pid = watched.find_pid()
            if pid is not None and pid in found:
                _report(watched, [found[one] for one in _tree(pid, children)], emit)


def _tree(pid: int, children: Mapping[int, list[int]]) -> Iterable[int]:
    left = [pid]
    while left:
        one = left.pop()
        yield one
        left.extend(children.get(one, ()))


def _report(watched: Watched, processes: list[dict], emit: Emit) -> None:
    now = time.monotonic()
    # What may not be read (None) is another user's or has just ended.
    seconds = {each["pid"]: sum(each["cpu_times"][:2]) for each in processes if each["cpu_times"]}
    memory = sum(each["memory_info"].rss for each in processes if each["memory_info"])
    used = sum(max(0.0, value - watched.cpu_seconds.get(pid, 0.0)) for pid, value in seconds.items())
    elapsed = now - watched.sampled_at
    watched.sampled_at, watched.cpu_seconds = now, seconds
    dimensions = [{"Name": name, "Value": value} for name, value in watched.dimensions.items()]
    for name, percent in (
        ("CPUUtilization", 100 * used / elapsed if elapsed else 0.0),
        ("MemoryUtilization", min(100.0, 100 * memory / watched.memory_bytes)),
    ):
        emit(Metric.of(watched.namespace, name, dimensions), "Percent", percent)
