"""The candidate's MLflow run and its package point at each other; an MLflow that is away costs no record.

By file, and by a real ``mlflow server``, also as SageMaker's own: its plug-in is told to call the server.
"""

import socket
import threading
import time
import uuid
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import dagster as dg
import mlflow
import pytest
from mlflow.tracking import MlflowClient

from ml_platform.components.tracking import IN_MLFLOW, build_experiment_run
from ml_platform.core.settings import Settings
from ml_platform.registry import lookup
from ml_platform.resources.evidence import CARD_PAGE
from ml_platform.resources.tracking import ExperimentTracking
from ml_platform.tracking.candidate_run import PATIENCE, TrackingError, track
from ml_platform.tracking.server import tracking_uri
from tests.builders import a_model
from tests.contract.governance_world import NOW, GovernanceWorld
from tests.contract.mlflow_server import mlflow_server
from tests.unit.tracking.test_candidate_run import a_candidate

PLOTS = {"calibration": f"![a plot](data:image/svg+xml,{quote('<svg>x</svg>')})", "comparison": "| a table |"}
TRACKING_SERVER = "arn:aws:sagemaker:eu-west-1:123456789012:mlflow-tracking-server/fraud"
APP = "arn:aws:sagemaker:eu-west-1:123456789012:mlflow-app/app-123"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with mlflow_server(tmp_path_factory.mktemp("mlflow")) as address:
        # Its first answer takes many seconds, for which the platform would not wait on a busy machine.
        MlflowClient(tracking_uri=address).search_experiments()
        yield address


@pytest.fixture
def world(sagemaker_settings: Settings) -> GovernanceWorld:
    """A candidate that was judged, and is not registered yet."""
    world = GovernanceWorld(sagemaker_settings, f"m{uuid.uuid4().hex[:12]}")
    world.land()
    manifests = ExperimentTracking().manifests(world.model)
    manifests.write("evaluation_report", world.evidence())
    manifests.write("model_candidate", world.candidate())
    return world


def test_a_package_and_its_experiment_run_point_at_each_other(world: GovernanceWorld) -> None:
    tracking = ExperimentTracking()
    judged = tracking.track(world.model, declared={"seed": 7}, dagster_run="run-1", plots=PLOTS)
    assert judged.written
    assert judged.package_version is None

    package = world.register()
    registered = tracking.track(world.model, declared={"seed": 7}, dagster_run="run-1", plots=PLOTS)
    assert registered.run_id == judged.run_id
    assert not registered.written
    client = MlflowClient(tracking_uri=tracking_uri(world.settings))
    run = client.get_run(judged.run_id)
    assert run.data.tags["sagemaker.model_package"] == package.arn
    assert run.data.tags["dagster.run_id"] == "run-1"
    assert run.data.metrics["average_precision"] == 0.67
    assert [found.path for found in client.list_artifacts(judged.run_id, "plots")] == ["plots/calibration.svg"]
    (linked,) = lookup.list_packages(world.settings.region, package.group)
    assert linked.properties["mlflow_run"] == judged.run_id


def materialize(world: GovernanceWorld) -> dg.ExecuteInProcessResult:
    """Run the asset as the graph does: beside the evaluation that it looks at."""

    @dg.asset(key=[world.model, "evaluation_report"])
    def report() -> dg.MaterializeResult:
        return dg.MaterializeResult(metadata={name: dg.MetadataValue.md(text) for name, text in PLOTS.items()})

    @dg.asset(key=[world.model, "model_package"], deps=[report])
    def package() -> None: ...

    run = build_experiment_run(a_model(world.model), report, package)
    return dg.materialize([report, package, run], resources={"experiment_tracking": ExperimentTracking()})


def test_a_server_has_all_of_it_and_everything_points_at_everything(
    world: GovernanceWorld, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ML_PLATFORM_MLFLOW_URI", server)
    package = world.register()
    ran = materialize(world)
    (told,) = ran.asset_materializations_for_node(f"{world.model}__experiment_run")
    run_id = str(told.metadata["mlflow_run"].value)
    client = MlflowClient(tracking_uri=server)
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["seed"] == "7"
    assert run.data.params["training_set"] == world.evidence().challenger.training_set_fingerprint
    assert run.data.metrics["average_precision"] == 0.67
    assert run.data.tags["dagster.run_id"] == ran.run_id
    assert run.data.tags["mlflow.user"] == "tina"
    assert run.data.tags["mlflow.note.content"] == "The gate: passed."
    assert run.data.tags["sagemaker.model_package"] == package.arn
    plot = client.download_artifacts(run_id, "plots/calibration.svg")
    assert Path(plot).read_text() == "<svg>x</svg>"
    assert world.fingerprint in Path(client.download_artifacts(run_id, "evidence.json")).read_text()

    (linked,) = lookup.list_packages(world.settings.region, package.group)
    assert (linked.properties["mlflow_run"], linked.properties["mlflow_server"]) == (run_id, server)
    address = f"{server}/#/experiments/{run.info.experiment_id}/runs/{run_id}"
    assert told.metadata["mlflow"].value == address
    page = world.governance.store.get(world.governance.store.key(linked.properties[CARD_PAGE])).decode()
    assert f'<a href="{address}">' in page
    (check,) = ran.get_asset_check_evaluations()
    assert check.passed


def test_a_server_that_is_away_fails_nothing_and_gets_later_what_it_missed(
    world: GovernanceWorld, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:  # bound, so nobody else gets it, and not listened on
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("ML_PLATFORM_MLFLOW_URI", f"http://me:secret@127.0.0.1:{taken.getsockname()[1]}")
        started = time.monotonic()
        ran = materialize(world)
        assert time.monotonic() - started < PATIENCE.total_seconds()
    assert ran.success
    (check,) = ran.get_asset_check_evaluations()
    assert (check.check_name, check.passed, check.severity) == (IN_MLFLOW, False, dg.AssetCheckSeverity.WARN)
    assert "did not take the run" in str(check.description)
    assert "secret" not in str(check.description)

    package = world.register()  # neither does it wait
    other = world.evidence(candidate_fingerprint="o" * 64)
    ExperimentTracking().manifests(world.model).write("evaluation_report", other)
    monkeypatch.setenv("ML_PLATFORM_MLFLOW_URI", server)
    again = materialize(world)
    (check,) = again.get_asset_check_evaluations()
    assert check.passed
    client = MlflowClient(tracking_uri=server)
    (experiment,) = [found for found in client.search_experiments() if found.name == world.model]
    runs = {run.data.tags["ml_platform.candidate"]: run for run in client.search_runs([experiment.experiment_id])}
    assert set(runs) == {world.fingerprint, "o" * 64}
    # It waited since before its registration, and it is linked all the same.
    assert runs[world.fingerprint].data.tags["sagemaker.model_package"] == package.arn
    assert runs[world.fingerprint].data.tags["dagster.run_id"] == ran.run_id


def test_a_server_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        with pytest.raises(TrackingError, match="did not take the run"):
            track(f"http://127.0.0.1:{silent.getsockname()[1]}", a_candidate())
    assert time.monotonic() - started < PATIENCE.total_seconds()


def test_a_server_that_is_slow_at_each_call_is_given_up_between_two(server: str) -> None:
    times = iter([NOW, NOW + timedelta(seconds=1), NOW + PATIENCE])
    with pytest.raises(TrackingError, match="not done after 60 s"):
        track(server, a_candidate("s" * 64), clock=lambda: next(times))
    whole = track(server, a_candidate("s" * 64))
    assert MlflowClient(tracking_uri=server).get_run(whole.run_id).info.status == "FINISHED"


@pytest.fixture
def forgotten_address() -> Iterator[None]:
    """SageMaker's address is set for the whole process; forget it, for the tests to come."""
    yield
    mlflow.set_tracking_uri("")


@pytest.mark.usefixtures("forgotten_address")
def test_a_run_reaches_sagemakers_own_mlflow(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As far as it can be without AWS: the plug-in calls the server it is told to; artifacts go to a store beside."""
    monkeypatch.setenv("SAGEMAKER_MLFLOW_CUSTOM_ENDPOINT", server)
    candidate = a_candidate("a" * 64, model="on_sagemaker")
    tracked = track(TRACKING_SERVER, candidate, tmp_path.as_uri())
    run = MlflowClient(tracking_uri=server).get_run(tracked.run_id)
    assert (run.info.status, run.data.metrics) == ("FINISHED", {"average_precision": 0.5})
    assert len(list(tmp_path.rglob("calibration.svg"))) == 1
    assert not track(TRACKING_SERVER, candidate).written


class Recorder(BaseHTTPRequestHandler):
    """Refuses everything and remembers how it was asked."""

    asked: list[dict[str, str]]

    def do_GET(self) -> None:
        type(self).asked.append(dict(self.headers))
        self.send_response(403)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.mark.usefixtures("forgotten_address")
@pytest.mark.parametrize(
    ("arn", "header", "service"),
    [
        (TRACKING_SERVER, "x-mlflow-sm-tracking-server-arn", "sagemaker-mlflow"),
        (APP, "x-sm-mlflow-app-arn", "sagemaker"),
    ],
)
def test_requests_to_sagemaker_name_the_arn_and_are_signed_for_its_region(
    arn: str, header: str, service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = type("ARecorder", (Recorder,), {"asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), recorder) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        monkeypatch.setenv("SAGEMAKER_MLFLOW_CUSTOM_ENDPOINT", f"http://127.0.0.1:{listening.server_port}")
        with pytest.raises(TrackingError, match="403"):
            track(arn, a_candidate())
        listening.shutdown()
    asked = recorder.asked[0]
    assert asked[header] == arn
    assert f"/eu-west-1/{service}/aws4_request" in asked["Authorization"]
