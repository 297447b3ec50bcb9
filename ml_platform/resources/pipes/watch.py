"""One run's view of one SageMaker job: start or adopt it, follow it with its log, messages and metrics, stop it.

What the job is and what its ending means for the run is ``client``.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster._core.pipes.context import PipesSession

from ml_platform.aws import job_lifecycle
from ml_platform.aws.job_kinds import JobKind
from ml_platform.aws.job_lifecycle import Job
from ml_platform.aws.job_logs import JobLogs
from ml_platform.resources.pipes import messages
from ml_platform.resources.pipes.report import job_metadata

if TYPE_CHECKING:
    from ml_platform.resources.pipes.client import PipesSageMakerClient

Context = dg.OpExecutionContext | dg.AssetExecutionContext


def op_of(context: Context) -> dg.OpExecutionContext:
    """Return the context of the op: Dagster deprecates these questions on the asset's."""
    return context.op_execution_context if isinstance(context, dg.AssetExecutionContext) else context


class Watch:
    """One run's view of one job."""

    def __init__(self, client: "PipesSageMakerClient", kind: JobKind, context: Context) -> None:
        self.client, self.kind, self.context = client, kind, context
        self.name = ""
        self.job: Job | None = None
        self.adopted = False

    def metadata(self) -> dict[str, Any]:
        """What is known of the job by now."""
        if self.job is None:
            return {}
        return job_metadata(self.kind, self.client.region, self.job, adopted=self.adopted, prices=self.client.prices)

    def follow(self, session: PipesSession, request: Mapping[str, Any], usable: Callable[[Any], bool]) -> Job:
        """Start or adopt the job, pass on its log lines, messages and metrics, and return it completed."""
        client = self.client
        with job_lifecycle.stopped_on_interrupt(lambda: self._stop(request), enabled=client.forward_termination):
            self.name = self.kind.start_or_adopt(client.region, request, usable)
            logs = JobLogs(client.region, self.kind.log_group, self.name, lambda line: self._take(line, session))

            def on_look(job: Job) -> None:
                if self.job is None:
                    self._meet(job, session, request)
                self._report_metrics(job)
                self.job = job
                logs.drain(job.phase)

            job = job_lifecycle.follow(
                lambda: self.kind.existing(client.region, self.name),
                on_look,
                clock=client.clock,
                sleep=client.sleep,
                poll_seconds=client.poll_interval,
            )
            self._await_last_messages(job, session, logs)
        return job

    def _meet(self, job: Job, session: PipesSession, request: Mapping[str, Any]) -> None:
        """Tell whether the job is ours, and read its messages where it was told to write them."""
        self.adopted = not self._is_ours(job, request)
        how = f"adopted: it was started before and is {job.status}" if self.adopted else "started"
        self._say(f"SageMaker {self.kind.name} job {job.name} is {how}.")
        written_to = messages.where_messages_are(job.environment)
        if written_to and not messages.in_the_log(written_to) and written_to != session.message_reader_params:
            session.report_launched({"extras": {}, **written_to})  # type: ignore[typeddict-item]  # readers merge all

    def _take(self, line: str, session: PipesSession) -> None:
        message = messages.pipes_message(line)
        if message is None:
            self.context.log.info(line)
            return
        try:
            session.message_handler.handle_message(message)
        except Exception as error:  # noqa: BLE001  # a container's odd message must not lose the job it comes from
            self.warn(f"cannot use the job's message {line[:500]}: {error}")

    def _report_metrics(self, job: Job) -> None:
        known = self.job.metrics if self.job else {}
        if job.metrics and job.metrics != known:
            figures = ", ".join(f"{name} {value:.6g}" for name, value in sorted(job.metrics.items()))
            self._say(f"{job.name}: {figures}")

    def _await_last_messages(self, job: Job, session: PipesSession, logs: JobLogs) -> None:
        reports = self.kind.reports and self.client.container_reports
        if not reports and not session.message_handler.received_opened_message:
            # Else Dagster warns that the container said nothing, which nobody expected it to.
            for method in ("opened", "closed"):
                session.message_handler.handle_message(messages.message(method))
            return
        # CloudWatch shows a line some seconds after it was written; a job that ended may still have things to say.
        if not messages.in_the_log(messages.where_messages_are(job.environment)):
            return
        waited = 0.0
        while not session.message_handler.received_closed_message and waited < self.client.log_grace_seconds:
            pause = min(1.0, self.client.poll_interval)
            self.client.sleep(pause)
            waited += pause
            logs.drain(job.phase)

    def _stop(self, request: Mapping[str, Any]) -> None:
        name = self.name or self._started_unseen(request)
        if name:
            self.warn(f"Dagster process interrupted! Will stop SageMaker {self.kind.name} job {name}.")
            self.kind.stop(self.client.region, name)

    def _started_unseen(self, request: Mapping[str, Any]) -> str:
        """Return the job that we had started, but not yet noted, when the interruption came."""
        for attempt in range(job_lifecycle.MAX_ATTEMPTS):
            name = job_lifecycle.attempt_name(request[self.kind.name_member], attempt)
            job = self.kind.describe(self.client.region, name)
            if job is None:
                break
            if job.status == job_lifecycle.IN_PROGRESS and self._is_ours(job, request):
                return name
        return ""

    @staticmethod
    def _is_ours(job: Job, request: Mapping[str, Any]) -> bool:
        variable = messages.CONTEXT_VARIABLE
        return bool(job.environment.get(variable) == request["Environment"][variable])

    def warn(self, message: str) -> None:
        """Log a warning in the manner of Dagster's own clients."""
        self.context.log.warning("[pipes] %s", message)

    def _say(self, message: str) -> None:
        self.context.log.info("[pipes] %s", message)
