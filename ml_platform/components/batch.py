"""Batch scores: the newest registered package on the newest landed days, by a transform job."""

import dagster as dg

from ml_platform.components.automation import when_upstream_is_good
from ml_platform.components.metadata import link, rows
from ml_platform.components.settings import ModelSettings
from ml_platform.resources.feature_store import FeatureStore
from ml_platform.resources.lineage import keep_batch
from ml_platform.resources.sagemaker import SageMaker


def build_batch_scores(model: ModelSettings, model_package: dg.AssetsDefinition) -> dg.AssetsDefinition:
    """Return the asset ``batch_scores`` ; it fails when the rows that came back are not the rows that were sent."""

    @dg.asset(
        key=[model.name, "batch_scores"],
        deps=[model_package],
        group_name="batch",
        kinds={"sagemaker", "parquet"},
        owners=[model.owner],
        tags={"model": model.name},
        pool="sagemaker_transform",
        automation_condition=when_upstream_is_good(),
        description="Scores of the newest landed days by the newest registered package.",
    )
    def batch_scores(
        context: dg.AssetExecutionContext, feature_store: FeatureStore, sagemaker: SageMaker
    ) -> dg.MaterializeResult:
        frame = feature_store.newest_payments(
            model.feature_service, tuple(model.features), model.training.feature_lookup, model.batch_days
        )
        scores, reported = sagemaker.score_batch(
            context, model.name, sagemaker.registered(model.name), frame, tuple(model.features)
        )
        sagemaker.manifests(model.name).write("batch_scores", scores)
        keep_batch(sagemaker.store, scores, feature_store.newest_days(model.batch_days))
        return dg.MaterializeResult(
            metadata={
                **(reported.get_materialize_result().metadata or {}),
                **rows(scores.rows),
                "rows_sent": frame.height,
                "mean_score": scores.mean_score,
                "version": scores.version,
                "address": link(scores.scores_uri),
            },
        )

    return batch_scores
