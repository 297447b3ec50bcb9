"""Binds resource keys to resources, and sets the executor."""

import dagster as dg

from ml_platform.resources.feature_store import FeatureStore
from ml_platform.resources.model_evaluator import ModelEvaluator
from ml_platform.resources.payment_decisions import PaymentDecisions
from ml_platform.resources.payments import PaymentsSource
from ml_platform.resources.sagemaker import SageMaker
from ml_platform.resources.tracking import ExperimentTracking
from ml_platform.resources.traffic_monitor import TrafficMonitor


@dg.definitions
def resources() -> dg.Definitions:
    """Resources take everything from ``Settings``; there is nothing to configure per code location."""
    return dg.Definitions(
        resources={
            "experiment_tracking": ExperimentTracking(),
            "feature_store": FeatureStore(),
            "model_evaluator": ModelEvaluator(),
            "payment_decisions": PaymentDecisions(),
            "payments_source": PaymentsSource(),
            "sagemaker": SageMaker(),
            "traffic_monitor": TrafficMonitor(),
        },
        # Our steps wait for SageMaker; a process per step would cost 2-3 CPU seconds each.
        executor=dg.in_process_executor,
    )
