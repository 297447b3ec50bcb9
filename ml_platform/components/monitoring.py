"""Captured traffic by the hour, drift and performance of what is live, and the decision they lead to."""

from datetime import timedelta

import dagster as dg

from ml_platform.components import payments
from ml_platform.components.automation import every_hour
from ml_platform.components.metadata import link, numbers, picture, reasons, rows, sentence, told
from ml_platform.components.settings import ModelSettings
from ml_platform.core.settings import Settings
from ml_platform.monitoring.skew import MEANING, SkewReport
from ml_platform.resources.traffic_monitor import TrafficMonitor


def build_monitoring(model: ModelSettings, live_endpoint: dg.AssetsDefinition) -> list[dg.AssetsDefinition]:
    """Return the monitoring assets of a model, in the order in which they build on each other."""
    captured_traffic = build_captured_traffic(model, live_endpoint)
    drift_report = build_drift_report(model, captured_traffic)
    skew_report = build_skew_report(model, captured_traffic)
    performance_report = build_performance_report(model, captured_traffic)
    return [
        captured_traffic,
        drift_report,
        skew_report,
        performance_report,
        build_operating_decision(model, drift_report, skew_report, performance_report),
    ]


def build_captured_traffic(model: ModelSettings, live_endpoint: dg.AssetsDefinition) -> dg.AssetsDefinition:
    """Return the asset ``captured_traffic``. The hour that runs is a partition too: it may be looked at early."""
    start = f"{Settings.load().history_start.isoformat()}-00:00"

    @dg.asset(
        key=[model.name, "captured_traffic"],
        deps=[live_endpoint],
        partitions_def=dg.HourlyPartitionsDefinition(start_date=start, end_offset=1),
        group_name="monitoring",
        kinds={"parquet", "s3"},
        owners=[model.owner],
        tags={"model": model.name},
        automation_condition=every_hour(),
        check_specs=[
            dg.AssetCheckSpec(
                "captured_requests_can_be_read",
                asset=[model.name, "captured_traffic"],
                description="Every captured line became rows; the reasons are listed for those that did not.",
            )
        ],
        description="What the endpoint was asked and answered, one row per payment.",
    )
    def captured_traffic(context: dg.AssetExecutionContext, traffic_monitor: TrafficMonitor) -> dg.MaterializeResult:
        hour = context.partition_time_window.start
        batch = traffic_monitor.capture_hour(model.name, hour)
        return dg.MaterializeResult(
            metadata={
                **rows(len(batch.frame)),
                "rejected": len(batch.rejected),
                "synthetic": batch.synthetic,
                **numbers({"mean_score": float(batch.frame["score"].mean()) if len(batch.frame) else None}),
            },
            check_results=[
                dg.AssetCheckResult(
                    check_name="captured_requests_can_be_read",
                    passed=not batch.rejected,
                    description=told(batch.rejected),
                    metadata={"reasons": sentence(batch.rejected), "rejected": len(batch.rejected)},
                )
            ],
        )

    return captured_traffic


def build_drift_report(model: ModelSettings, captured_traffic: dg.AssetsDefinition) -> dg.AssetsDefinition:
    """Return the asset ``drift_report`` with its warning."""

    @dg.asset(
        key=[model.name, "drift_report"],
        deps=[captured_traffic],
        group_name="monitoring",
        kinds={"numpy"},
        owners=[model.owner],
        tags={"model": model.name},
        check_specs=[
            dg.AssetCheckSpec(
                "live_traffic_resembles_the_baseline",
                asset=[model.name, "drift_report"],
                description="No feature and no score has drifted from what the model was fitted on.",
            )
        ],
        description="How far live features and scores have moved from the live model's own baseline.",
    )
    def drift_report(traffic_monitor: TrafficMonitor) -> dg.MaterializeResult:
        report = traffic_monitor.judge_drift(
            model.name, timedelta(hours=model.monitoring.window_hours), model.monitoring.drift_policy()
        )
        shown = {
            **rows(report.rows),
            "drifted_signals": len(report.alerts),
            **numbers({f"psi_{signal.name}": round(signal.corrected_psi, 5) for signal in report.signals}),
        }
        chart = {"psi_by_signal": picture(report.chart())} if report.signals else {}
        return dg.MaterializeResult(
            metadata={**shown, **chart, "model_package": report.package_arn},
            check_results=[
                dg.AssetCheckResult(
                    check_name="live_traffic_resembles_the_baseline",
                    passed=report.verdict.passed,
                    severity=dg.AssetCheckSeverity.WARN,
                    description=told(report.failures),
                    metadata={"reasons": sentence(report.failures), **chart, "drifted_signals": len(report.alerts)},
                )
            ],
        )

    return drift_report


def build_skew_report(model: ModelSettings, captured_traffic: dg.AssetsDefinition) -> dg.AssetsDefinition:
    """Return the asset ``skew_report`` with its check."""

    @dg.asset(
        key=[model.name, "skew_report"],
        deps=[captured_traffic, payments.CARD_ACTIVITY, payments.TERMINAL_RISK],
        group_name="monitoring",
        kinds={"feast", "polars"},
        owners=[model.owner],
        tags={"model": model.name},
        check_specs=[
            dg.AssetCheckSpec(
                "served_features_equal_the_offline_store",
                asset=[model.name, "skew_report"],
                description="Captured requests, replayed offline, have what they were served; causes are named.",
            )
        ],
        description="Features as they were served, beside what the offline store says of the same payments; and why.",
    )
    def skew_report(traffic_monitor: TrafficMonitor) -> dg.MaterializeResult:
        report = traffic_monitor.judge_skew(
            model.name,
            timedelta(hours=model.monitoring.window_hours),
            model.monitoring.skew_policy(),
            service=model.feature_service,
            lookup=model.training.feature_lookup,
        )
        figures = numbers({"skew_rate": report.skew_rate, **{f"by_{cause}": n for cause, n in report.by_cause.items()}})
        kept = {"differing_values": link(report.rows_uri)} if report.rows_uri else {}
        return dg.MaterializeResult(
            metadata={
                **rows(report.compared),
                "captured": report.captured,
                "values_compared": report.values,
                **figures,
                **({"by_feature": picture(report.chart()), "causes": _causes(report)} if report.by_feature else {}),
                **kept,
                "model_package": report.package_arn,
            },
            check_results=[
                dg.AssetCheckResult(
                    check_name="served_features_equal_the_offline_store",
                    passed=report.verdict.passed,
                    severity=dg.AssetCheckSeverity.ERROR if report.judged else dg.AssetCheckSeverity.WARN,
                    description=told(report.failures),
                    metadata={"reasons": sentence(report.failures), **figures, **kept},
                )
            ],
        )

    return skew_report


def _causes(report: SkewReport) -> dg.TableMetadataValue:
    """How many values of which feature differ for which cause."""
    return dg.MetadataValue.table(
        [
            dg.TableRecord({"feature": name, "cause": cause, "values": count, "meaning": MEANING[cause]})
            for name, causes in report.by_feature.items()
            for cause, count in causes.items()
        ]
    )


def build_performance_report(model: ModelSettings, captured_traffic: dg.AssetsDefinition) -> dg.AssetsDefinition:
    """Return the asset ``performance_report`` with its check."""

    @dg.asset(
        key=[model.name, "performance_report"],
        deps=[captured_traffic, payments.FRAUD_LABELS],
        group_name="monitoring",
        kinds={"scikitlearn"},
        owners=[model.owner],
        tags={"model": model.name},
        check_specs=[
            dg.AssetCheckSpec(
                "performance_holds_on_matured_labels",
                asset=[model.name, "performance_report"],
                description="Served scores are as good as the gate's evidence promised; too early to tell is no pass.",
            )
        ],
        description="Figures of the scores that were served, on the labels known by now.",
    )
    def performance_report(traffic_monitor: TrafficMonitor) -> dg.MaterializeResult:
        report = traffic_monitor.judge_performance(
            model.name, timedelta(hours=model.monitoring.window_hours), model.monitoring.performance_policy()
        )
        figures = numbers(
            {
                "average_precision": report.matured.figure("average_precision"),
                "roc_auc": report.matured.figure("roc_auc"),
                "card_precision_at_100": report.matured.figure("card_precision_at_100"),
                "calibration_error": report.matured.figure("calibration_error"),
                "reference_average_precision": report.reference_average_precision,
                "matured_share": report.matured_share,
            }
        )
        return dg.MaterializeResult(
            metadata={
                **rows(report.matured.rows),
                "known_frauds": report.matured.positives,
                "served": report.served,
                "labels_known_by": dg.MetadataValue.timestamp(report.as_of),
                **figures,
                "model_package": report.package_arn,
            },
            check_results=[
                dg.AssetCheckResult(
                    check_name="performance_holds_on_matured_labels",
                    passed=report.verdict.passed,
                    severity=dg.AssetCheckSeverity.ERROR if report.judged else dg.AssetCheckSeverity.WARN,
                    description=told(report.failures),
                    metadata={"reasons": sentence(report.failures), **figures},
                )
            ],
        )

    return performance_report


def build_operating_decision(
    model: ModelSettings,
    drift_report: dg.AssetsDefinition,
    skew_report: dg.AssetsDefinition,
    performance_report: dg.AssetsDefinition,
) -> dg.AssetsDefinition:
    """Return the asset ``operating_decision``. A sensor acts on it."""

    @dg.asset(
        key=[model.name, "operating_decision"],
        deps=[drift_report, skew_report, performance_report],
        group_name="monitoring",
        owners=[model.owner],
        tags={"model": model.name},
        description="Retrain, re-threshold, roll back, fix the data, or nothing; with the reasons.",
    )
    def operating_decision(traffic_monitor: TrafficMonitor) -> dg.MaterializeResult:
        decision = traffic_monitor.decide(model.name, timedelta(hours=model.monitoring.window_hours))
        return dg.MaterializeResult(metadata={"action": decision.action, "reasons": reasons(decision.reasons)})

    return operating_decision
