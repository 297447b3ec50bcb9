"""The platform's side of ``bench.tax``: from no payments to the first scored request, as the demo does it.

Run as a process of its own: ``python -m bench.platform_path``, in an environment that points at running local
services and an empty home. Prints one JSON document: what came out, and the seconds of each stage.
"""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from dagster import DagsterInstance

from ml_platform.aws import model_packages
from ml_platform.aws.manifests import Manifests
from ml_platform.aws.objects import ObjectStore
from ml_platform.cli.code_location import load_definitions
from ml_platform.cli.demo_home import HISTORY_DAYS
from ml_platform.cli.runs import Runs
from ml_platform.cli.traffic import features_of_day
from ml_platform.components import payments
from ml_platform.core import names
from ml_platform.core.settings import Settings
from ml_platform.defs.model_graph import TRAINING_STAGE
from ml_platform.evaluation.evidence import PromotionEvidence
from ml_platform.registry import lookup, model_package
from ml_platform.scoring.transaction import Scorer

MODEL = "card_fraud"


def run_path(settings: Settings) -> dict[str, Any]:
    """Run the path once and return its outcome."""
    seconds: dict[str, tuple[float, float]] = {}

    @contextmanager
    def stage(name: str) -> Iterator[None]:
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        seconds[name] = (round(time.perf_counter() - wall, 2), round(time.process_time() - cpu, 2))

    with stage("load"):
        runs = Runs(load_definitions(), DagsterInstance.from_config(str(settings.dagster_home)))
    first = settings.history_start
    today = first + timedelta(days=HISTORY_DAYS)
    with stage("history"):
        runs.materialize([key.to_user_string() for key in payments.DAILY], days=(first, today - timedelta(days=1)))
    with stage("training"):
        trained = runs.materialize(
            [f"{MODEL}/{asset}" for asset in TRAINING_STAGE],
            ops={f"{MODEL}__training_set": {"config": {"as_of": today.isoformat()}}},
        )
    if trained.blocked_by():
        raise SystemExit("The gate stopped the model; there is nothing to compare.")
    with stage("deployment"):
        (package,) = lookup.list_packages(settings.region, names.model_package_group(MODEL), model_packages.PENDING)
        model_package.approve(settings.region, package.arn, by="bench", reason="passed the gate")
        runs.tick("approved_package_goes_live")
    with stage("first_request"):
        (features,) = features_of_day(settings, today, 1)
        score = Scorer(settings, names.endpoint(MODEL)).score(features, "first")
    evidence = Manifests(ObjectStore.from_settings(settings), MODEL).read("evaluation_report", PromotionEvidence)
    report = evidence.challenger
    return {
        "holdout_rows": report.rows,
        "average_precision": report.figure("average_precision"),
        "roc_auc": report.figure("roc_auc"),
        "card_precision_at_100": report.figure("card_precision_at_100"),
        "calibration_error": report.figure("calibration_error"),
        "first_score": score.score,
        "seconds": seconds,
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(run_path(Settings.load())) + "\n")
