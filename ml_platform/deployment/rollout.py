"""Put a model package behind its endpoint, and believe only what the endpoint says afterwards.

Every step may have been done before by an attempt that died half way: names are functions of the contents, so what
exists under a name is what we would have created.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from ml_platform.aws import alarms, endpoints
from ml_platform.aws.model_packages import ModelPackage
from ml_platform.core import names
from ml_platform.core.clock import Clock, Sleep, sleep, utc_now
from ml_platform.core.errors import EndpointError, RolloutRolledBackError
from ml_platform.core.settings import Settings
from ml_platform.deployment.endpoint_config import deployed_name, endpoint_config_request
from ml_platform.deployment.rollout_plan import RolloutPolicy, alarm_requests, update_endpoint_request

DEADLINE_SECONDS = 3600.0
ALARMS_SETTLE_SECONDS = 300.0
"""How long alarms may take to be evaluated and silent; then SageMaker decides what they mean."""


class LiveEndpoint(BaseModel):
    """What an endpoint serves after a deployment, as SageMaker describes it."""

    model_config = ConfigDict(frozen=True)

    endpoint: str
    config: str
    package_arn: str
    version: int
    status: str
    since: datetime
    previous_config: str | None = None
    changed: bool = True


@dataclass(frozen=True, slots=True)
class _Waiting:
    """How to wait for one endpoint."""

    settings: Settings
    endpoint: str
    clock: Clock
    sleep: Sleep
    on_progress: Callable[[str], None]

    def until_settled(self) -> endpoints.EndpointState | None:
        return endpoints.wait_until_settled(
            self.settings.region,
            self.endpoint,
            clock=self.clock,
            sleep=self.sleep,
            poll_seconds=self.settings.poll_seconds,
            deadline_seconds=DEADLINE_SECONDS,
            on_progress=self.on_progress,
        )

    def until_in_service(self) -> endpoints.EndpointState:
        return endpoints.wait_in_service(
            self.settings.region,
            self.endpoint,
            clock=self.clock,
            sleep=self.sleep,
            poll_seconds=self.settings.poll_seconds,
            deadline_seconds=DEADLINE_SECONDS,
            on_progress=self.on_progress,
        )


def deploy(
    settings: Settings,
    model: str,
    package: ModelPackage,
    policy: RolloutPolicy = RolloutPolicy(),  # noqa: B008  # frozen
    *,
    clock: Clock = utc_now,
    sleep: Sleep = sleep,
    on_progress: Callable[[str], None] = lambda _: None,
) -> LiveEndpoint:
    """Make the model's endpoint serve a package, as the policy says, and return what is live then.

    An endpoint that serves it already is left alone; one that is being changed is waited for first; one that failed
    to come up is deleted and created anew.

    Raises:
        EndpointError: When the package is not approved, or the endpoint does not come into service.
        RolloutRolledBackError: When SageMaker went back to the previous config.
    """
    if not package.approved:
        raise EndpointError(
            f"Version {package.version} of {model} is {package.status}: only approved packages are deployed. "
            f"Approve it with `ml-platform approve`."
        )
    region, endpoint = settings.region, names.endpoint(model)
    count = policy.instance_count
    config = deployed_name(
        settings, model=model, version=package.version, package_arn=package.arn, instance_count=count
    )
    waiting = _Waiting(settings, endpoint, clock, sleep, on_progress)

    before = _without_failed(waiting, waiting.until_settled())
    if before is not None and before.config == config and before.status == endpoints.IN_SERVICE:
        on_progress(f"endpoint {endpoint} serves version {package.version} already")
        return _live(before, package, previous_config=None, changed=False)

    endpoints.create_model(region, endpoints.packaged_model_request(config, package.arn, settings.role_arn))
    endpoints.create_endpoint_config(
        region, endpoint_config_request(settings, model=model, name=config, instance_count=count)
    )
    if before is None:
        on_progress(f"creating endpoint {endpoint} with version {package.version}")
        endpoints.create_endpoint(region, {"EndpointName": endpoint, "EndpointConfigName": config})
        after, spoke = waiting.until_in_service(), list[str]()
    else:
        on_progress(f"moving endpoint {endpoint} from {before.config} to {config}, {_in_words(policy)}")
        after, spoke = _update(waiting, policy, config)
    if after.config != config:
        reasons = [*([after.failure_reason] if after.failure_reason else []), *spoke]
        raise RolloutRolledBackError(
            f"Endpoint {endpoint} went back to {after.config} instead of serving {config}: "
            f"{'; '.join(reasons) or 'SageMaker gave no reason, look at the logs of the new fleet'}. "
            "Requests are answered by the previous model. Reject the package, or mend its cause and deploy again."
        )
    return _live(after, package, previous_config=before.config if before else None, changed=True)


def _update(waiting: _Waiting, policy: RolloutPolicy, config: str) -> tuple[endpoints.EndpointState, list[str]]:
    """Move the endpoint; return how it ended, and what the alarms of this deployment say against the new fleet."""
    region = waiting.settings.region
    watched = alarms.put(region, alarm_requests(policy, endpoint=waiting.endpoint, config=config))
    try:
        _until_silent(waiting, watched)
        endpoints.update_endpoint(
            region, update_endpoint_request(policy, endpoint=waiting.endpoint, config=config, alarms=watched)
        )
        return waiting.until_in_service(), alarms.in_alarm(region, watched)
    finally:
        # They name this deployment's config, and would stay in alarm for ever after a rollback.
        alarms.delete(region, watched)


def _until_silent(waiting: _Waiting, watched: list[str]) -> None:
    """Wait until every alarm was evaluated and is not in alarm.

    They also read the minutes before: the errors of a fleet that was rolled back just now would send the same config
    back again, however well it was mended. And one that was never evaluated guards nothing.
    """
    began, told = waiting.clock(), False
    while loud := alarms.not_ok(waiting.settings.region, watched):
        if (waiting.clock() - began).total_seconds() > ALARMS_SETTLE_SECONDS:
            return
        if not told:
            waiting.on_progress(f"waiting until {' and '.join(loud)} can watch")
            told = True
        waiting.sleep(waiting.settings.poll_seconds)


def _in_words(policy: RolloutPolicy) -> str:
    if not policy.guarded:
        return "all at once"
    return f"{policy.canary_percent} % first, watched for {policy.baking_seconds} s"


def _without_failed(waiting: _Waiting, state: endpoints.EndpointState | None) -> endpoints.EndpointState | None:
    """Return the endpoint to update; one that never came up cannot be updated, so it makes room."""
    if state is None or state.status != endpoints.FAILED:
        return state
    waiting.on_progress(f"endpoint {state.name} had failed ({state.failure_reason}): deleting it")
    endpoints.delete_endpoint(waiting.settings.region, state.name)
    return waiting.until_settled()


def _live(
    state: endpoints.EndpointState, package: ModelPackage, *, previous_config: str | None, changed: bool
) -> LiveEndpoint:
    return LiveEndpoint(
        endpoint=state.name,
        config=state.config,
        package_arn=package.arn,
        version=package.version,
        status=state.status,
        since=state.changed_at,
        previous_config=previous_config,
        changed=changed,
    )
