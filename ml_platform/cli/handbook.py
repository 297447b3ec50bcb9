"""``ml-platform handbook``: the Fraud Detection Handbook's data through the platform, its figures beside ours.

Chapter 3's split (train 25 to 31 July 2018, seven days of label delay, test 8 to 14 August), through the same
ingestion, features, point-in-time join and model as everything else. What is shown and judged is
``cli.handbook_report``.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ml_platform.aws.objects import ObjectStore
from ml_platform.cli import console
from ml_platform.cli.handbook_reference import compare_tables_with_book
from ml_platform.cli.handbook_report import HandbookResult, failures, print_result
from ml_platform.cli.home import prepare_home
from ml_platform.cli.service_specs import ground
from ml_platform.cli.services import LocalServices
from ml_platform.core.clock import days
from ml_platform.core.errors import SourceDataError
from ml_platform.core.settings import Settings

if TYPE_CHECKING:
    from ml_platform.features.offline.training_set_spec import TrainingSetManifest
    from ml_platform.ingestion.source import Source
    from ml_platform.modeling.declared_metrics import ModelMetrics

_MODEL = "handbook"
_HISTORY_START = date(2018, 4, 1)
_AS_OF = datetime(2018, 8, 22, tzinfo=UTC)


def run_handbook(data: Path) -> int:
    """Run the whole file, print the figures, and write them to ``bench/handbook.json`` in the home.

    Returns:
        0 when every count and figure is as expected, else 1.
    """
    if not data.exists():
        raise SourceDataError(f"There is no file {data}. Give the path of the Handbook's transactions as Parquet.")
    settings = prepare_home()
    with LocalServices(settings, reuse=True, services=(ground(settings),), report=console.progress) as services:
        result = _measure(_own_settings(services.settings, data), data)
    problems = failures(result)
    print_result(result, problems)
    path = settings.home / "bench" / "handbook.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(result.model_dump_json(indent=2) + "\n")
    console.progress(f"Written to {path}")
    return 1 if problems else 0


def _own_settings(settings: Settings, data: Path) -> Settings:
    """Return settings with a bucket and a feature store of their own: the demo's payments are another world."""
    return settings.model_copy(
        update={
            "bucket": f"{settings.bucket}-handbook",
            "home": settings.home / "bench" / "handbook",
            "source": str(data.absolute()),
            "source_columns": {},
            "source_label_delay_days": 7,
            "history_start": _HISTORY_START,
        }
    )


def _measure(settings: Settings, data: Path) -> HandbookResult:
    from ml_platform.features.offline.training_set import build_training_set
    from ml_platform.features.offline.training_set_spec import TrainingSetSpec
    from ml_platform.features.windows.compute import compute_features
    from ml_platform.ingestion.source import open_source

    store = ObjectStore.from_settings(settings)
    store.ensure_bucket()
    seconds: dict[str, float] = {}
    source = open_source(settings)
    with _stage("ingest", "Landing payments and labels", seconds):
        span = _span(source)
        accepted, quarantined = _ingest(source, store, span)
    with _stage("features", "Computing 1, 7 and 30 day windows of cards and terminals", seconds):
        feature_rows = compute_features(store, *span).card_activity.rows
    with _stage("training_set", "Joining features point-in-time", seconds):
        spec = TrainingSetSpec(
            model=_MODEL,
            as_of=_AS_OF,
            train_days=7,
            validation_days=0,
            holdout_days=7,
            label_delay_days=7,
            feature_lookup="event",
            drop_known_compromised_cards=True,
        )
        manifest = build_training_set(settings, store, spec)
    with _stage("compare_with_book", "Computing the features again, the book's way", seconds):
        book = compare_tables_with_book(store, data, *span)
    with _stage("fit_and_score", "Fitting LightGBM and scoring the test week", seconds):
        metrics = _fit_and_score(store, manifest)
    train, test = manifest.splits["train"], manifest.splits["holdout"]
    return HandbookResult(
        rows=accepted,
        rows_quarantined=quarantined,
        feature_rows=feature_rows,
        train_rows=train.rows,
        train_frauds=train.positives,
        test_rows=test.rows,
        test_frauds=test.positives,
        roc_auc=metrics.figure("roc_auc"),
        average_precision=metrics.figure("average_precision"),
        card_precision_at_100=metrics.figure("card_precision_at_100"),
        seconds_by_stage=seconds,
        fingerprint=manifest.fingerprint,
        book=book,
    )


def _span(source: "Source") -> tuple[date, date]:
    span = source.days()
    if span is None:
        raise SourceDataError("The Handbook's data must be a file.")
    return span


def _ingest(source: "Source", store: ObjectStore, span: tuple[date, date]) -> tuple[int, int]:
    from ml_platform.ingestion.landing import ingest_labels, ingest_transactions

    report = ingest_transactions(source, store, span)
    ingest_labels(source, store, span[0], span[1] + days(7))
    return report.accepted, report.quarantined


def _fit_and_score(store: ObjectStore, manifest: "TrainingSetManifest") -> "ModelMetrics":
    from ml_platform.features.offline.training_set import read_split
    from ml_platform.modeling.declared_metrics import measure
    from ml_platform.modeling.hyperparameters import HyperParameters
    from ml_platform.modeling.pipeline import FittedPipeline

    train = read_split(store, manifest, "train").to_pandas()
    test = read_split(store, manifest, "holdout").to_pandas()
    hyperparameters = HyperParameters(features=manifest.features, seed=0, fingerprint=manifest.fingerprint)
    scores = FittedPipeline.fit(train, None, hyperparameters).score(test)
    return measure(test["label"], scores, days=test["event_time"].dt.date, cards=test["customer_id"])


@contextmanager
def _stage(name: str, title: str, seconds: dict[str, float]) -> Iterator[None]:
    with console.err.status(title):
        started = time.monotonic()
        yield
        seconds[name] = round(time.monotonic() - started, 2)
    console.progress(f"{title}: {seconds[name]:.1f} s")
