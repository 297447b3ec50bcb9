"""A code location for the crash table: one asset that a SageMaker job makes, one that an endpoint is moved by.

What a run shall do is its configuration. A sensor launches what is written into the folder that ``CRASH_ORDERS`` names,
so that a test can order runs from a daemon. ``python -m tests.loop.crash_location ORDERS`` makes all of them at once.
"""

import json
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
from dagster import DagsterInstance
from dagster_aws.pipes import PipesS3ContextInjector

from ml_platform.aws import clients
from ml_platform.core.clock import Sleep, sleep
from ml_platform.core.settings import Settings
from ml_platform.deployment import rollout
from ml_platform.deployment.rollout_plan import RolloutPolicy
from ml_platform.registry import lookup
from ml_platform.resources.pipes.client import PipesSageMakerClient
from ml_platform.resources.pipes.retries import PATIENT

MADE = dg.AssetKey(["crash", "made"])
LIVE = dg.AssetKey(["crash", "live"])
POLICY = RolloutPolicy(canary_percent=50, baking_seconds=3600)
ORDERS = "CRASH_ORDERS"


def mark(settings: Settings, name: str, process: int) -> Path:
    """The file that says that a process waits for this job or endpoint."""
    return settings.home / f"waiting-{process}-{name}"


def seen_to_wait(name: str) -> Sleep:
    """Return a way to wait that can be seen from outside."""

    def wait(seconds: float) -> None:
        mark(Settings.load(), name, os.getpid()).touch()
        sleep(seconds)

    return wait


class Job(dg.Config):
    """A SageMaker job: its kind, its inputs' fingerprint, and its request as JSON."""

    kind: str
    inputs: str
    request: str


class Deployment(dg.Config):
    """A version of a model to put live."""

    model: str
    version: int


@dg.asset(key=MADE)
def made(context: dg.AssetExecutionContext, config: Job) -> dg.MaterializeResult:
    """Adopt or start the job."""
    settings = Settings.load()
    by_s3 = PipesS3ContextInjector(bucket=settings.bucket, client=clients.s3(settings.region))
    pipes = PipesSageMakerClient(
        settings.region,
        context_injector=by_s3 if config.kind == "processing" else None,
        poll_interval=settings.poll_seconds,
        log_grace_seconds=1,
        retries=PATIENT,
        sleep=seen_to_wait(config.inputs),
    )
    done = pipes.run(context=context, kind=config.kind, params=json.loads(config.request), fingerprint=config.inputs)  # type: ignore[arg-type]
    return dg.MaterializeResult(metadata=done.get_materialize_result().metadata)


@dg.asset(key=LIVE)
def live(config: Deployment) -> dg.MaterializeResult:
    """Move the endpoint, with a canary of an hour."""
    settings = Settings.load()
    packages = lookup.list_packages(settings.region, config.model)
    package = next(package for package in packages if package.version == config.version)
    served = rollout.deploy(settings, config.model, package, POLICY, sleep=seen_to_wait(config.model))
    return dg.MaterializeResult(metadata={"version": served.version})


@dg.sensor(
    target=[made, live], default_status=dg.DefaultSensorStatus.RUNNING, minimum_interval_seconds=1, name="orders"
)
def orders() -> Iterator[dg.RunRequest]:
    """Launch each order once."""
    for path in sorted(Path(os.environ[ORDERS]).glob("*.json")):
        order = json.loads(path.read_text())
        yield dg.RunRequest(run_key=path.stem, run_config=run_config(order), asset_selection=[key_of(order)])


defs = dg.Definitions([made, live], sensors=[orders], executor=dg.in_process_executor)


def key_of(order: dict[str, Any]) -> dg.AssetKey:
    """Return the asset that an order is about."""
    return MADE if "kind" in order else LIVE


def run_config(order: dict[str, Any]) -> dict[str, Any]:
    """Return an order as the configuration of its run."""
    return {"ops": {key_of(order).to_python_identifier(): {"config": order}}}


def run_all(given: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Make the runs of all orders at once; return how each ended: nothing, or the innermost error."""
    ended: dict[str, str] = {}
    job = defs.resolve_implicit_global_asset_job_def()

    def run(name: str) -> None:
        with DagsterInstance.ephemeral() as instance:
            result = job.execute_in_process(
                run_config={
                    **run_config(given[name]),
                    "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
                },
                asset_selection=[key_of(given[name])],
                instance=instance,
                raise_on_error=False,
            )
        error = next((event.step_failure_data.error for event in result.get_step_failure_events()), None)
        while error is not None and error.cause is not None:
            error = error.cause
        ended[name] = "" if result.success else (error.message.strip() if error else "failed")

    threads = [threading.Thread(target=run, args=[name]) for name in given]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return ended


if __name__ == "__main__":
    sys.stdout.write(json.dumps(run_all(json.loads(sys.argv[1]))))
