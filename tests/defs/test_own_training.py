"""A model with training code of its own, in the graph: searched, fitted with what was found, and fitted again."""

import io
import json
import os
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster import DagsterInstance

from ml_platform.components.model_pipeline import build_model
from ml_platform.components.search_settings import Parameter, Search
from ml_platform.components.settings import Training
from ml_platform.components.training_refit import REFIT_CHECK
from ml_platform.core.fingerprint import fingerprint_bytes, fingerprint_parts
from ml_platform.core.settings import Settings
from ml_platform.defs.resources import resources
from ml_platform.features.offline.training_set_spec import SplitManifest, TrainingSetManifest, TrainingSetSpec
from ml_platform.modeling.artifact import Artifact, load_archive
from ml_platform.resources.sagemaker import SageMaker
from tests.builders import a_model, platform, small_world
from tests.contract.test_search_on_stand_in import FEATURES, some_days

MODEL = "own_code"
CODE = """\
def fit(rows, hyperparameters):
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression(**hyperparameters.model_parameters))
    return model.fit(rows.matrix, rows.labels, logisticregression__sample_weight=rows.weights)
"""


def put_training_set(sagemaker: SageMaker) -> None:
    """Leave what the asset ``training_set`` leaves."""
    store = sagemaker.store
    fingerprint = os.urandom(32).hex()
    prefix, contents, splits = f"models/{MODEL}/training-sets/{fingerprint}/", {}, {}
    for seed, (name, days) in enumerate({"train": 9, "validation": 2, "holdout": 2}.items()):
        frame = some_days(seed, days)
        buffer = io.BytesIO()
        frame.write_parquet(buffer)
        contents[name] = buffer.getvalue()
        store.put(f"{prefix}{name}/part-0.parquet", contents[name])
        splits[name] = SplitManifest(
            uri=store.uri(f"{prefix}{name}/"),
            first_day=date(2026, 1, 1),
            last_day=date(2026, 1, days),
            rows=frame.height,
            positives=int(frame["label"].sum()),
            unlabelled=0,
        )
    as_of = datetime(2026, 2, 1, tzinfo=UTC)
    manifest = TrainingSetManifest(
        model=MODEL,
        fingerprint=fingerprint,
        uri=store.uri(prefix),
        features=FEATURES,
        as_of=as_of,
        splits=splits,
        spec=TrainingSetSpec(model=MODEL, features=FEATURES, as_of=as_of),
        fingerprints={"data": fingerprint_parts({name: fingerprint_bytes(each) for name, each in contents.items()})},
    )
    store.put(f"{prefix}manifest.json", manifest.model_dump_json().encode())
    sagemaker.manifests(MODEL).write("training_set", manifest)


@pytest.fixture(scope="module")
def materialized(
    ground_services: str, stand_in: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Settings, dg.ExecuteInProcessResult]]:
    """The search and the candidate, materialized in one run."""
    folder = tmp_path_factory.mktemp("model")
    (folder / "pipeline.py").write_text(CODE)
    model = a_model(
        MODEL,
        features=list(FEATURES),
        training=Training(use_search=True, check_refit="job", label_delay_days=1, positive_weight=2),
        search=Search(
            parameters={"C": Parameter(min=0.01, max=10, scale="log")},
            strategy="Random",
            folds=2,
            fold_days=2,
            max_jobs=2,
        ),
    )
    with platform(small_world(tmp_path_factory.mktemp("home"), ground_services, stand_in)) as settings:
        put_training_set(SageMaker())
        assets = {asset.key.path[-1]: asset for asset in build_model(model, folder).assets or ()}  # type: ignore[union-attr]
        checks = build_model(model, folder).asset_checks or ()
        with DagsterInstance.ephemeral() as instance:
            yield (
                settings,
                dg.materialize(
                    [assets["hyperparameter_search"], assets["model_candidate"], *checks],  # type: ignore[list-item]
                    resources=resources().resources,
                    instance=instance,
                    raise_on_error=False,
                ),
            )


def metadata(run: dg.ExecuteInProcessResult, asset: str) -> dict[str, Any]:
    (event,) = run.asset_materializations_for_node(f"{MODEL}__{asset}")
    return {name: value.value for name, value in event.metadata.items()}


def test_the_search_shows_every_trial_in_a_table(materialized: tuple[Settings, dg.ExecuteInProcessResult]) -> None:
    _, run = materialized
    assert run.success
    (event,) = run.asset_materializations_for_node(f"{MODEL}__hyperparameter_search")
    shown = event.metadata["trials_compared"]
    assert isinstance(shown, dg.TableMetadataValue)
    rows = [record.data for record in shown.records]
    assert len(rows) == metadata(run, "hyperparameter_search")["trials"] == 2
    assert [column.name for column in shown.schema.columns] == list(rows[0])
    assert float(rows[0]["objective"] or 0) >= float(rows[1]["objective"] or 0)
    best = metadata(run, "hyperparameter_search")["best_average_precision"]
    assert best == pytest.approx(float(rows[0]["objective"] or 0), abs=1e-4)


def test_the_candidate_is_fitted_with_what_was_found(materialized: tuple[Settings, dg.ExecuteInProcessResult]) -> None:
    _, run = materialized
    best = metadata(run, "hyperparameter_search")["best_parameters"]
    artifact = artifact_of(SageMaker())
    assert artifact.pipeline.estimator.kind == "scikit-learn"
    gained = metadata(run, "hyperparameter_search")["gain"] > 0
    given = json.loads(artifact.origin.hyperparameters["model_parameters"])
    assert given.get("C") == (best["C"] if gained else None)
    assert artifact.origin.hyperparameters["positive_weight"] == "2.0"
    assert metadata(run, "model_candidate")["parameters_from"] == metadata(run, "hyperparameter_search")["tuning_job"]


def test_the_candidate_comes_out_the_same_when_it_is_fitted_again(
    materialized: tuple[Settings, dg.ExecuteInProcessResult],
) -> None:
    _, run = materialized
    (check,) = run.get_asset_check_evaluations()
    assert (check.check_name, check.passed, check.description) == (REFIT_CHECK, True, "no reason against")


def test_a_search_that_is_used_must_be_declared() -> None:
    with pytest.raises(ValueError, match=r"use_search needs a search"):
        a_model(MODEL, training=Training(use_search=True))


def artifact_of(sagemaker: SageMaker) -> Artifact:
    path = Path(os.environ["ML_PLATFORM_HOME"]) / "model.tar.gz"
    path.parent.mkdir(exist_ok=True)
    sagemaker.store.download(sagemaker.store.key(sagemaker.candidate(MODEL).artifact_uri), path)
    return load_archive(path)
