"""A Dagster Pipes client for SageMaker jobs that outlive the run that started them.

The job's name follows from its inputs: a step that is retried, or a run that is launched again after a crash, finds
the job it started and follows it, or takes over its result. Nothing is started twice. Calls to AWS are
``aws.job_kinds``; following one job is ``watch``.
"""

import copy
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NoReturn

import dagster as dg
from dagster._core.definitions.resource_annotation import TreatAsResourceParam
from dagster._core.pipes.client import PipesClientCompletedInvocation
from dagster._core.pipes.context import PipesExecutionResult, PipesSession

from ml_platform.aws.job_kinds import KINDS, JobKind, KindName
from ml_platform.aws.job_lifecycle import Job
from ml_platform.core.clock import Clock, Sleep, sleep, utc_now
from ml_platform.core.errors import MLPlatformError
from ml_platform.core.fingerprint import fingerprint_json
from ml_platform.resources.pipes import messages
from ml_platform.resources.pipes.names import job_name
from ml_platform.resources.pipes.retries import NEVER, TRANSIENT, Retries
from ml_platform.resources.pipes.watch import Context, Watch, op_of
from ml_platform.resources.sagemaker_prices import INDICATIVE_PRICES, PriceTable

# E.g. the bar in the key of a partition of two dimensions.
_TAG_FORBIDS = re.compile(r"[^\w\s.:/=+\-@]")


class PipesSageMakerInvocation(PipesClientCompletedInvocation):
    """A completed job and what it reported."""

    def __init__(self, session: PipesSession, job: Job, metadata: Mapping[str, Any]) -> None:
        super().__init__(session, metadata=dict(metadata))
        self.job = job

    def get_results(self, *, implicit_materializations: bool = True) -> Sequence[PipesExecutionResult]:
        """Return what the job reported, the last word on each asset and check.

        A container that is started again after a spot interruption, or runs on several instances, says things twice.
        """
        results = super().get_results(implicit_materializations=implicit_materializations)
        return tuple(
            {
                (type(result), result.asset_key, getattr(result, "check_name", None)): result for result in results
            }.values()
        )


class PipesSageMakerClient(dg.PipesClient, TreatAsResourceParam):
    """A Pipes client for SageMaker training, processing and transform jobs.

    Args:
        region: AWS region.
        context_injector: Defaults to ``PipesSageMakerContextInjector``: through the job's environment.
        message_reader: Defaults to ``PipesSageMakerLogMessageReader``: by the job's log.
            dagster-aws's ``PipesS3MessageReader`` works too.
        forward_termination: Stop the job when the Dagster process is interrupted.
        poll_interval: Seconds between two looks at the job.
        log_grace_seconds: How long to wait, after the job has completed, for its last messages to reach the log.
        container_reports: Whether the containers write Pipes messages; nobody waits for those of one that does not.
        retries: After which endings a step asks Dagster for a retry, and when: ``retries.PATIENT``, or a table
            of your own. By default that is left to the asset's own retry policy.
        prices: For cost estimates.
        clock: Present instant.
        sleep: Waits between two looks.
    """

    def __init__(  # noqa: PLR0913  # all optional; dagster-aws's convention
        self,
        region: str,
        *,
        context_injector: dg.PipesContextInjector | None = None,
        message_reader: dg.PipesMessageReader | None = None,
        forward_termination: bool = True,
        poll_interval: float = 5.0,
        log_grace_seconds: float = 10.0,
        container_reports: bool = True,
        retries: Retries = NEVER,
        prices: PriceTable = INDICATIVE_PRICES,
        clock: Clock = utc_now,
        sleep: Sleep = sleep,
    ) -> None:
        self.region = region
        self.context_injector = context_injector or messages.PipesSageMakerContextInjector()
        self.message_reader = message_reader or messages.PipesSageMakerLogMessageReader()
        self.forward_termination = forward_termination
        self.poll_interval = poll_interval
        self.log_grace_seconds = log_grace_seconds
        self.container_reports = container_reports
        self.retries = retries
        self.prices = prices
        self.clock, self.sleep = clock, sleep

    def run(  # type: ignore[override]  # each client has parameters of its own
        self,
        *,
        context: Context,
        kind: KindName,
        params: Mapping[str, Any],
        fingerprint: str | None = None,
        extras: dict[str, Any] | None = None,
        usable: Callable[[Any], bool] = lambda _: True,
    ) -> PipesSageMakerInvocation:
        """Return the completed job that these parameters ask for, starting it only when no run did so before.

        Args:
            context: The step's context.
            kind: Kind of the job.
            params: What ``CreateTrainingJob``, ``CreateProcessingJob`` or ``CreateTransformJob`` gets. Left as it is.
                Without a name, the job gets one made of asset, partition and fingerprint; a name that is given must
                be a function of the inputs.
            fingerprint: Over everything the outcome depends on; by default, over ``params``.
            extras: For the container, by the Pipes context.
            usable: Whether a completed job may be adopted, e.g. because its result is still there.

        Raises:
            dagster.Failure: With the reason and the job's metadata; ``allow_retries`` says whether one can help.
            dagster.RetryRequested: After an ending that ``retries`` lists.
        """
        watch = Watch(self, KINDS[kind], context)
        try:
            with self._session(context, extras) as session:
                request = self._request(watch.kind, context, session, params, fingerprint)
                job = watch.follow(session, request, usable)
            return PipesSageMakerInvocation(session, job, watch.metadata())
        except MLPlatformError as error:
            self._fail(context, watch, error)

    @contextmanager
    def _session(self, context: Context, extras: dict[str, Any] | None) -> Iterator[PipesSession]:
        # A reader of dagster-aws remembers how far it has read, and where: each session gets a fresh one.
        reader = copy.copy(self.message_reader)
        with ExitStack() as stack:
            with warnings.catch_warnings():
                # Dagster's own code uses here what Dagster calls deprecated or a preview.
                warnings.simplefilter("ignore")
                session = stack.enter_context(
                    dg.open_pipes_session(
                        context=context, context_injector=self.context_injector, message_reader=reader, extras=extras
                    )
                )
            yield session

    def _request(
        self,
        kind: JobKind,
        context: Context,
        session: PipesSession,
        params: Mapping[str, Any],
        fingerprint: str | None,
    ) -> dict[str, Any]:
        path, partition = _what_is_made(context)
        name = params.get(kind.name_member) or job_name(path, partition, fingerprint or fingerprint_json(dict(params)))
        environment = {**params.get("Environment", {}), **session.get_bootstrap_env_vars()}
        messages.check_environment(kind, environment)
        tags = {tag["Key"]: tag["Value"] for tag in params.get("Tags", [])}
        tags |= {key: _TAG_FORBIDS.sub("_", value)[:256] for key, value in context.run.dagster_execution_info.items()}
        return {
            **params,
            kind.name_member: name,
            "Environment": environment,
            "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
        }

    def _fail(self, context: Context, watch: Watch, error: MLPlatformError) -> NoReturn:
        failure = dg.Failure(str(error), metadata=watch.metadata(), allow_retries=isinstance(error, TRANSIENT))
        retry = next((retry for kind, retry in self.retries.items() if isinstance(error, kind)), None)
        if retry is None:
            raise failure from error
        wait = retry.wait_seconds(op_of(context).retry_number, self.poll_interval)
        watch.warn(f"{error} A retry can succeed: next attempt in {wait:.0f} s, if any is left.")
        failure.__cause__ = error
        raise dg.RetryRequested(max_retries=retry.times, seconds_to_wait=wait) from failure


def _what_is_made(context: Context) -> tuple[Sequence[str], str | None]:
    """Return the asset's key, or the op's name, and the partition."""
    keys = sorted(context.selected_asset_keys) if context.has_assets_def else []
    path: Sequence[str] = keys[0].path if len(keys) == 1 else [op_of(context).op.name]
    if context.has_partition_key:
        return path, context.partition_key
    if context.has_partition_key_range:
        span = context.partition_key_range
        return path, f"{span.start}...{span.end}"
    return path, None
