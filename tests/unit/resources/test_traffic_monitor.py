"""Only what the live model served counts for or against it, and what held is remembered."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from ml_platform.aws.objects import ObjectStore
from ml_platform.aws.tables import DailyTable
from ml_platform.core import names
from ml_platform.core.clock import utc_now
from ml_platform.modeling import codec
from ml_platform.modeling.artifact import pack_archive, save_artifact
from ml_platform.modeling.baseline import Baseline
from ml_platform.modeling.contract import JSON
from ml_platform.monitoring.performance import PerformancePolicy
from ml_platform.monitoring.track_record import TrackRecord
from ml_platform.registry.lookup import LivePackage
from ml_platform.resources.traffic_monitor import TRACK_RECORD, TrafficMonitor
from tests.unit.modeling.payments import FEATURES, fitted, payments
from tests.unit.monitoring.builders import a_drift_report, a_performance_report

MODEL = "card_fraud"
PACKAGE = "arn:aws:sagemaker:us-east-1:000000000000:model-package/card-fraud/2"
HOUR = utc_now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
SINCE = HOUR + timedelta(minutes=30, microseconds=250_000)
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    scratch = tmp_path_factory.mktemp("model")
    pipeline, frame = fitted(), payments(2000, 2)
    save_artifact(pipeline, Baseline.measure(pipeline.signature, frame, pipeline.score(frame)), "f" * 64, scratch / "m")
    pack_archive(scratch / "m", scratch / "model.tar.gz")
    return scratch / "model.tar.gz"


@pytest.fixture
def monitor(store: ObjectStore, archive: Path) -> TrafficMonitor:
    """A monitor of an endpoint that serves version 2 of the model since half past."""
    live = LivePackage.model_validate(
        {
            "endpoint": names.endpoint(MODEL),
            "endpoint_status": "InService",
            "config": "card-fraud-v2",
            "since": SINCE,
            "package": {
                "arn": PACKAGE,
                "group": names.model_package_group(MODEL),
                "version": 2,
                "status": "Approved",
                "artifact_uri": store.put("models/card_fraud/model.tar.gz", archive.read_bytes()),
                "properties": {"average_precision": "0.6", "calibration_error": "not a number"},
                "created_at": SINCE,
            },
        }
    )

    class OfOneEndpoint(TrafficMonitor):
        def live(self, model: str) -> LivePackage:  # noqa: ARG002  # every model is this one
            return live

    return OfOneEndpoint()


def a_line(at: datetime, identity: str = "t-1", score: float = 0.25, features: tuple[str, ...] = FEATURES) -> str:
    request = codec.encode_instances([dict.fromkeys(features, 1.0)]).decode()
    answer, content_type = codec.encode_response([score], 0.5, JSON)
    sides = {
        "endpointInput": {"observedContentType": JSON, "mode": "INPUT", "data": request, "encoding": "JSON"},
        "endpointOutput": {
            "observedContentType": content_type,
            "mode": "OUTPUT",
            "data": answer.decode(),
            "encoding": "JSON",
        },
    }
    time = f"{at:%Y-%m-%dT%H:%M:%SZ}"
    metadata = {"eventId": f"{identity} at {time}", "inferenceId": identity, "inferenceTime": time}
    return json.dumps({"captureData": sides, "eventMetadata": metadata, "eventVersion": "0"}, ensure_ascii=False)


def capture(store: ObjectStore, lines: list[str], variant: str = "primary") -> None:
    key = f"{names.capture_prefix(MODEL)}{names.endpoint(MODEL)}/{variant}/{HOUR:%Y/%m/%d/%H}/{variant}.jsonl"
    store.put(key, "".join(f"{line}\n" for line in lines).encode())


def decide(monitor: TrafficMonitor, **reports: Any) -> Any:
    manifests = monitor.manifests(MODEL)
    manifests.write("drift_report", reports.get("drift", a_drift_report(package_arn=PACKAGE)))
    manifests.write("performance_report", reports.get("performance", a_performance_report(package_arn=PACKAGE)))
    return monitor.decide(MODEL, timedelta(hours=24))


def test_an_hour_is_kept_whole_and_replaced_when_it_is_read_again(store: ObjectStore, monitor: TrafficMonitor) -> None:
    # U+2028 ends a line for Python, and is a letter like any other for JSON.
    capture(store, [a_line(SINCE, "t-1"), a_line(SINCE, "t\u20282"), "{"])
    capture(store, [a_line(SINCE, "t-3")], variant="shadow")
    for _ in range(2):
        batch = monitor.capture_hour(MODEL, HOUR)
        assert batch.frame["inference_id"].tolist() == ["t-1", "t\u20282", "t-3"]
        assert batch.frame["variant"].tolist() == ["primary", "primary", "shadow"]
        assert len(batch.rejected) == 1
        assert len(store.get_json(names.captured_rejects(MODEL, HOUR))) == 1


def test_a_swap_of_models_is_no_broken_data(store: ObjectStore, monitor: TrafficMonitor) -> None:
    earlier = SINCE - timedelta(minutes=5)
    older = [a_line(earlier, f"o-{number}", features=("another_feature",)) for number in range(200)]
    capture(store, [*older, *(a_line(SINCE, f"n-{number}") for number in range(200))])
    batch = monitor.capture_hour(MODEL, HOUR)
    assert (len(batch.rejected), len(batch.frame)) == (200, 200)
    decision = decide(monitor)
    assert decision.action == "nothing"
    assert decision.evidence["rejected_requests"] == 0


@pytest.mark.parametrize("broken", ["other features", "no line at all"])
def test_what_the_live_model_was_asked_and_cannot_be_read_is(
    store: ObjectStore, monitor: TrafficMonitor, broken: str
) -> None:
    line = "{" if broken == "no line at all" else a_line(SINCE, features=("another_feature",))
    capture(store, [*[line] * 3, *(a_line(SINCE, f"n-{number}") for number in range(200))])
    monitor.capture_hour(MODEL, HOUR)
    decision = decide(monitor)
    assert decision.action == "fix_data"
    assert decision.reasons[0] == "3 of 203 captured requests cannot be read"


def test_reports_about_another_package_are_void(store: ObjectStore, monitor: TrafficMonitor) -> None:
    capture(store, [a_line(SINCE)])
    monitor.capture_hour(MODEL, HOUR)
    fell = a_performance_report(ranking_fell=True, failures=("fell",))
    decision = decide(monitor, performance=fell)
    assert decision.action == "nothing"
    assert decision.reasons == (
        "no signal has drifted",
        "the performance report is about model-package/card-fraud/1, but model-package/card-fraud/2 is live: "
        "make it anew",
        "skew unknown: nobody compared what was served with the offline store",
    )


def land(store: ObjectStore, scores: np.ndarray, labels: np.ndarray) -> list[str]:
    """Land a day of payments with mature labels, and a day a week later; return the day's captured lines."""
    instant = pl.Datetime("us", "UTC")
    first = datetime(2026, 1, 5, tzinfo=UTC)
    ids = [f"t-{number}" for number in range(len(labels))]

    def transactions(identities: list[str], day: datetime) -> pl.DataFrame:
        return pl.DataFrame(
            {"transaction_id": identities, "customer_id": identities, "event_time": [day] * len(identities)}
        ).with_columns(pl.col("event_time").cast(instant))

    table = DailyTable(store, "payments/transactions")
    table.write(first.date(), transactions(ids, first))
    table.write(date(2026, 1, 13), transactions(["young"], first + 8 * DAY))
    known = transactions(ids, first).select(
        "transaction_id",
        pl.Series("label", labels).cast(pl.Int8),
        "event_time",
        (pl.col("event_time") + 6 * DAY).alias("known_time"),
    )
    DailyTable(store, "payments/fraud_labels").write(date(2026, 1, 11), known)
    return [a_line(SINCE, identity, float(score)) for identity, score in zip(ids, scores, strict=True)]


@pytest.mark.parametrize("good", [True, False])
def test_a_package_that_held_is_remembered_and_one_that_did_not_is_not(
    store: ObjectStore,
    monitor: TrafficMonitor,
    good: bool,  # noqa: FBT001  # a pytest parameter
) -> None:
    labels = (np.arange(300) % 10 == 0).astype(int)
    lines = land(store, np.where((labels == 1) == good, 0.9, 0.05), labels)
    # Asked twice, and answered otherwise the second time: the first answer is what was acted on.
    capture(store, [a_line(SINCE + timedelta(minutes=1), "t-0", 0.5), *lines])
    monitor.capture_hour(MODEL, HOUR)
    report = monitor.judge_performance(
        MODEL, timedelta(hours=24), PerformancePolicy(min_matured_rows=100, max_calibration_error=1.0)
    )
    assert (report.served, report.matured.rows, report.matured.positives) == (300, 300, 30)
    assert (report.judged, report.ranking_fell) == (True, not good)
    assert report.reference_average_precision == 0.6
    record = monitor.manifests(MODEL).read(TRACK_RECORD, TrackRecord)
    assert record.held_before(PACKAGE) == good


def test_a_package_that_never_held_gives_way_to_one_that_did(store: ObjectStore, monitor: TrafficMonitor) -> None:
    capture(store, [a_line(SINCE)])
    monitor.capture_hour(MODEL, HOUR)
    fell = a_performance_report(package_arn=PACKAGE, ranking_fell=True, failures=("fell",))
    assert decide(monitor, performance=fell).action == "retrain"
    held = TrackRecord().with_report(a_performance_report())
    monitor.manifests(MODEL).write(TRACK_RECORD, held)
    assert decide(monitor, performance=fell).action == "roll_back"
