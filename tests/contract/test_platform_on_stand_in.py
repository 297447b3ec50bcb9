"""The platform's own path through SageMaker, on the stand-in: train, register, approve, deploy, score, one by one.

Real jobs and real HTTP endpoints behind unmodified boto3; the container is the platform's own.
"""

import io
import json
import os
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import numpy as np
import pandas as pd
import polars as pl
import pytest

from ml_platform.aws import clients, endpoints, training_jobs
from ml_platform.aws.model_packages import ModelPackage
from ml_platform.aws.objects import ObjectStore
from ml_platform.batch.run import BatchInputs, read_scores
from ml_platform.core import names
from ml_platform.core.clock import sleep, utc_now
from ml_platform.core.errors import (
    EndpointError,
    JobFailedError,
    JobStoppedError,
    MLPlatformError,
    RolloutRolledBackError,
)
from ml_platform.core.settings import Settings
from ml_platform.deployment.endpoint_config import endpoint_config_request
from ml_platform.deployment.rollout import deploy
from ml_platform.modeling.artifact import Artifact, load_archive
from ml_platform.modeling.hyperparameters import HyperParameters
from ml_platform.registry import lookup
from ml_platform.registry.model_package import Submission, approve, register, reject
from ml_platform.scoring.transaction import Scorer
from ml_platform.training.run import Candidate, TrainingInputs, candidate_fingerprint
from tests.contract.jobs_by_hand import score_batch, train

MODEL = "platform_path"
FEATURES = ("amount", "card_tx_count_1d", "is_night")
PARAMETERS = HyperParameters(features=FEATURES, model_parameters={"num_iterations": 20}, seed=7, fingerprint="unset")


@dataclass(frozen=True)
class Platform:
    """A platform of this module's own, with one training set in its bucket."""

    settings: Settings
    store: ObjectStore
    inputs: TrainingInputs


@pytest.fixture(scope="module")
def platform(ground_services: str, stand_in: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", ground_services)
        patch.setenv("AWS_ENDPOINT_URL_SAGEMAKER", stand_in)
        patch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", stand_in)
        patch.setenv("AWS_ENDPOINT_URL_CLOUDWATCH", stand_in)
        clients.forget_clients()
        home = tmp_path_factory.mktemp("home")
        settings = Settings(home=home, bucket=f"test-{os.urandom(6).hex()}", poll_seconds=0.1)
        store = ObjectStore.from_settings(settings)
        store.ensure_bucket()
        channels = {name: put_rows(store, name, some_rows(seed)) for name, seed in (("train", 1), ("validation", 2))}
        yield Platform(settings, store, TrainingInputs(MODEL, channels, "data-fingerprint", PARAMETERS))
    clients.forget_clients()


def some_rows(seed: int, count: int = 400) -> pl.DataFrame:
    """Payments where a high amount at night is likelier to be fraud."""
    rng = np.random.default_rng(seed)
    amount, night = rng.gamma(2.0, 40.0, count), rng.integers(0, 2, count)
    label = (rng.random(count) < 0.05 + 0.6 * ((amount > 120) & (night == 1))).astype("int8")
    return pl.DataFrame(
        {
            "transaction_id": [f"tx-{seed}-{number}" for number in range(count)],
            "amount": amount,
            "card_tx_count_1d": rng.integers(1, 9, count),
            "is_night": night,
            "label": label,
        }
    )


def put_rows(store: ObjectStore, channel: str, frame: pl.DataFrame) -> str:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    prefix = f"models/{MODEL}/training-sets/test/{channel}/"
    store.put(f"{prefix}part-0.parquet", buffer.getvalue())
    return store.uri(prefix)


@pytest.fixture(scope="module")
def candidate(platform: Platform) -> Candidate:
    return train(platform.settings, platform.store, platform.inputs)


@pytest.fixture(scope="module")
def artifact(platform: Platform, candidate: Candidate, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    archive: Path = tmp_path_factory.mktemp("artifact") / "model.tar.gz"
    platform.store.download(platform.store.key(candidate.artifact_uri), archive)
    return load_archive(archive)


def submission(candidate: Candidate) -> Submission:
    return Submission(
        model=candidate.model,
        artifact_uri=candidate.artifact_uri,
        fingerprint=candidate.fingerprint,
        training_job=candidate.job_name,
        training_set_fingerprint=candidate.training_set_fingerprint,
        report_uri="s3://reports/1.json",
        metrics={"average_precision": 0.5},
    )


def registered_and_approved(platform: Platform, candidate: Submission) -> ModelPackage:
    pending = register(platform.settings, candidate)
    return approve(platform.settings.region, pending.arn, "reviewer", "the tests say so")


@pytest.fixture(scope="module")
def package(platform: Platform, candidate: Candidate) -> ModelPackage:
    return registered_and_approved(platform, submission(candidate))


@pytest.fixture(scope="module")
def endpoint(platform: Platform, package: ModelPackage) -> str:
    return deploy(platform.settings, MODEL, package).endpoint


def job_name(platform: Platform, inputs: TrainingInputs) -> str:
    return names.training_job(inputs.model, candidate_fingerprint(platform.settings, inputs))


def attempts(platform: Platform, inputs: TrainingInputs) -> dict[str, str]:
    """Status by name of all training jobs for these inputs."""
    answer = clients.sagemaker(platform.settings.region).list_training_jobs(NameContains=job_name(platform, inputs))
    return {job["TrainingJobName"]: job["TrainingJobStatus"] for job in answer["TrainingJobSummaries"]}


def test_a_candidate_comes_with_its_metrics_and_an_artifact_that_knows_its_fingerprint(
    candidate: Candidate, artifact: Artifact
) -> None:
    assert 0 < candidate.metrics["validation:average_precision"] <= 1
    assert candidate.metrics["train:rows"] == 400
    assert artifact.fingerprint == candidate.fingerprint
    assert artifact.pipeline.signature.features == FEATURES


def test_training_again_adopts_the_job_and_replays_its_lines(platform: Platform, candidate: Candidate) -> None:
    lines: list[str] = []
    again = train(platform.settings, platform.store, platform.inputs, on_log=lines.append)
    assert again == candidate
    assert attempts(platform, platform.inputs) == {candidate.job_name: "Completed"}
    assert any("validation:average_precision=" in line for line in lines)


def test_a_failed_job_says_why_and_the_next_run_is_a_new_attempt(platform: Platform) -> None:
    store = platform.store
    empty = put_rows(store, "one-class", some_rows(3).with_columns(label=pl.lit(0, pl.Int8)))
    inputs = replace(platform.inputs, channels={"train": empty}, training_set_fingerprint="one class")
    for _ in range(2):
        with pytest.raises(JobFailedError, match="a model needs both 0 and 1"):
            train(platform.settings, store, inputs)
    name = job_name(platform, inputs)
    assert attempts(platform, inputs) == {name: "Failed", f"{name}-r1": "Failed"}


def test_an_interrupted_run_stops_its_job_and_the_next_one_starts_again(platform: Platform) -> None:
    inputs = replace(platform.inputs, training_set_fingerprint="interrupted")
    region, name = platform.settings.region, job_name(platform, inputs)

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(platform.settings, platform.store, inputs, sleep=interrupt)
    with pytest.raises(JobStoppedError, match="new attempt"):
        training_jobs.follow(region, name, on_log=lambda _: None, clock=utc_now, sleep=sleep, poll_seconds=0.1)
    assert train(platform.settings, platform.store, inputs).job_name == f"{name}-r1"


def test_a_job_whose_artifact_was_deleted_is_not_adopted(platform: Platform) -> None:
    inputs = replace(platform.inputs, training_set_fingerprint="artifact deleted")
    first = train(platform.settings, platform.store, inputs)
    platform.store.delete([platform.store.key(first.artifact_uri)])
    second = train(platform.settings, platform.store, inputs)
    assert second.job_name == f"{first.job_name}-r1"
    assert platform.store.exists(platform.store.key(second.artifact_uri))


def test_registering_the_same_candidate_twice_gives_the_same_package(
    platform: Platform, candidate: Candidate, package: ModelPackage
) -> None:
    again = register(platform.settings, submission(candidate))
    assert again == package
    assert again.properties["training_job"] == candidate.job_name
    assert again.approved


def test_a_package_is_pending_until_somebody_decides_and_the_reason_stays(
    platform: Platform, candidate: Candidate
) -> None:
    settings, model = platform.settings, "platform_registry"
    group = names.model_package_group(model)
    other = submission(candidate).model_copy(update={"model": model})
    pending = register(settings, other)
    assert pending.status == "PendingManualApproval"
    assert lookup.latest_approved(settings.region, group) is None
    approved = approve(settings.region, pending.arn, "reviewer", "figures hold\non every slice")
    assert approved.approval_description == "Approved by reviewer: figures hold on every slice"
    assert lookup.latest_approved(settings.region, group) == approved
    rejected = register(settings, other.model_copy(update={"fingerprint": "f" * 64}))
    reject(settings.region, rejected.arn, "reviewer", "leaks the label")
    again = register(settings, other.model_copy(update={"fingerprint": "f" * 64}))
    assert again.status == "Rejected"
    assert [item.version for item in lookup.list_packages(settings.region, group)] == [2, 1]
    with pytest.raises(EndpointError, match="only approved"):
        deploy(settings, model, again)


def test_a_group_that_does_not_exist_has_no_packages(platform: Platform) -> None:
    assert lookup.list_packages(platform.settings.region, "no-such-group") == []
    assert lookup.live_package(platform.settings.region, "no-such-endpoint") is None


def test_the_endpoint_serves_the_package_and_deploying_again_changes_nothing(
    platform: Platform, package: ModelPackage, endpoint: str
) -> None:
    live = lookup.live_package(platform.settings.region, endpoint)
    assert live is not None
    assert live.package == package
    again = deploy(platform.settings, MODEL, package)
    assert not again.changed
    assert again.config == live.config


def test_the_endpoint_scores_like_the_offline_pipeline(platform: Platform, artifact: Artifact, endpoint: str) -> None:
    frame = pd.DataFrame(some_rows(4, 20).select(FEATURES).to_dict(as_series=False))
    rows, scorer = frame.to_dict(orient="records"), Scorer(platform.settings, endpoint)
    expected = artifact.pipeline.score(frame).tolist()
    scores = [scorer.score(row, f"tx-{number}") for number, row in enumerate(rows)]
    assert [score.score for score in scores] == pytest.approx(expected, abs=1e-9)
    assert [score.flagged for score in scores] == [score >= artifact.pipeline.threshold for score in expected]
    assert {score.variant for score in scores} == {"primary"}


def test_scoring_without_an_endpoint_or_with_a_missing_feature_says_what_to_do(
    platform: Platform, endpoint: str
) -> None:
    with pytest.raises(EndpointError, match="status"):
        Scorer(platform.settings, "no-such-endpoint").score({"amount": 1.0}, "tx-1")
    with pytest.raises(EndpointError, match="card_tx_count_1d"):
        Scorer(platform.settings, endpoint).score({"amount": 1.0}, "tx-1")


def test_a_batch_scores_every_row_like_the_offline_pipeline_and_is_not_paid_twice(
    platform: Platform, package: ModelPackage, artifact: Artifact
) -> None:
    frame = some_rows(5, 300).with_columns(
        amount=pl.when(pl.int_range(300) == 7).then(None).otherwise(pl.col("amount"))
    )
    inputs = BatchInputs(MODEL, package, frame, FEATURES)
    scores = score_batch(platform.settings, platform.store, inputs)
    written = read_scores(platform.store, scores.scores_uri)
    expected = artifact.pipeline.score(pd.DataFrame(frame.select(FEATURES).to_dict(as_series=False)))
    assert written["transaction_id"].to_list() == frame["transaction_id"].to_list()
    np.testing.assert_allclose(written["score"].to_numpy(), expected, atol=1e-9, rtol=0)
    assert score_batch(platform.settings, platform.store, inputs) == scores


def test_a_transform_job_that_failed_says_why(platform: Platform, package: ModelPackage) -> None:
    broken = package.model_copy(update={"artifact_uri": broken_artifact(platform.store)})
    with pytest.raises(JobFailedError, match=r"platform-path-score-\w+ failed: \w+"):
        score_batch(platform.settings, platform.store, BatchInputs(MODEL, broken, some_rows(6, 5), FEATURES))


def test_a_deployment_that_failed_to_come_up_is_made_room_for(platform: Platform, package: ModelPackage) -> None:
    settings, model = platform.settings, "platform_failed"
    endpoint, config = names.endpoint(model), "platform-failed-broken"
    broken = endpoints.plain_model_request(
        config, settings.serving_image, broken_artifact(platform.store), settings.role_arn
    )
    endpoints.create_model(settings.region, broken)
    endpoints.create_endpoint_config(settings.region, endpoint_config_request(settings, model=model, name=config))
    endpoints.create_endpoint(settings.region, {"EndpointName": endpoint, "EndpointConfigName": config})
    said: list[str] = []
    live = deploy(settings, model, package, on_progress=said.append)
    assert live.status == "InService"
    assert any("deleting" in line for line in said)


@pytest.fixture(scope="module")
def second(platform: Platform, package: ModelPackage) -> ModelPackage:
    other_seed = PARAMETERS.model_copy(update={"seed": 8})
    challenger = train(platform.settings, platform.store, replace(platform.inputs, hyperparameters=other_seed))
    return registered_and_approved(platform, submission(challenger))


@contextmanager
def steady_clients(platform: Platform, endpoint: str) -> Iterator[tuple[list[float], list[MLPlatformError]]]:
    """Two clients that score without a pause: what they were answered, and what failed."""
    scorer, stop = Scorer(platform.settings, endpoint), threading.Event()
    answered: list[float] = []
    failed: list[MLPlatformError] = []
    row = dict(zip(FEATURES, (200.0, 3, 1), strict=True))

    def send() -> None:
        while not stop.is_set():
            try:
                answered.append(scorer.score(row, "steady").score)
            except MLPlatformError as error:
                failed.append(error)

    clients_at_work = [threading.Thread(target=send) for _ in range(2)]
    for thread in clients_at_work:
        thread.start()
    try:
        yield answered, failed
    finally:
        stop.set()
        for thread in clients_at_work:
            thread.join()


def test_an_update_swaps_the_model_without_a_failed_request(
    platform: Platform, package: ModelPackage, second: ModelPackage, endpoint: str
) -> None:
    with steady_clients(platform, endpoint) as (answered, failed):
        live = deploy(platform.settings, MODEL, second)
    assert live.version == second.version
    assert live.previous_config != live.config
    assert failed == []
    assert len(set(answered)) == 2
    assert deploy(platform.settings, MODEL, package).version == package.version


def test_a_version_whose_server_was_mended_is_not_sent_back_by_its_old_errors(
    platform: Platform, package: ModelPackage, second: ModelPackage, endpoint: str, stand_in: str
) -> None:
    def faults(method: str, document: dict[str, Any]) -> None:
        url, body = f"{stand_in}/_stand-in/faults", json.dumps(document).encode()
        urlopen(Request(url, body, method=method), timeout=10).close()  # noqa: S310 - http only

    target = f"{endpoint}/{endpoint}-v{second.version}-*"
    faults("POST", {"kind": "error-response", "target": target, "times": None, "parameters": {"status": 500}})
    with steady_clients(platform, endpoint) as (_, failed), pytest.raises(RolloutRolledBackError, match="alarm"):
        deploy(platform.settings, MODEL, second)
    assert failed
    faults("DELETE", {})
    assert deploy(platform.settings, MODEL, second).version == second.version
    assert deploy(platform.settings, MODEL, package).version == package.version


def test_a_rollout_that_sagemaker_takes_back_is_an_error_and_the_old_model_stays(
    platform: Platform, package: ModelPackage, endpoint: str
) -> None:
    artifact_uri = broken_artifact(platform.store)
    broken = registered_and_approved(
        platform,
        Submission(
            model=MODEL,
            artifact_uri=artifact_uri,
            fingerprint="b" * 64,
            training_job="none",
            training_set_fingerprint="none",
            report_uri="s3://reports/2.json",
        ),
    )
    with pytest.raises(RolloutRolledBackError, match="previous model"):
        deploy(platform.settings, MODEL, broken)
    live = lookup.live_package(platform.settings.region, endpoint)
    assert live is not None
    assert live.package.arn == package.arn


def broken_artifact(store: ObjectStore) -> str:
    """An artifact that is an archive, but not of a model."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("nothing.txt"))
    return store.put("broken/model.tar.gz", buffer.getvalue())
