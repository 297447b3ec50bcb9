"""Captured traffic: parsed by the hour, held against the baseline and against labels as they become known."""

import io
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ml_platform.aws.objects import ObjectNotFoundError
from ml_platform.aws.tables import DailyTable
from ml_platform.core import names
from ml_platform.core.clock import utc_now
from ml_platform.core.errors import EndpointError
from ml_platform.resources.artifacts import load_model
from ml_platform.resources.platform import PlatformResource

if TYPE_CHECKING:
    import pandas as pd

    from ml_platform.modeling.artifact import Artifact
    from ml_platform.monitoring.capture import CaptureBatch
    from ml_platform.monitoring.decision import OperatingDecision
    from ml_platform.monitoring.drift import DriftPolicy, DriftReport
    from ml_platform.monitoring.performance import PerformancePolicy, PerformanceReport
    from ml_platform.registry.lookup import LivePackage


class TrafficMonitor(PlatformResource):
    """Reads what the endpoint recorded. Statistics and decisions are those of ``monitoring``."""

    def live(self, model: str) -> "LivePackage":
        """Return what the model's endpoint serves.

        Raises:
            EndpointError: When it serves nothing.
        """
        from ml_platform.registry import lookup

        live = lookup.live_package(self.settings.region, names.endpoint(model))
        if live is None:
            raise EndpointError(
                f"{model} has no live endpoint, so there is no traffic. Materialize {model}/live_endpoint."
            )
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
                line for key in store.keys(hourly) for line in store.get(key).decode(errors="replace").splitlines()
            ]
        signature = self._model_behind(self.live(model)).pipeline.signature
        batches = [parse(lines, signature, variant) for variant, lines in sorted(variants.items())]
        batch = _joined(batches) if batches else parse([], signature)
        buffer = io.BytesIO()
        batch.frame.to_parquet(buffer, index=False)
        store.put(names.captured_traffic(model, hour), buffer.getvalue())
        store.put_json(names.captured_rejects(model, hour), list(batch.rejected))
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

    def judge_performance(self, model: str, window: timedelta, policy: "PerformancePolicy") -> "PerformanceReport":
        """Hold the scores that the live model served against the labels known by the newest landed midnight."""
        from ml_platform.monitoring.performance import judge_performance

        live = self.live(model)
        served = self._with_payments(self._served(model, live, window))
        as_of, labels = self._labels_of(served)
        reference = live.package.properties.get("average_precision")
        report = judge_performance(
            served,
            labels,
            float(reference) if reference else None,
            policy,
            model=model,
            package_arn=live.package.arn,
            as_of=as_of,
        )
        self.manifests(model).write("performance_report", report)
        return report

    def decide(self, model: str, window: timedelta) -> "OperatingDecision":
        """Weigh drift, performance and the quality of what was captured."""
        from ml_platform.monitoring.decision import DecisionPolicy, decide_operation, measure_quality
        from ml_platform.monitoring.drift import DriftReport
        from ml_platform.monitoring.performance import PerformanceReport

        manifests = self.manifests(model)
        live = self.live(model)
        captured = self._served(model, live, window)
        quality = measure_quality(captured, self._rejected(model, window), self._model_behind(live).baseline)
        decision = decide_operation(
            manifests.read("drift_report", DriftReport),
            manifests.read("performance_report", PerformanceReport),
            quality,
            DecisionPolicy(),
            decided_at=utc_now(),
        )
        manifests.write("operating_decision", decision)
        return decision

    def _model_behind(self, live: "LivePackage") -> "Artifact":
        return load_model(self.store, live.package.artifact_uri)

    def _served(self, model: str, live: "LivePackage", window: timedelta) -> "pd.DataFrame":
        """Rows captured in the window since the live model went live; earlier rows were another model's."""
        import pandas as pd

        frames = []
        for hour in _hours(window):
            try:
                frames.append(pd.read_parquet(io.BytesIO(self.store.get(names.captured_traffic(model, hour)))))
            except ObjectNotFoundError:
                continue
        if not frames:
            raise EndpointError(
                f"No captured traffic of {model} in the last {window}. Materialize {model}/captured_traffic."
            )
        rows = pd.concat([frame for frame in frames if len(frame)] or frames[:1], ignore_index=True)
        return rows[rows["inference_time"] >= pd.Timestamp(live.since).floor("s")].reset_index(drop=True)

    def _rejected(self, model: str, window: timedelta) -> int:
        keys = [names.captured_rejects(model, hour) for hour in _hours(window)]
        return sum(len(self.store.get_json(key)) for key in keys if self.store.exists(key))

    def _with_payments(self, served: "pd.DataFrame") -> "pd.DataFrame":
        """Join served scores to the payments they were for, by inference id."""
        from ml_platform.scoring.transaction import inference_id

        table = DailyTable(self.store, "payments/transactions")
        days = table.days()
        payments = table.read(days[0], days[-1]).select("transaction_id", "customer_id", "event_time").to_pandas()
        payments["inference_id"] = payments["transaction_id"].map(inference_id)
        return payments.merge(served[["inference_id", "score"]], on="inference_id", how="inner")

    def _labels_of(self, served: "pd.DataFrame") -> "tuple[datetime, pd.DataFrame]":
        """Return the newest landed midnight and the labels of the served payments that were known by then."""
        from ml_platform.features.labels import labels_as_known
        from ml_platform.resources.feature_store import FeatureStore

        as_of = FeatureStore().newest_midnight()
        first = served["event_time"].min() if len(served) else as_of
        known = labels_as_known(self.store, as_of, first.date(), as_of.date())
        return as_of, known.to_pandas()


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
        tuple(reason for batch in batches for reason in batch.rejected),
        sum(batch.synthetic for batch in batches),
    )
