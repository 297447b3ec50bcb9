"""The decision policy: from the live model's scores to approve, review or decline; fitted again without training.

Scores that the live model served, with the labels known by now, say what its scores mean today: with enough of them
the policy is calibrated anew, which is what an operating decision to re-threshold asks for.
"""

from datetime import timedelta

import dagster as dg

from ml_platform.components.automation import when_upstream_is_good
from ml_platform.components.metadata import link, numbers, rows
from ml_platform.components.settings import ModelSettings
from ml_platform.resources.feature_store import FeatureStore
from ml_platform.resources.payment_decisions import PaymentDecisions
from ml_platform.resources.traffic_monitor import TrafficMonitor


def build_decision_policy(model: ModelSettings, live_endpoint: dg.AssetsDefinition) -> dg.AssetsDefinition:
    """Return the asset ``decision_policy``."""

    @dg.asset(
        key=[model.name, "decision_policy"],
        deps=[live_endpoint],
        group_name="deployment",
        kinds={"json"},
        owners=[model.owner],
        tags={"model": model.name},
        automation_condition=when_upstream_is_good(),
        description="Approve, review or decline at the least expected cost, within a day's reviews.",
    )
    def decision_policy(
        feature_store: FeatureStore, payment_decisions: PaymentDecisions, traffic_monitor: TrafficMonitor
    ) -> dg.MaterializeResult:
        features = feature_store.newest_payments(
            model.feature_service, tuple(model.features), model.training.feature_lookup, model.policy_days
        )
        fitted = payment_decisions.fit(
            model.name,
            feature_store.newest_landed(model.policy_days),
            features,
            model.money,
            traffic_monitor.matured(
                model.name,
                timedelta(hours=model.monitoring.window_hours),
                min_positives=model.policy_min_positives,
            ),
        )
        return dg.MaterializeResult(
            data_version=dg.DataVersion(fitted.policy.version),
            metadata={
                **rows(fitted.rows),
                **numbers({f"{action}_share": share for action, share in fitted.shares.items()}),
                **numbers(
                    {
                        "reviews_per_day": fitted.policy.reviews_per_day,
                        "min_review_saving": fitted.policy.min_review_saving,
                        "expected_cost_per_1000": fitted.expected_cost_per_1000,
                        "calibration_slope": fitted.policy.calibration.slope,
                        "calibration_intercept": fitted.policy.calibration.intercept,
                        "calibrated_on_frauds": fitted.policy.calibrated_on,
                    }
                ),
                "money_source": fitted.policy.money.source,
                "package_version": fitted.package_version,
                "address": link(fitted.address),
            },
        )

    return decision_policy
