"""Training set and candidate: what was known at the cut-off, and the SageMaker training job that fits on it."""

from typing import TYPE_CHECKING

import dagster as dg

from ml_platform.components import payments
from ml_platform.components.automation import when_upstream_is_good
from ml_platform.resources.feature_store import FeatureStore
from ml_platform.resources.sagemaker import SageMaker

if TYPE_CHECKING:
    from ml_platform.components.model_pipeline import ModelPipeline


class TrainingSetConfig(dg.Config):
    """What to build, when not the newest."""

    as_of: str | None = None
    """Midnight (ISO date) at which labels must have been known; default: end of the newest ingested day."""


class CandidateConfig(dg.Config):
    """How to train, when not as declared."""

    shuffle_labels: bool = False
    """Leakage probe: fit on permuted labels. The gate must stop such a candidate."""


def build_assets(model: "ModelPipeline") -> list[dg.AssetsDefinition]:
    """Return ``training_set`` and ``model_candidate``."""

    @dg.asset(
        key=[model.name, "training_set"],
        deps=[payments.FRAUD_LABELS, payments.CARD_ACTIVITY, payments.TERMINAL_RISK],
        group_name="training",
        kinds={"feast", "parquet", "s3"},
        owners=[model.owner],
        tags={"model": model.name},
        description=f"Features as known at each event, labels as known at the cut-off. Target: {model.target}.",
    )
    def training_set(
        config: TrainingSetConfig, feature_store: FeatureStore
    ) -> dg.MaterializeResult:
        manifest = feature_store.build_training_set(model, config.as_of)
        return feature_store.describe_training_set(manifest)

    @dg.asset(
        key=[model.name, "model_candidate"],
        deps=[training_set],
        group_name="training",
        kinds={"sagemaker", "lightgbm"},
        owners=[model.owner],
        tags={"model": model.name},
        pool="sagemaker_training",
        automation_condition=when_upstream_is_good(),
        description="A model fitted by a SageMaker training job. The job's name follows from its inputs.",
    )
    def model_candidate(
        context: dg.AssetExecutionContext, config: CandidateConfig, sagemaker: SageMaker
    ) -> dg.MaterializeResult:
        candidate = sagemaker.train(model, shuffle_labels=config.shuffle_labels, on_log=context.log.info)
        return sagemaker.describe_candidate(candidate)

    return [training_set, model_candidate]
