"""The training container turns channels into an artifact, or into a failure that names its cause."""

import json
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ml_platform.containers.training.job import run
from ml_platform.core.errors import ArtifactError, ConfigurationError
from ml_platform.core.fingerprint import fingerprint_bytes
from ml_platform.modeling.artifact import MEMBERS, load_artifact
from ml_platform.modeling.contract import ContainerPaths
from ml_platform.modeling.pipeline import FittedPipeline
from tests.unit.containers.jobs import clean_environment, serving, train, write_job
from tests.unit.modeling.payments import booster_of, hyperparameters, payments


@dataclass(frozen=True)
class Finished:
    """A training job and what it left."""

    base: Path
    process: subprocess.CompletedProcess[str]


METRIC = re.compile(r"(validation|train):(\w+)=([0-9.]+);")


def metrics(output: str) -> dict[str, float]:
    """Read the metric lines as SageMaker's metric definitions would."""
    return {f"{channel}:{name}": float(value) for channel, name, value in METRIC.findall(output)}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A job that went well."""
    base = write_job(
        tmp_path_factory.mktemp("job"), hyperparameters(), train=payments(4000, 1), validation=payments(2000, 2)
    )
    return Finished(base, train(base))


def test_a_job_leaves_the_artifact_that_the_same_fit_gives_in_process(done: Finished) -> None:
    assert done.process.returncode == 0, done.process.stderr
    assert sorted(file.name for file in (done.base / "model").iterdir()) == sorted(MEMBERS)
    assert not (done.base / "output" / "failure").exists()
    artifact = load_artifact(done.base / "model")
    here = FittedPipeline.fit(payments(4000, 1), payments(2000, 2), hyperparameters())
    unseen = payments(500, 3)
    assert (artifact.pipeline.score(unseen) == here.score(unseen)).all()
    assert artifact.pipeline.threshold == here.threshold
    assert artifact.baseline.n_rows == 2000
    assert artifact.fingerprint == "f" * 64


def test_the_log_tells_progress_rows_and_metrics(done: Finished) -> None:
    assert "fitted 40 of 40 trees" in done.process.stdout
    figures = metrics(done.process.stdout)
    assert figures["train:rows"] == 4000
    assert figures["validation:rows"] == 2000
    assert figures["validation:roc_auc"] > 0.8
    assert figures["validation:average_precision"] > 0.3


def test_shuffled_labels_leave_nothing_to_find(tmp_path: Path) -> None:
    parameters = hyperparameters(shuffle_labels=True)
    done = train(write_job(tmp_path, parameters, train=payments(8000, 1), validation=payments(4000, 2)))
    assert done.returncode == 0, done.stderr
    base_rate = float(payments(4000, 2)["label"].mean())
    assert metrics(done.stdout)["validation:average_precision"] < 2 * base_rate
    assert metrics(done.stdout)["validation:roc_auc"] == pytest.approx(0.5, abs=0.1)


def test_without_validation_the_training_rows_are_measured(tmp_path: Path) -> None:
    base = write_job(tmp_path, hyperparameters(), train=payments(4000, 1))
    run(ContainerPaths(base))
    assert load_artifact(base / "model").baseline.n_rows == 4000


def test_several_files_of_a_channel_are_one_training_set(tmp_path: Path) -> None:
    whole = write_job(tmp_path / "whole", hyperparameters(), train=payments(4000, 1))
    parts = write_job(tmp_path / "parts", hyperparameters(), train=payments(4000, 1).head(1500))
    nested = parts / "input" / "data" / "train" / "part-2"
    nested.mkdir()
    payments(4000, 1).iloc[1500:].to_parquet(parts / "input" / "data" / "train" / "part-1.parquet", index=False)
    payments(10, 1).head(0).to_parquet(nested / "part-0.parquet", index=False)
    run(ContainerPaths(whole))
    run(ContainerPaths(parts))
    assert {name: (whole / "model" / name).read_bytes() for name in MEMBERS} == {
        name: (parts / "model" / name).read_bytes() for name in MEMBERS
    }


def test_a_failure_is_one_paragraph_in_the_failure_file(tmp_path: Path) -> None:
    base = write_job(tmp_path, hyperparameters(), train=payments(300, 1).assign(label=0))
    finished = train(base)
    assert finished.returncode == 1
    reason = (base / "output" / "failure").read_text()
    assert reason.startswith("All 300 rows of the training data have label 0; a model needs both 0 and 1.")
    assert reason in finished.stderr
    assert "Traceback" not in finished.stderr
    assert not list((base / "model").iterdir())


def test_a_defect_leaves_its_name_in_the_failure_file_and_its_traceback_in_the_log(tmp_path: Path) -> None:
    base = write_job(tmp_path, hyperparameters(), train=payments(300, 1))
    (base / "model").rmdir()
    (base / "model").write_text("not a directory")
    finished = train(base)
    assert finished.returncode == 1
    assert "Traceback" in finished.stderr
    reason = (base / "output" / "failure").read_text()
    assert reason.startswith("Training failed unexpectedly: FileExistsError")
    assert "\n" not in reason


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (payments(300, 1).head(0), "Channel 'train' has 1 Parquet files but not one row"),
        (payments(300, 1).assign(label=0), "All 300 rows of the training data have label 0"),
        (payments(300, 1).assign(label=np.nan), "must hold 0 or 1, but 300 of 300 rows do not"),
        (payments(300, 1).drop(columns=["amount", "is_weekend"]), r"part-0\.parquet .* lacks amount, is_weekend"),
        (payments(300, 1).drop(columns="label"), "lacks label"),
        (payments(300, 1).assign(amount="much"), "must hold numbers"),
        (None, "Channel 'train' holds no Parquet file"),
    ],
    ids=["no rows", "one class", "unlabelled", "missing features", "missing label", "text", "no file"],
)
def test_data_that_makes_no_model_is_named(tmp_path: Path, frame: pd.DataFrame | None, reason: str) -> None:
    with pytest.raises(ArtifactError, match=reason):
        run(ContainerPaths(write_job(tmp_path, hyperparameters(), train=frame)))


def test_a_file_that_is_no_parquet_is_named(tmp_path: Path) -> None:
    base = write_job(tmp_path, hyperparameters(), train=None)
    (base / "input" / "data" / "train" / "part-0.parquet").write_bytes(b"PAR1 but not really PAR1")
    with pytest.raises(ArtifactError, match=r"part-0\.parquet of channel 'train' is not readable Parquet"):
        run(ContainerPaths(base))


def test_a_job_without_a_training_channel_fails_in_words(tmp_path: Path) -> None:
    base = write_job(tmp_path, hyperparameters(), validation=payments(10, 1))
    with pytest.raises(ArtifactError, match="no channel 'train'"):
        run(ContainerPaths(base))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"model_parameters": '{"num_leafs": 3}'}, "no parameter num_leafs"),
        ({"features": '["amount", "amount"]'}, "named twice"),
        ({"seed": "x"}, "seed"),
    ],
)
def test_bad_hyperparameters_are_named_in_the_failure(tmp_path: Path, change: dict[str, str], reason: str) -> None:
    strings = hyperparameters().to_sagemaker() | change
    with pytest.raises(ConfigurationError, match=reason):
        run(ContainerPaths(write_job(tmp_path, strings, train=payments(300, 1))))


def test_missing_hyperparameters_fail_in_words(tmp_path: Path) -> None:
    base = write_job(tmp_path, hyperparameters(), train=payments(10, 1))
    (base / "input" / "config" / "hyperparameters.json").unlink()
    with pytest.raises(ConfigurationError, match="hyper-parameters cannot be read"):
        run(ContainerPaths(base))


def test_another_verb_is_a_usage_error(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ml_platform.containers.training", "serve"]
    done = subprocess.run(command, env=clean_environment(tmp_path), capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "usage" in done.stderr


def test_a_stop_ends_the_job_without_a_model(tmp_path: Path) -> None:
    parameters = hyperparameters(model_parameters={"num_iterations": 100_000})
    base = write_job(tmp_path, parameters, train=payments(4000, 1))
    command = [sys.executable, "-m", "ml_platform.containers.training", "train"]
    with subprocess.Popen(command, env=clean_environment(base), stdout=subprocess.PIPE, text=True) as job:
        assert job.stdout is not None
        assert "train:rows=4000" in job.stdout.readline()
        job.send_signal(signal.SIGTERM)
        rest = job.communicate(timeout=20)[0]
    assert job.returncode == 128 + signal.SIGTERM
    assert "stopped by SIGTERM" in rest
    assert not list((base / "model").iterdir())
    assert not (base / "output" / "failure").exists()


def test_the_container_loads_nothing_of_the_orchestrator(tmp_path: Path) -> None:
    base = write_job(tmp_path, hyperparameters(), train=payments(500, 1))
    program = (
        "import json, runpy, sys\n"
        "sys.argv[1:] = ['train']\n"
        "try:\n    runpy.run_module('ml_platform.containers.training', run_name='__main__')\n"
        "except SystemExit as end:\n    assert end.code == 0, end.code\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=clean_environment(base), capture_output=True, text=True, check=True
    )
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert not loaded & {"dagster", "boto3", "botocore", "feast", "sagemaker", "polars", "sklearn"}


FOREST = """
def fit(rows, hyperparameters):
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline

    forest = RandomForestClassifier(5, max_depth=5, random_state=hyperparameters.seed)
    return make_pipeline(SimpleImputer(), forest).fit(rows.matrix, rows.labels)
"""


def write_code(base: Path, text: str) -> str:
    """Write the channel with training code; return its digest."""
    channel = base / "input" / "data" / "code"
    channel.mkdir()
    (channel / "pipeline.py").write_text(text)
    return fingerprint_bytes(text.encode())


def test_a_model_with_training_code_of_its_own_is_trained_and_served(tmp_path: Path) -> None:
    parameters = hyperparameters(model_parameters={}, code=fingerprint_bytes(FOREST.encode()))
    base = write_job(tmp_path, parameters, train=payments(3000, 1), validation=payments(2000, 2))
    write_code(base, FOREST)
    done = train(base)
    assert done.returncode == 0, done.stderr
    artifact = load_artifact(base / "model")
    assert artifact.origin.hyperparameters["code"] == parameters.code
    assert "modeling/pipeline.py" in artifact.origin.code
    rows = payments(50, 3)[list(artifact.pipeline.signature.features)]
    with serving(base) as server:
        body = rows.to_csv(index=False, header=False).encode()
        status, answer, _ = server.request("POST", "/invocations", body, Content_Type="text/csv", Accept="text/csv")
    assert status == 200, answer
    served = [float(line.split(b",")[0]) for line in answer.splitlines()]
    assert served == pytest.approx(artifact.pipeline.score(rows).tolist(), abs=1e-12)


WRAPPER = """
def fit(rows, hyperparameters):
    from lightgbm import LGBMClassifier

    model = LGBMClassifier(n_estimators=5, n_jobs=1, verbosity=-1)
    return model.fit(rows.matrix, rows.labels, sample_weight=rows.weights, feature_name=list(rows.features))
"""


def test_training_code_may_use_lightgbms_wrappers_for_scikit_learn(tmp_path: Path) -> None:
    parameters = hyperparameters(model_parameters={}, code=fingerprint_bytes(WRAPPER.encode()))
    base = write_job(tmp_path, parameters, train=payments(1000, 1))
    write_code(base, WRAPPER)
    done = train(base)
    assert done.returncode == 0, done.stderr
    assert booster_of(load_artifact(base / "model").pipeline).num_trees() == 5


def test_code_that_is_not_the_one_that_was_asked_for_is_not_run(tmp_path: Path) -> None:
    base = write_job(tmp_path, hyperparameters(code="0" * 64), train=payments(300, 1))
    write_code(base, FOREST)
    with pytest.raises(ConfigurationError, match="digest differs"):
        run(ContainerPaths(base))


def test_a_trial_prints_its_figure_fold_by_fold_and_keeps_no_model(tmp_path: Path) -> None:
    start = pd.Timestamp("2026-01-01", tz="UTC")
    rows = payments(2000, 1)
    rows = rows.assign(event_time=start + pd.to_timedelta(rows.index // 200, unit="D"))
    parameters = hyperparameters(trial={"folds": 2, "test_days": 2, "delay_days": 1})
    base = write_job(tmp_path, parameters, train=rows)
    done = train(base)
    assert done.returncode == 0, done.stderr
    folds = [float(figure) for figure in re.findall(r"trial:fold_\d=([0-9.]+);", done.stdout)]
    means = [float(figure) for figure in re.findall(r"trial:objective=([0-9.]+);", done.stdout)]
    assert len(folds) == 2
    assert means == pytest.approx([folds[0], sum(folds) / 2], abs=1e-6)
    assert not list((base / "model").iterdir())
