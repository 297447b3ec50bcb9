"""A new model is one folder: a copy of the platform with that folder more trains, judges and remembers it.

The copy is another checkout in another process; nothing of this process's code location has a part in it. The model
is one of scikit-learn, by training code of its own.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ml_platform.aws.manifests import Manifests
from ml_platform.aws.objects import ObjectStore
from ml_platform.core.settings import Settings
from ml_platform.defs.model_graph import TRAINING_STAGE
from ml_platform.evaluation.evidence import PromotionEvidence
from ml_platform.evaluation.explanations import Explanations
from ml_platform.features.offline.training_set import read_split
from ml_platform.features.offline.training_set_spec import TrainingSetManifest
from ml_platform.training.run import Candidate
from tests.builders import platform, small_world
from tests.loop.conftest import DAILY_ASSETS

ROOT = Path(__file__).resolve().parents[2]
MODEL = "terminal_risk_alert"
FEATURES = ("amount", "terminal_tx_count_7d", "terminal_fraud_rate_7d", "terminal_fraud_rate_30d")
HISTORY_DAYS = 30
TRAINED = TRAINING_STAGE[:3]
DECLARATION = f"""\
type: ml_platform.components.model_pipeline.ModelPipeline

attributes:
  name: {MODEL}
  owner: team:acquiring
  purpose: Say at each payment whether its terminal is compromised today.
  target: terminal_compromised
  feature_service: fraud_v1
  features: {json.dumps(FEATURES)}
  training: {{train_days: 10, validation_days: 3, holdout_days: 4, label_delay_days: 5}}
  search: {{parameters: {{num_leaves: {{min: 4, max: 16, whole: true}}}}}}
"""

CODE = """\
def fit(rows, hyperparameters):
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rates = rows.positions("terminal_fraud_rate_7d", "terminal_fraud_rate_30d")
    others = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    apart = make_column_transformer((SimpleImputer(), rates), remainder=others)
    return make_pipeline(apart, LogisticRegression()).fit(rows.matrix, rows.labels)
"""


@dataclass(frozen=True)
class Checkout:
    """A copy of the platform, and what its own process said."""

    settings: Settings
    materialized: list[list[str]]
    graph: dict[str, list[str]]
    external: list[str]

    @property
    def manifests(self) -> Manifests:
        return Manifests(ObjectStore.from_settings(self.settings), MODEL)


def copy_with_one_folder_more(target: Path) -> None:
    for package in ("ml_platform", "feature_repo"):
        shutil.copytree(ROOT / package, target / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", target)
    folder = target / "ml_platform" / "defs" / "models" / MODEL
    folder.mkdir()
    (folder / "defs.yaml").write_text(DECLARATION)
    (folder / "pipeline.py").write_text(CODE)


def run_in(checkout: Path, environment: dict[str, str], runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Run assets of a checkout and return what its process reports."""
    script = Path(__file__).with_name("run_assets.py")
    process = subprocess.run(
        [sys.executable, str(script), json.dumps({"runs": runs})],
        cwd=checkout,
        env={**os.environ, **environment, "PYTHONPATH": str(checkout)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert process.returncode == 0, process.stderr[-4000:]
    report: dict[str, Any] = json.loads(process.stdout)
    return report


@pytest.fixture(scope="module")
def checkout(ground_services: str, stand_in: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """A history has landed, and the new model was trained and judged on it."""
    folder, home = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("home")
    copy_with_one_folder_more(folder)
    environment = small_world(home, ground_services, stand_in)
    with platform(environment) as settings:
        first, last = settings.history_start, settings.history_start + timedelta(days=HISTORY_DAYS - 1)
        history = {"assets": DAILY_ASSETS, "days": [first.isoformat(), last.isoformat()]}
        training = {"assets": [f"{MODEL}/{asset}" for asset in TRAINED]}
        yield Checkout(settings, **run_in(folder, environment, [history, training]))


def test_its_assets_are_the_same_as_those_of_every_model(checkout: Checkout) -> None:
    def of(model: str) -> dict[str, set[str]]:
        return {
            asset: {parent.replace(model, "MODEL") for parent in parents}
            for key, parents in checkout.graph.items()
            if (asset := key.removeprefix(f"{model}/")) != key
        }

    assert of(MODEL) == of("card_fraud")
    assert {*TRAINED, "hyperparameter_search", "live_endpoint", "operating_decision"} <= set(of(MODEL))
    assert checkout.external == []


def test_its_training_stage_runs_on_the_same_payments(checkout: Checkout) -> None:
    assert checkout.materialized == [sorted(DAILY_ASSETS), sorted(f"{MODEL}/{asset}" for asset in TRAINED)]


def test_its_manifests_say_what_was_made(checkout: Checkout) -> None:
    training_set = checkout.manifests.read("training_set", TrainingSetManifest)
    candidate = checkout.manifests.read("model_candidate", Candidate)
    evidence = checkout.manifests.read("evaluation_report", PromotionEvidence)
    assert training_set.features == FEATURES
    assert candidate.training_set_fingerprint == training_set.fingerprint
    assert candidate.job_name.startswith("terminal-risk-alert-train-")
    assert evidence.candidate_fingerprint == candidate.fingerprint
    assert evidence.challenger.rows == training_set.splits["holdout"].rows


def test_it_was_probed_by_its_own_code_and_gives_reasons(checkout: Checkout) -> None:
    evidence = checkout.manifests.read("evaluation_report", PromotionEvidence)
    explained = checkout.manifests.read("explanations", Explanations)
    assert evidence.leakage is not None
    assert evidence.leakage.not_probed == ""
    assert evidence.leakage.shuffled < evidence.leakage.model
    assert evidence.explained_by.startswith("coefficient")
    assert {one.feature for one in explained.importance} == set(FEATURES)
    assert explained.failures == ()


def test_its_label_is_about_the_terminal_not_about_the_payment(checkout: Checkout) -> None:
    manifest = checkout.manifests.read("training_set", TrainingSetManifest)
    train = read_split(ObjectStore.from_settings(checkout.settings), manifest, "train")
    terminal_day = ("terminal_id", pl.col("event_time").dt.date())
    assert train.group_by(terminal_day).agg(pl.col("label").n_unique())["label"].max() == 1
    assert train["label"].max() == 1
