"""Captured traffic: parsed by the hour, held against the baseline and against labels as they become known."""

import io
import math
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ml_platform.aws.tables import DailyTable
from ml_platform.core import names
from ml_platform.core.clock import utc_now
from ml_platform.core.errors import EndpointError
from ml_platform.resources.artifacts import load_model
from ml_platform.resources.platform import PlatformResource

if TYPE_CHECKING:
    import pandas as pd

    from ml_platform.features.offline.lookup import Lookup
    from ml_platform.modeling.artifact import Artifact
    from ml_platform.modeling.decision_policy import Matured
    from ml_platform.monitoring.capture import CaptureBatch, Reject
    from ml_platform.monitoring.decision import OperatingDecision
    from ml_platform.monitoring.drift import DriftPolicy, DriftReport
    from ml_platform.monitoring.performance import PerformancePolicy, PerformanceReport
    from ml_platform.monitoring.skew import SkewPolicy, SkewReport
    from ml_platform.registry.lookup import LivePackage


TRACK_RECORD = "performance_track_record"
"""Name of the manifest that keeps which packages held; it is no asset, because it only grows."""


class TrafficMonitor(PlatformResource):
    """Reads what the endpoint recorded. Statistics and decisions are those of ``monitoring``."""

    def live(self, model: str) -> "LivePackage":
        """Return what the model's endpoint serves, since when its deployment recorded.

        SageMaker's own time moves with any later touch, such as a change of weights.

        Raises:
            EndpointError: When it serves nothing.
        """
        from ml_platform.deployment.rollout import LiveEndpoint
        from ml_platform.registry import lookup

        live = lookup.live_package(self.settings.region, names.endpoint(model))
        if live is None:
            raise EndpointError(
                f"{model} has no live endpoint, so there is no traffic. Materialize {model}/live_endpoint."
            )
        deployed = self.manifests(model).find("live_endpoint", LiveEndpoint)
        if deployed is not None and deployed.config == live.config:
            return live.model_copy(update={"since": deployed.since})
        return live

    def capture_hour(self, model: str, hour: datetime) -> "CaptureBatch":
        """Parse the requests captured in an hour and keep them as rows; what was kept before is replaced."""
        from ml_platform.monitoring.capture import parse

        variants: dict[str, list[str]] = {}
        root = f"{names.capture_prefix(model)}{names.endpoint(model)}/"
        store = self.store
        for variant in {key.removeprefix(root).split("/")[0] for key in store.keys(root)}:
            hourly = f"{root}{variant}/{hour:%Y/%m/%d/%H}/"
            variants[variant] = [
                # Not splitlines(): it also breaks at characters that JSON allows inside a string.
                line
                for key in store.keys(hourly)
                for line in store.get(key).decode(errors="replace").split("\n")
            ]
        signature = self._model_behind(self.live(model)).pipeline.signature
        batches = [parse(lines, signature, variant) for variant, lines in sorted(variants.items())]
        batch = _joined(batches) if batches else parse([], signature)
        buffer = io.BytesIO()
        batch.frame.to_parquet(buffer, index=False)
        store.put(names.captured_traffic(model, hour), buffer.getvalue())
        store.put_json(names.captured_rejects(model, hour), [_as_json(reject) for reject in batch.rejects])
        return batch

    def judge_drift(self, model: str, window: timedelta, policy: "DriftPolicy") -> "DriftReport":
        """Hold the traffic that the live model served against its own baseline."""
        from ml_platform.monitoring.drift import judge_drift

        live = self.live(model)
        report = judge_drift(
            self._served(model, live, window),
            self._model_behind(live).baseline,
            policy,
            model=model,
            package_arn=live.package.arn,
        )
        self.manifests(model).write("drift_report", report)
        return report

    def judge_skew(
        self, model: str, window: timedelta, policy: "SkewPolicy", *, service: str, lookup: "Lookup"
    ) -> "SkewReport":
        """Replay the requests that the live model served through the offline store, and name what differs."""
        import polars as pl

        from ml_platform.features.skew.replay import Replay
        from ml_platform.monitoring.capture import answers_to_one_payment
        from ml_platform.resources.skew_proof import prove_skew

        live = self.live(model)
        features = tuple(self._model_behind(live).pipeline.signature.features)
        answers = answers_to_one_payment(self._served(model, live, window))
        # An answer to a payment that has not landed keeps its inference id: it is counted, and not compared.
        landed = self._payments().set_index("inference_id")["transaction_id"]
        answers["transaction_id"] = answers["inference_id"].map(landed).fillna(answers["inference_id"])
        once = answers.drop_duplicates("transaction_id", keep="first")
        report = prove_skew(
            Replay(self.settings, self.store, service, features, lookup),
            pl.from_pandas(once[["transaction_id", "inference_time", *features]]),
            policy,
            model=model,
            package_arn=live.package.arn,
            judged_at=utc_now(),
        )
        self.manifests(model).write("skew_report", report)
        return report

    def judge_performance(self, model: str, window: timedelta, policy: "PerformancePolicy") -> "PerformanceReport":
        """Hold the scores that the live model served against the labels known by the newest landed midnight."""
        from ml_platform.monitoring.performance import judge_performance
        from ml_platform.monitoring.track_record import TrackRecord
        from ml_platform.resources.feature_store import FeatureStore

        live = self.live(model)
        as_of = FeatureStore().newest_midnight()
        served = self._with_payments(self._served(model, live, window))
        report = judge_performance(
            served,
            self._labels_of(served, as_of),
            _figure(live, "average_precision"),
            policy,
            model=model,
            package_arn=live.package.arn,
            as_of=as_of,
            reference_calibration_error=_figure(live, "calibration_error"),
        )
        manifests = self.manifests(model)
        manifests.write("performance_report", report)
        record = manifests.find(TRACK_RECORD, TrackRecord) or TrackRecord()
        manifests.write(TRACK_RECORD, record.with_report(report))
        return report

    def matured(self, model: str, window: timedelta, *, min_positives: int) -> "Matured | None":
        """Return the scores that the live model served in the window and whose labels are known by now.

        None while there are too few known frauds, or nothing was captured: then the scores mean what they meant.
        """
        from ml_platform.modeling.decision_policy import Matured
        from ml_platform.monitoring.performance import matured_scores
        from ml_platform.resources.feature_store import FeatureStore

        live, as_of = self.live(model), FeatureStore().newest_midnight()
        try:
            served = self._with_payments(self._served(model, live, window))
        except EndpointError:
            return None
        rows = matured_scores(served, self._labels_of(served, as_of), as_of)
        found = Matured(rows["score"].to_numpy(), rows["label"].to_numpy())
        return found if found.positives >= min_positives else None

    def decide(self, model: str, window: timedelta) -> "OperatingDecision":
        """Weigh drift, performance, skew and the quality of what was captured."""
        from ml_platform.monitoring.decision import OperatingPolicy, decide_operation, measure_quality
        from ml_platform.monitoring.drift import DriftReport
        from ml_platform.monitoring.performance import PerformanceReport
        from ml_platform.monitoring.skew import SkewReport
        from ml_platform.monitoring.track_record import TrackRecord

        manifests = self.manifests(model)
        live = self.live(model)
        captured = self._served(model, live, window)
        quality = measure_quality(captured, self._rejected(model, live, window), self._model_behind(live).baseline)
        record = manifests.find(TRACK_RECORD, TrackRecord) or TrackRecord()
        decision = decide_operation(
            manifests.read("drift_report", DriftReport),
            manifests.read("performance_report", PerformanceReport),
            quality,
            OperatingPolicy(),
            decided_at=utc_now(),
            skew=manifests.find("skew_report", SkewReport),
            held_before=record.held_before(live.package.arn),
            another_held=record.another_held(live.package.arn),
            live_package_arn=live.package.arn,
        )
        manifests.write("operating_decision", decision)
        return decision

    def _model_behind(self, live: "LivePackage") -> "Artifact":
        return load_model(self.store, live.package.artifact_uri)

    def _served(self, model: str, live: "LivePackage", window: timedelta) -> "pd.DataFrame":
        """Rows captured in the window since the live model went live; earlier rows were another model's."""
        import pandas as pd

        store = self.store
        # One listing: most hours of a window have no traffic, and asking for each took seconds.
        there = set(store.keys(names.model_prefix(model, "captured-traffic")))
        keys = [key for hour in _hours(window) if (key := names.captured_traffic(model, hour)) in there]
        frames = [pd.read_parquet(io.BytesIO(store.get(key))) for key in keys]
        if not frames:
            raise EndpointError(
                f"No captured traffic of {model} in the last {window}. Materialize {model}/captured_traffic."
            )
        rows = pd.concat([frame for frame in frames if len(frame)] or frames[:1], ignore_index=True)
        return rows[rows["inference_time"] >= _from(live)].reset_index(drop=True)

    def _rejected(self, model: str, live: "LivePackage", window: timedelta) -> int:
        """Lines of the live model that could not be read.

        An earlier model's lines need not fit the live one's signature: to replace a model breaks no data. A line
        whose time cannot be read counts unless its whole hour is from before the swap.
        """
        since, store = _from(live), self.store
        there = set(store.keys(names.model_prefix(model, "captured-rejects")))
        count = 0
        for hour in _hours(window):
            key = names.captured_rejects(model, hour)
            rejects = store.get_json(key) if key in there else []
            end = hour + timedelta(hours=1)
            times = (reject["inference_time"] for reject in rejects)
            count += sum(datetime.fromisoformat(at) >= since if at else end > since for at in times)
        return count

    def _with_payments(self, served: "pd.DataFrame") -> "pd.DataFrame":
        """Join served scores to the payments they were for, by inference id."""
        from ml_platform.monitoring.capture import answers_to_one_payment

        # The answers are on the left, because their order, first answer first, is what must survive.
        answers = answers_to_one_payment(served)[["inference_id", "score"]]
        return answers.merge(self._payments(), on="inference_id", how="inner")

    def _payments(self) -> "pd.DataFrame":
        """Return the landed payments, each with the inference id that it is scored under."""
        from ml_platform.scoring.transaction import inference_id

        table = DailyTable(self.store, "payments/transactions")
        days = table.days()
        columns = ("transaction_id", "customer_id", "event_time")
        payments = table.read(days[0], days[-1], columns).to_pandas()
        payments["inference_id"] = payments["transaction_id"].map(inference_id)
        return payments

    def _labels_of(self, served: "pd.DataFrame", as_of: datetime) -> "pd.DataFrame":
        """Return the labels of the served payments that were known by then."""
        from ml_platform.features.labels.known import labels_as_known

        first = served["event_time"].min() if len(served) else as_of
        return labels_as_known(self.store, as_of, first.date(), as_of.date()).to_pandas()


def _from(live: "LivePackage") -> datetime:
    """The instant from which captured lines are the live model's; SageMaker writes their time in whole seconds."""
    return live.since.replace(microsecond=0)


def _figure(live: "LivePackage", metric: str) -> float | None:
    """A figure that the package carries from the gate; None when it carries none that is a number."""
    try:
        value = float(live.package.properties[metric])
    except (KeyError, ValueError):
        return None
    return value if math.isfinite(value) else None


def _as_json(reject: "Reject") -> dict[str, str | None]:
    at = reject.inference_time
    return {"reason": reject.reason, "inference_time": at.isoformat() if at else None}


def _hours(window: timedelta) -> list[datetime]:
    """The hours of the window that ends now, oldest first."""
    now = utc_now().replace(minute=0, second=0, microsecond=0)
    count = int(window.total_seconds() // 3600)
    return [now - timedelta(hours=back) for back in range(count, -1, -1)]


def _joined(batches: "list[CaptureBatch]") -> "CaptureBatch":
    import pandas as pd

    from ml_platform.monitoring.capture import CaptureBatch

    frames = [batch.frame for batch in batches if len(batch.frame)] or [batches[0].frame]
    return CaptureBatch(
        pd.concat(frames, ignore_index=True),
        tuple(reject for batch in batches for reject in batch.rejects),
        sum(batch.synthetic for batch in batches),
    )
