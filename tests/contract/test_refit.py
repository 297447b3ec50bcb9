"""A registered model is fitted again from its manifest, to the byte; and two versions say in what they differ."""

import io
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from ml_platform.aws import clients
from ml_platform.aws.model_packages import ModelPackage
from ml_platform.aws.objects import ObjectStore
from ml_platform.cli import known_models
from ml_platform.cli.main import app
from ml_platform.core.fingerprint import fingerprint_bytes, fingerprint_parts
from ml_platform.core.settings import Settings
from ml_platform.modeling.artifact import Manifest, load_archive, pack_archive, read_manifest, save_artifact
from ml_platform.modeling.contract import CODE_CHANNEL
from ml_platform.modeling.hyperparameters import HyperParameters
from ml_platform.registry.model_package import Submission, register
from ml_platform.training.code import store_code
from ml_platform.training.refit import Refit, changed_since, refit
from ml_platform.training.refit_runs import as_a_job, in_a_process
from ml_platform.training.run import TrainingInputs
from tests.contract.jobs_by_hand import train
from tests.contract.test_search_on_stand_in import FEATURES, some_days

MODEL = "refitted"
CODE = """\
def fit(rows, hyperparameters):
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression(**hyperparameters.model_parameters))
    return model.fit(rows.matrix, rows.labels, logisticregression__sample_weight=rows.weights)
"""


@dataclass(frozen=True)
class Registry:
    """Two versions of one model: LightGBM on five days, scikit-learn on seven."""

    settings: Settings
    store: ObjectStore
    packages: tuple[ModelPackage, ModelPackage]

    def refit(self, number: int, *, as_job: bool = False) -> Refit:
        where = as_a_job(self.settings, self.store, MODEL) if as_job else in_a_process(self.store, MODEL)
        return refit(self.store, MODEL, self.packages[number].artifact_uri, where)

    def manifest(self, number: int, scratch: Path) -> Manifest:
        self.store.download(self.store.key(self.packages[number].artifact_uri), scratch / "model.tar.gz")
        return read_manifest(scratch / "model.tar.gz")

    def refit_jobs(self) -> list[str]:
        found = clients.sagemaker(self.settings.region).list_training_jobs(NameContains=f"{MODEL}-refit")
        return [job["TrainingJobName"] for job in found["TrainingJobSummaries"]]


def put_training_set(store: ObjectStore, days: int) -> tuple[str, dict[str, str]]:
    """Write a training set in the form of ``features.offline``; return its fingerprint and channels."""
    splits = {"train": some_days(1, days), "validation": some_days(2, 2), "holdout": some_days(3, 2)}
    contents = {}
    for name, frame in splits.items():
        buffer = io.BytesIO()
        frame.write_parquet(buffer)
        contents[name] = buffer.getvalue()
    fingerprints = {
        "data": fingerprint_parts({name: fingerprint_bytes(content) for name, content in contents.items()}),
        "code": "c" * 64,
    }
    fingerprint = fingerprint_parts(fingerprints)
    prefix = f"models/{MODEL}/training-sets/{fingerprint}/"
    described: dict[str, Any] = {}
    for name, content in contents.items():
        store.put(f"{prefix}{name}/part-0.parquet", content)
        described[name] = {"uri": store.uri(f"{prefix}{name}/"), "rows": splits[name].height}
    document = {"splits": described, "spec": {"train_days": days, "as_of": "x"}, "fingerprints": fingerprints}
    store.put_json(f"{prefix}manifest.json", document)
    return fingerprint, {name: described[name]["uri"] for name in ("train", "validation")}


def put_package(
    settings: Settings, store: ObjectStore, days: int, code: Path | None, **parameters: Any
) -> ModelPackage:
    """Fit by a real job on the stand-in, and register."""
    fingerprint, channels = put_training_set(store, days)
    hyperparameters = HyperParameters(features=FEATURES, fingerprint="unset", half_life_days=30, **parameters)
    if code is not None:
        stored = store_code(store, MODEL, code)
        channels[CODE_CHANNEL] = stored.uri
        hyperparameters = hyperparameters.model_copy(update={"code": stored.digest})
    candidate = train(settings, store, TrainingInputs(MODEL, channels, fingerprint, hyperparameters))
    return register(
        settings,
        Submission(
            model=MODEL,
            artifact_uri=candidate.artifact_uri,
            fingerprint=candidate.fingerprint,
            training_job=candidate.job_name,
            training_set_fingerprint=fingerprint,
            report_uri="s3://reports/1.json",
            metrics={"average_precision": 0.5 + days / 100},
        ),
    )


@pytest.fixture(scope="module")
def registry(ground_services: str, stand_in: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    folder = tmp_path_factory.mktemp("models")
    (folder / MODEL).mkdir()
    (folder / MODEL / "defs.yaml").touch()
    code = folder / MODEL / "pipeline.py"
    code.write_text(CODE)
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("home")
        environment = {
            "AWS_ENDPOINT_URL": ground_services,
            "AWS_ENDPOINT_URL_SAGEMAKER": stand_in,
            "ML_PLATFORM_HOME": str(home),
            "ML_PLATFORM_BUCKET": f"test-{os.urandom(6).hex()}",
            "ML_PLATFORM_POLL_SECONDS": "0.1",
        }
        for name, value in environment.items():
            patch.setenv(name, value)
        patch.setattr(known_models, "FOLDER", folder)
        clients.forget_clients()
        settings = Settings.load()
        store = ObjectStore.from_settings(settings)
        store.ensure_bucket()
        first = put_package(settings, store, 5, None, model_parameters={"num_iterations": 15})
        second = put_package(settings, store, 7, code, model_parameters={"C": 0.5}, positive_weight=2)
        yield Registry(settings, store, (first, second))
    clients.forget_clients()


@pytest.mark.parametrize("as_job", [False, True], ids=["in a process", "as a job"])
@pytest.mark.parametrize("number", [0, 1], ids=["lightgbm", "scikit-learn with code of its own"])
def test_the_same_inputs_give_the_same_bytes(registry: Registry, number: int, as_job: bool) -> None:  # noqa: FBT001  # a pytest parameter
    done = registry.refit(number, as_job=as_job)
    assert done.identical
    assert done.differences == ()


def test_a_job_needs_no_right_to_the_rows_and_is_paid_once(registry: Registry) -> None:
    """Whoever asks reads the training set's description and the model, and nothing else of the data."""
    read: list[str] = []

    class Watched(ObjectStore):
        def get(self, key: str) -> bytes:
            read.append(key)
            return super().get(key)

    store = Watched(registry.store.bucket, registry.store.region)
    for _ in range(2):
        where = as_a_job(registry.settings, store, MODEL)
        assert refit(store, MODEL, registry.packages[0].artifact_uri, where).identical
    assert not [key for key in read if key.endswith(".parquet")]
    assert len(set(registry.refit_jobs())) == len(registry.refit_jobs()) <= 2
    assert not [name for name in registry.refit_jobs() if name.endswith("-r1")]


def test_a_model_that_is_not_what_its_inputs_give_is_found_out(registry: Registry, tmp_path: Path) -> None:
    """Its digests are right: whoever saved it changed the threshold and nothing else."""
    registry.store.download(registry.store.key(registry.packages[0].artifact_uri), tmp_path / "model.tar.gz")
    honest = load_archive(tmp_path / "model.tar.gz")
    forged = replace(honest.pipeline, threshold=0.987)
    save_artifact(forged, honest.baseline, honest.fingerprint, tmp_path / "forged", honest.origin)
    pack_archive(tmp_path / "forged", tmp_path / "forged.tar.gz")
    address = registry.store.put(f"models/{MODEL}/forged.tar.gz", (tmp_path / "forged.tar.gz").read_bytes())
    done = refit(registry.store, MODEL, address, in_a_process(registry.store, MODEL))
    assert not done.identical
    assert done.failures == (
        "threshold.json came out otherwise",
        "nothing that is recorded differs: the fit itself is not repeatable",
    )


@pytest.mark.parametrize("how", [[], ["--job"]])
def test_the_command_says_so_and_ends_well(registry: Registry, how: list[str]) -> None:
    version = str(registry.packages[0].version)
    done = CliRunner().invoke(app, ["refit", MODEL, "--version", version, *how])
    assert done.exit_code == 0, done.output
    assert "same inputs, same bytes" in done.output


def test_whatever_was_otherwise_at_the_fit_is_named(registry: Registry, tmp_path: Path) -> None:
    was = registry.manifest(0, tmp_path)
    origin = was.origin.model_copy(
        update={
            "rows": {**was.origin.rows, "train": "0" * 64},
            "python": "3.9.1",
            "code": {**was.origin.code, "modeling/gone.py": "0" * 64},
        }
    )
    now = was.model_copy(update={"libraries": {**was.libraries, "lightgbm": "9.9"}, "origin": origin})
    assert set(was.origin.rows) == {"train", "validation"}
    assert changed_since(was, was) == ()
    library, python, rows, code = changed_since(was, now)
    assert library.endswith("now it is 9.9")
    assert python.endswith("now it is 3.9.1")
    assert rows == "the train rows are not those that it was fitted on: they were altered"
    assert code == "the platform's code differs in modeling/gone.py"


@pytest.mark.parametrize("as_job", [False, True], ids=["in a process", "as a job"])
def test_what_is_gone_is_named_and_nothing_is_fitted(registry: Registry, as_job: bool) -> None:  # noqa: FBT001  # a pytest parameter
    code = next(key for key in registry.store.keys(f"models/{MODEL}/code/"))
    content = registry.store.get(code)
    registry.store.delete([code])
    try:
        done = registry.refit(1, as_job=as_job)
    finally:
        registry.store.put(code, content)
    assert not done.refitted
    assert "the training code is gone" in done.failures[0]


def test_rows_that_were_altered_are_not_fitted(registry: Registry) -> None:
    prefix = f"models/{MODEL}/training-sets/{registry.packages[0].properties['training_set_fingerprint']}/"
    key = f"{prefix}train/part-0.parquet"
    content = registry.store.get(key)
    buffer = io.BytesIO()
    pl.read_parquet(io.BytesIO(content)).with_columns(amount=pl.col("amount") + 1).write_parquet(buffer)
    registry.store.put(key, buffer.getvalue())
    try:
        done = CliRunner().invoke(app, ["refit", MODEL, "--version", str(registry.packages[0].version), "--json"])
    finally:
        registry.store.put(key, content)
    assert done.exit_code == 1
    document = json.loads(done.stdout)
    assert document["refitted"] is False
    assert "altered" in document["differences"][0]


def test_two_versions_say_in_what_they_differ(registry: Registry) -> None:
    before, after = (str(package.version) for package in registry.packages)
    done = CliRunner().invoke(app, ["compare", MODEL, before, after, "--json"])
    assert done.exit_code == 0, done.output
    found = {(each["part"], each["name"]): (each["before"], each["after"]) for each in json.loads(done.stdout)}
    assert found[("spec", "train_days")] == ("5", "7")
    assert found[("data", "train rows")] == ("600", "840")
    assert ("data", "train features and labels") in found
    assert ("data", "validation features and labels") not in found
    assert found[("parameters", "C")] == ("none", "0.5")
    assert found[("parameters", "positive_weight")] == ("none", "2.0")
    assert found[("model", "kind")] == ("lightgbm", "scikit-learn")
    assert found[("figures", "average_precision")] == ("0.5500", "0.5700")
    assert found[("code", "own training code")][0] == "none"
    assert not [name for part, name in found if part == "code" and name.endswith(".py")]


def test_a_version_does_not_differ_from_itself(registry: Registry) -> None:
    version = str(registry.packages[1].version)
    done = CliRunner().invoke(app, ["compare", MODEL, version, version])
    assert "the same in everything that is recorded" in done.output


def test_the_code_of_both_versions_is_shown(registry: Registry) -> None:
    done = CliRunner().invoke(app, ["compare", MODEL, *(str(package.version) for package in registry.packages)])
    assert "+    from sklearn.linear_model import LogisticRegression" in done.output
