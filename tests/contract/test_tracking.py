"""The candidate's MLflow run and its package point at each other."""

import uuid
from urllib.parse import quote

from mlflow.tracking import MlflowClient

from ml_platform.core.settings import Settings
from ml_platform.registry import lookup
from ml_platform.resources.tracking import ExperimentTracking
from ml_platform.tracking.server import tracking_uri
from tests.contract.governance_world import GovernanceWorld


def test_a_package_and_its_experiment_run_point_at_each_other(sagemaker_settings: Settings) -> None:
    world = GovernanceWorld(sagemaker_settings, f"m{uuid.uuid4().hex[:12]}")
    world.land()
    tracking = ExperimentTracking()
    manifests = tracking.manifests(world.model)
    manifests.write("evaluation_report", world.evidence())
    manifests.write("model_candidate", world.candidate())
    plots = {"calibration": f"![a plot](data:image/svg+xml,{quote('<svg>x</svg>')})", "comparison": "| a table |"}

    judged = tracking.track(world.model, declared={"seed": 7}, dagster_run="run-1", plots=plots)
    assert judged.written
    assert judged.package_version is None

    package = world.register()
    registered = tracking.track(world.model, declared={"seed": 7}, dagster_run="run-1", plots=plots)
    assert registered.run_id == judged.run_id
    assert not registered.written
    client = MlflowClient(tracking_uri=tracking_uri(sagemaker_settings))
    run = client.get_run(judged.run_id)
    assert run.data.tags["sagemaker.model_package"] == package.arn
    assert run.data.tags["dagster.run_id"] == "run-1"
    assert run.data.metrics["average_precision"] == 0.67
    assert [found.path for found in client.list_artifacts(judged.run_id, "plots")] == ["plots/calibration.svg"]
    (linked,) = lookup.list_packages(sagemaker_settings.region, package.group)
    assert linked.properties["mlflow_run"] == judged.run_id
