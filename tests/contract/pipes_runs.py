"""Runs of an asset that a SageMaker job makes: in this process, or in one of its own (``python -m ... JSON``) to kill.

The order says what the job does: hyper-parameters of the reporter image, and a fingerprint of the inputs.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
from dagster import DagsterInstance
from dagster._utils.interrupts import capture_interrupts

from ml_platform.aws import clients
from ml_platform.aws.job_kinds import KindName
from ml_platform.resources.pipes.client import PipesSageMakerClient
from ml_platform.resources.pipes.names import job_name
from tests.contract.sagemaker_requests import REGISTRY, training_job

IMAGE = f"{REGISTRY}/test-reporter:latest"
KEY = ["shop", "model"]
REGION = "us-east-1"
ROOT = Path(__file__).resolve().parents[2]


def register_image(images_file: Path) -> None:
    """Add the reporter to the images of the stand-in."""
    script = Path(__file__).parent / "images" / "reporter.py"
    images = json.loads(images_file.read_text())
    images_file.write_text(
        json.dumps({**images, IMAGE: {role: [sys.executable, str(script)] for role in ("train", "process")}})
    )


def job_of(fingerprint: str) -> str:
    """The name of the job for inputs of this fingerprint."""
    return job_name(KEY, None, fingerprint)


def request(bucket: str, **parameters: str) -> dict[str, Any]:
    """A training job of the reporter image, without a name."""
    algorithm = {
        "TrainingImage": IMAGE,
        "TrainingInputMode": "File",
        "MetricDefinitions": [{"Name": "loss", "Regex": r"loss=([0-9.]+);"}],
    }
    whole = training_job(bucket, "", AlgorithmSpecification=algorithm, HyperParameters={"mode": "-", **parameters})
    return {name: value for name, value in whole.items() if name != "TrainingJobName"}


def definitions(bucket: str, parameters: dict[str, str], fingerprint: str, **client: Any) -> dg.Definitions:
    """An asset made by a training job, and a check that the job itself reports."""
    asked = request(bucket, **parameters) | client.pop("overrides", {})
    return made_by("training", asked, fingerprint, checks=["rows_arrived"], **client)


def made_by(
    kind: KindName, asked: dict[str, Any], fingerprint: str, checks: Sequence[str] = (), **client: Any
) -> dg.Definitions:
    """An asset made by a job."""

    @dg.asset(key=KEY, check_specs=[dg.AssetCheckSpec(name, asset=dg.AssetKey(KEY)) for name in checks])
    def model(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        pipes = PipesSageMakerClient(REGION, **{"poll_interval": 0.05, "log_grace_seconds": 1, **client})
        return pipes.run(context=context, kind=kind, params=asked, fingerprint=fingerprint).get_materialize_result()

    return dg.Definitions([model])


@dataclass(frozen=True)
class Outcome:
    """How a run ended, and what it shows."""

    success: bool
    metadata: dict[str, Any]
    materializations: int
    checks: list[bool]
    errors: list[str]
    retries: int
    failure: dict[str, Any]
    lines: list[str]


def run(definitions: dg.Definitions, instance: DagsterInstance | None = None) -> Outcome:
    """Run the asset here."""
    with instance or DagsterInstance.ephemeral() as used:
        result = definitions.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=used, raise_on_error=False, run_config={"loggers": {"console": {"config": {"log_level": "ERROR"}}}}
        )
        events = result.get_asset_materialization_events()
        failures = result.get_step_failure_events()
        user = [event.step_failure_data.user_failure_data for event in failures]
        return Outcome(
            success=result.success,
            metadata=values(events[0].materialization.metadata) if events else {},
            materializations=len(events),
            checks=[check.passed for check in result.get_asset_check_evaluations()],
            errors=[chain(event.step_failure_data.error) for event in failures],
            retries=len(result.filter_events(lambda event: event.is_step_up_for_retry)),
            failure=values(user[0].metadata) if user and user[0] else {},
            lines=[entry.user_message for entry in used.all_logs(result.run_id) if not entry.is_dagster_event],
        )


def values(metadata: Any) -> dict[str, Any]:
    return {name: value.value for name, value in metadata.items()}


def chain(error: Any) -> str:
    """An error with all its causes."""
    found = []
    while error is not None:
        found.append(error.message.strip())
        error = error.cause
    return " <- ".join(found)


def start_run(home: Path, bucket: str, parameters: dict[str, str], fingerprint: str) -> subprocess.Popen[bytes]:
    """Start a run in a process of its own, on an instance kept in ``home``."""
    home.mkdir(exist_ok=True)
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    return subprocess.Popen(
        [sys.executable, "-m", "tests.contract.pipes_runs", json.dumps([bucket, parameters, fingerprint])],
        cwd=ROOT,
        env={**os.environ, "DAGSTER_HOME": str(home)},
        stdout=subprocess.DEVNULL,
    )


def run_status(home: Path) -> str:
    """The status of the only run on the instance kept in ``home``."""
    with DagsterInstance.from_config(str(home)) as instance:
        (found,) = instance.get_runs()
        return found.status.value


def request_cancel(home: Path) -> None:
    """Note that somebody wants the run to end, as the UI does before the run's process gets its SIGTERM."""
    with DagsterInstance.from_config(str(home)) as instance:
        (found,) = instance.get_runs()
        instance.report_run_canceling(found)


def jobs(contains: str) -> dict[str, str]:
    """Every training job whose name contains something, with its status."""
    answer = clients.sagemaker(REGION).list_training_jobs(NameContains=contains, SortBy="Name", SortOrder="Ascending")
    return {job["TrainingJobName"]: job["TrainingJobStatus"] for job in answer["TrainingJobSummaries"]}


def wait_until(condition: Any, process: subprocess.Popen[bytes] | None = None, seconds: float = 30) -> None:
    """Wait for something another process does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert process is None or process.poll() is None, "the run ended before"
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


if __name__ == "__main__":
    with capture_interrupts():
        run(definitions(*json.loads(sys.argv[1])), DagsterInstance.get())
