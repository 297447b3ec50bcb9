"""The world of the crash table: a stand-in that may be killed, and the stages between train and deploy to kill at.

Each stage says what a run is to do, when it has got there, how it is let go on, and what must be so in the end.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from ml_platform.aws import clients, model_packages
from ml_platform.aws.objects import ObjectStore
from ml_platform.core import names
from ml_platform.core.settings import Settings
from ml_platform.deployment import rollout
from ml_platform.registry.model_package import Submission, approve, register
from ml_platform.resources.pipes.names import job_name
from tests.builders import platform, small_world
from tests.conftest import free_port, killed_in_the_end, start_stand_in
from tests.contract import pipes_runs
from tests.contract.sagemaker_requests import ROLE, SERVER_IMAGE, archive
from tests.loop.crash_location import MADE, POLICY, mark

ROOT = Path(__file__).resolve().parents[2]
REGION = "us-east-1"
SCALE = 0.01
SPOT = {
    "EnableManagedSpotTraining": True,
    "StoppingCondition": {"MaxRuntimeInSeconds": 300, "MaxWaitTimeInSeconds": 600},
}
STATES = {"starting": "Starting", "downloading": "Downloading", "uploading": "Uploading", "interrupted": "Interrupted"}

TRAINING = ("starting", "downloading", "training", "uploading", "interrupted")
OTHER_JOBS = ("processing", "transform")
ENDPOINTS = ("creating", "updating")
STAGES = (*TRAINING, *OTHER_JOBS, *ENDPOINTS)


def eventually(look: Callable[[], Any], what: str, seconds: float = 120) -> Any:
    """Return the first true value that ``look`` gives."""
    deadline = time.monotonic() + seconds
    while not (value := look()):
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.05)
    return value


def processes_in(folder: Path) -> list[int]:
    """Return the processes whose files are in a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            seen = (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
        except OSError:
            continue
        if f"{folder}".encode() in seen:
            found.append(int(process.name))
    return found


@dataclass
class CrashWorld:
    """One platform with a stand-in of its own."""

    settings: Settings
    home: Path
    images: Path
    ground: str
    port: int
    process: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        self.start()

    @property
    def sagemaker(self) -> Any:
        return clients.sagemaker(REGION)

    @property
    def store(self) -> ObjectStore:
        return ObjectStore.from_settings(self.settings)

    def start(self) -> None:
        """Start the stand-in."""
        self.process = start_stand_in(self.home, self.images, self.ground, self.port, "--time-scale", str(SCALE))

    def kill_stand_in(self) -> None:
        """Kill it without a last word, and start another."""
        self.process.kill()
        self.process.wait()
        self.start()

    def ask(self, method: str, path: str, document: Any = None) -> None:
        """Use the stand-in's own interface."""
        body = json.dumps(document).encode()
        address = f"http://127.0.0.1:{self.port}/_stand-in/{path}"
        urlopen(Request(address, body, method=method), timeout=10).close()

    def hold(self, target: str, state: str) -> None:
        """Let a job or a server stay in a state."""
        self.ask("POST", "faults", {"kind": "hold", "target": target, "times": None, "parameters": {"state": state}})


@dataclass
class Stage:
    """A run that has got to one stage, in one row of the table."""

    world: CrashWorld
    name: str
    row: str

    @property
    def inputs(self) -> str:
        """The fingerprint of the job's inputs."""
        return f"{self.row}-{self.name}"

    @property
    def release(self) -> Path:
        """The file for which the job's container waits."""
        return self.world.settings.home / f"release-{self.inputs}"

    @property
    def kind(self) -> str:
        return self.name if self.name in OTHER_JOBS else "training"

    @property
    def job(self) -> str:
        return job_name(MADE.path, None, self.inputs)

    @property
    def endpoint(self) -> str:
        """Also the model and the group of its packages."""
        return names.sagemaker_name("crash", self.row, self.name)

    def order(self) -> dict[str, Any]:
        """Prepare the stage, and return what its run is to do."""
        if self.name in ENDPOINTS:
            return self._deployment()
        if self.name in STATES:
            self.world.hold(self.job, STATES[self.name])
            if self.name == "interrupted":
                self.world.ask("POST", "faults", {"kind": "spot-interruption", "target": self.job})
        request = {"training": self._training, "processing": self._processing, "transform": self._transform}
        return {"kind": self.kind, "inputs": self.inputs, "request": json.dumps(request[self.kind]())}

    def _training(self) -> dict[str, Any]:
        waits = {"release": str(self.release)} if self.name in {"training", "interrupted"} else {}
        return pipes_runs.request(self.world.settings.bucket, **waits) | (SPOT if self.name == "interrupted" else {})

    def _processing(self) -> dict[str, Any]:
        cluster = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5}
        access = {"AWS_ENDPOINT_URL": self.world.ground, "AWS_DEFAULT_REGION": REGION}
        keys = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
        return {
            "RoleArn": ROLE,
            "AppSpecification": {"ImageUri": pipes_runs.IMAGE},
            "ProcessingResources": {"ClusterConfig": cluster},
            "Environment": {"s3": "context", "release": str(self.release), **access, **keys},
        }

    def _transform(self) -> dict[str, Any]:
        store, prefix = self.world.store, self.inputs
        model_data = store.put(f"{prefix}/model.tar.gz", archive({"offset": "0.5"}))
        container = {"Image": SERVER_IMAGE, "ModelDataUrl": model_data}
        self.world.sagemaker.create_model(ModelName=self.job, ExecutionRoleArn=ROLE, PrimaryContainer=container)
        self.world.hold(self.job, "Uploading")
        rows = store.put(f"{prefix}/in/rows.csv", b"1,2\n3,4\n")
        return {
            "ModelName": self.job,
            "TransformInput": {
                "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": rows}},
                "ContentType": "text/csv",
            },
            "TransformOutput": {"S3OutputPath": store.uri(f"{prefix}/out")},
            "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
        }

    def _deployment(self) -> dict[str, Any]:
        # To kill a server that starts there must be one: its model is slow to load. Elsewhere it is held before that.
        loading = {"release": str(self.release)} if (self.row, self.name) == ("server", "creating") else {}
        version = self._version(1, **loading)
        if self.name == "creating" and not loading:
            self.world.hold(self.endpoint, "Starting")
        elif self.name == "updating":
            first = model_packages.describe(REGION, version)
            assert first is not None
            rollout.deploy(self.world.settings, self.endpoint, first, POLICY)
            self._version(2)
        return {"model": self.endpoint, "version": 1 if self.name == "creating" else 2}

    def _version(self, number: int, **files: str) -> str:
        settings = self.world.settings
        content = archive({"offset": str(number), **files})
        artifact = self.world.store.put(f"{self.endpoint}/{number}.tar.gz", content)
        submission = Submission(
            model=self.endpoint,
            artifact_uri=artifact,
            fingerprint=f"{self.endpoint}-{number}",
            training_job="none",
            training_set_fingerprint="none",
            report_uri=artifact,
        )
        return approve(REGION, register(settings, submission).arn, "tests", "to be deployed").arn

    def reached(self) -> bool:
        """Whether the run has got there."""
        if self.name == "creating":
            return self.endpoint_status() == "Creating"
        if self.name == "updating":
            described = self.world.sagemaker.describe_endpoint(EndpointName=self.endpoint)
            variants = described.get("PendingDeploymentSummary", {}).get("ProductionVariants", [{}])
            return any(status["Status"] == "Baking" for status in variants[0].get("VariantStatus", []))
        if self.name in OTHER_JOBS:
            return bool(self.containers())
        states = {"training": "Training", **STATES}
        return self.phase() == states[self.name] and (self.name != "training" or bool(self.containers()))

    def waited_for_by(self, process: int) -> bool:
        """Whether a process follows the job, or watches the endpoint."""
        what = self.endpoint if self.name in ENDPOINTS else self.inputs
        return mark(self.world.settings, what, process).exists()

    def phase(self) -> str:
        """The secondary status of the training job, empty before there is one."""
        if self.job not in self.jobs():
            return ""
        return str(self.world.sagemaker.describe_training_job(TrainingJobName=self.job)["SecondaryStatus"])

    def containers(self) -> list[int]:
        """Processes on this machine that run the job's container."""
        return processes_in(self.world.home / f"{self.kind}-jobs" / self.job)

    def fleets(self) -> dict[str, dict[str, list[int]]]:
        """Processes of each instance of each of the endpoint's fleets."""
        folder = self.world.home / "endpoints" / self.endpoint
        return {fleet.name: {one.name: processes_in(one) for one in fleet.glob("*/i-*")} for fleet in folder.glob("*")}

    def go_on(self) -> None:
        """Let the run go on to its end."""
        self.release.touch()

    def jobs(self) -> dict[str, str]:
        """Every attempt at the stage's job, with its status, as SageMaker lists them."""
        kind = self.kind.capitalize()
        listed = getattr(self.world.sagemaker, f"list_{self.kind}_jobs")(NameContains=self.job)
        return {job[f"{kind}JobName"]: job[f"{kind}JobStatus"] for job in listed[f"{kind}JobSummaries"]}

    def endpoint_status(self) -> str:
        found = self.world.sagemaker.list_endpoints(NameContains=self.endpoint)["Endpoints"]
        return str(found[0]["EndpointStatus"]) if found else ""

    def live_version(self) -> str:
        """The version that the endpoint answers with: its model adds it to the sum of the row."""
        return str(float(invoke(self.endpoint)) - 3)


def go_on(world: CrashWorld, stages: list[Stage]) -> None:
    """Let everything that is held, waited for or baked go on."""
    world.ask("DELETE", "faults")
    for stage in stages:
        stage.go_on()
    world.ask("POST", "clock", {"scale": 0})


def invoke(endpoint: str) -> str:
    """Ask an endpoint for the sum of 1 and 2."""
    answer = clients.sagemaker_runtime(REGION).invoke_endpoint(
        EndpointName=endpoint, Body=b"1,2", ContentType="text/csv"
    )
    return answer["Body"].read().decode()


@dataclass
class Traffic:
    """What a steady client got."""

    answered: int = 0
    failures: list[str] = field(default_factory=list)


@contextmanager
def steady_client(endpoint: str) -> Iterator[Traffic]:
    """Invoke an endpoint many times a second."""
    traffic, ended = Traffic(), threading.Event()

    def keep_invoking() -> None:
        # The pause leaves the machine to those it is about.
        while not ended.wait(0.02):
            try:
                invoke(endpoint)
                traffic.answered += 1
            except Exception as error:  # noqa: BLE001 - counted, and judged by the test
                traffic.failures.append(str(error))

    client = threading.Thread(target=keep_invoking)
    client.start()
    try:
        yield traffic
    finally:
        ended.set()
        client.join()


def start_runs(orders: dict[str, dict[str, Any]]) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """Make the runs of all orders in one process, which may be killed."""
    command = [sys.executable, "-m", "tests.loop.crash_location", json.dumps(orders)]
    return killed_in_the_end(subprocess.Popen(command, cwd=ROOT, env=dict(os.environ), stdout=subprocess.PIPE))


def endings(runs: subprocess.Popen[bytes]) -> dict[str, str]:
    """Wait for runs that were started; return how each ended: nothing, or its error."""
    said, _ = runs.communicate(timeout=240)
    return dict(json.loads(said))


def prepare(world: CrashWorld, row: str, names: tuple[str, ...]) -> tuple[dict[str, Stage], dict[str, dict[str, Any]]]:
    """Prepare stages and return what their runs are to do."""
    world.settings.home.mkdir(exist_ok=True)
    world.ask("POST", "clock", {"scale": SCALE})
    stages = {name: Stage(world, name, row) for name in names}
    return stages, {name: stage.order() for name, stage in stages.items()}


@contextmanager
def crash_world(ground_services: str, images_file: Path, home: Path) -> Iterator[CrashWorld]:
    """A platform whose stand-in is its own."""
    pipes_runs.register_image(images_file)
    port = free_port()
    environment = small_world(
        home / "home", ground_services, f"http://127.0.0.1:{port}", ML_PLATFORM_SERVING_IMAGE=SERVER_IMAGE
    )
    with platform(environment) as settings:
        world = CrashWorld(settings, home / "stand-in", images_file, ground_services, port)
        yield world
        world.process.terminate()
        world.process.wait(20)
