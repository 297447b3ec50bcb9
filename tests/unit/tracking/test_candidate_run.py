"""Candidates in a real MLflow, on a database of the test's own."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from ml_platform.core.errors import ConfigurationError
from ml_platform.core.settings import Settings
from ml_platform.tracking.candidate_run import CandidateRun, track
from ml_platform.tracking.server import artifact_root, run_url, tracking_uri

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(home=tmp_path_factory.mktemp("home"))


def a_candidate(fingerprint: str = "f" * 64, **overrides: object) -> CandidateRun:
    fields = {
        "model": "card_fraud",
        "fingerprint": fingerprint,
        "parameters": {"num_leaves": "31"},
        "metrics": {"average_precision": 0.5, "roc_auc": None},
        "tags": {"dagster.run_id": "run-1"},
        "texts": {"evidence.json": '{"failures": []}', "plots/calibration.svg": "<svg/>"},
        "started_at": NOON,
        "ended_at": NOON + timedelta(minutes=1),
    }
    return CandidateRun(**{**fields, **overrides})


def test_a_candidate_is_one_run_however_often_it_is_tracked(local: Settings) -> None:
    uri = tracking_uri(local)
    first = track(uri, a_candidate(), artifact_root(local))
    again = track(uri, a_candidate(tags={"sagemaker.package_version": "3"}), artifact_root(local))
    assert first.written
    assert not again.written
    assert again.run_id == first.run_id
    client = MlflowClient(tracking_uri=uri)
    assert len(client.search_runs([first.experiment_id])) == 1
    run = client.get_run(first.run_id)
    assert run.data.metrics == {"average_precision": 0.5}  # unknown is not zero
    assert run.data.params == {"num_leaves": "31"}
    assert run.data.tags["dagster.run_id"] == "run-1"
    assert run.data.tags["sagemaker.package_version"] == "3"
    assert run.info.status == "FINISHED"
    assert {found.path for found in client.list_artifacts(first.run_id)} == {"evidence.json", "plots"}
    assert Path(local.home, "mlflow", "artifacts", "card_fraud").is_dir()


def test_another_candidate_is_another_run_of_the_same_experiment(local: Settings) -> None:
    uri = tracking_uri(local)
    one, other = (track(uri, a_candidate(letter * 64), artifact_root(local)) for letter in "ab")
    assert one.run_id != other.run_id
    assert one.experiment_id == other.experiment_id


def test_a_run_whose_writer_died_is_completed(local: Settings) -> None:
    uri = tracking_uri(local)
    broken = a_candidate("c" * 64, texts={"/etc/not-ours": "refused by MLflow"})
    with pytest.raises(Exception, match="Invalid artifact path"):
        track(uri, broken, artifact_root(local))
    completed = track(uri, a_candidate("c" * 64), artifact_root(local))
    assert completed.written
    runs = MlflowClient(tracking_uri=uri).search_runs(
        [completed.experiment_id], f"tags.`ml_platform.candidate` = '{'c' * 64}'"
    )
    assert [run.info.status for run in runs] == ["FINISHED"]


@pytest.mark.parametrize(
    "uri",
    [
        "https://mlflow.bank.example",
        "postgresql://db/mlflow",
        "arn:aws:sagemaker:eu-west-1:123456789012:mlflow-tracking-server/fraud",
        "arn:aws:sagemaker:eu-west-1:123456789012:mlflow-app/app-123",
    ],
)
def test_servers_databases_and_sagemakers_own_are_taken(local: Settings, uri: str) -> None:
    settings = local.model_copy(update={"mlflow_uri": uri})
    assert tracking_uri(settings) == uri
    assert artifact_root(settings) is None


def test_plain_files_are_refused_with_the_reason_and_no_password_is_told(local: Settings) -> None:
    with pytest.raises(ConfigurationError, match="Plain files"):
        tracking_uri(local.model_copy(update={"mlflow_uri": "./mlruns"}))
    with pytest.raises(ConfigurationError) as refused:
        tracking_uri(local.model_copy(update={"mlflow_uri": "ftp://me:secret@host/x"}))
    assert "secret" not in str(refused.value)
    assert "secret" not in run_url("https://me:secret@mlflow.example", "1", "r")
