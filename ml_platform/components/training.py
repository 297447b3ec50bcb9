"""Training set and candidate: what was known at the cut-off, and the SageMaker training job that fits on it."""

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from ml_platform.components import payments
from ml_platform.components.automation import when_upstream_is_good
from ml_platform.components.feature_columns import training_set_lineage
from ml_platform.components.metadata import link, numbers, rows
from ml_platform.components.settings import ModelSettings
from ml_platform.components.training_parameters import hyperparameters_of, training_code
from ml_platform.components.training_spec import training_set_spec
from ml_platform.resources.feature_store import FeatureStore
from ml_platform.resources.lineage import keep_candidate
from ml_platform.resources.sagemaker import SageMaker
from ml_platform.training.search import SearchResult


class TrainingSetConfig(dg.Config):
    """What to build, when not the newest."""

    as_of: str | None = None
    """ISO date at whose midnight labels must have been known; default: the end of the newest landed day."""

    @property
    def instant(self) -> datetime | None:
        """The cut-off as an instant."""
        return datetime.fromisoformat(self.as_of).replace(tzinfo=UTC) if self.as_of else None


class CandidateConfig(dg.Config):
    """How to train, when not as declared."""

    shuffle_labels: bool = False
    """Leakage probe: fit on permuted labels. The gate must stop such a candidate."""
    seed: int | None = None
    """Another seed than the declared one."""


def build_training_set(model: ModelSettings) -> dg.AssetsDefinition:
    """Return the asset ``training_set``."""

    @dg.asset(
        key=[model.name, "training_set"],
        deps=[payments.TRANSACTIONS, payments.FRAUD_LABELS, payments.CARD_ACTIVITY, payments.TERMINAL_RISK],
        group_name="training",
        kinds={"feast", "parquet"},
        owners=[model.owner],
        tags={"model": model.name},
        metadata=training_set_lineage(model.features),
        description=f"Features as known at each event, labels as known at the cut-off. Target: `{model.target}`.",
    )
    def training_set(config: TrainingSetConfig, feature_store: FeatureStore) -> dg.MaterializeResult:
        as_of = config.instant or feature_store.newest_midnight()
        manifest = feature_store.build_training_set(model.name, training_set_spec(model, as_of))
        return dg.MaterializeResult(
            data_version=dg.DataVersion(manifest.fingerprint),
            metadata={
                **rows(sum(split.rows for split in manifest.splits.values())),
                **{f"{name}_rows": split.rows for name, split in manifest.splits.items()},
                **{f"{name}_positives": split.positives for name, split in manifest.splits.items()},
                "as_of": dg.MetadataValue.timestamp(manifest.as_of),
                "fingerprint": manifest.fingerprint,
                "address": link(manifest.uri),
            },
        )

    return training_set


def build_model_candidate(
    model: ModelSettings,
    training_set: dg.AssetsDefinition,
    search: dg.AssetsDefinition | None = None,
    folder: Path | None = None,
) -> dg.AssetsDefinition:
    """Return the asset ``model_candidate``.

    Args:
        model: The model.
        training_set: Its data.
        search: The search whose best parameters are used, if the model wants that.
        folder: The model's folder, which may hold training code of its own.
    """
    code = training_code(folder)

    @dg.asset(
        key=[model.name, "model_candidate"],
        deps=[training_set] if search is None else [training_set, search],
        group_name="training",
        kinds={"sagemaker", "lightgbm" if code is None else "python"},
        owners=[model.owner],
        tags={"model": model.name},
        pool="sagemaker_training",
        automation_condition=when_upstream_is_good(),
        description="A model fitted by a SageMaker training job. The job's name follows from its inputs.",
    )
    def model_candidate(
        context: dg.AssetExecutionContext, config: CandidateConfig, feature_store: FeatureStore, sagemaker: SageMaker
    ) -> dg.MaterializeResult:
        training_set = feature_store.training_set(model.name)
        found = None if search is None else sagemaker.manifests(model.name).read("hyperparameter_search", SearchResult)
        hyperparameters = hyperparameters_of(model, training_set, code, found).model_copy(
            update={"shuffle_labels": config.shuffle_labels} | ({} if config.seed is None else {"seed": config.seed})
        )
        candidate, reported = sagemaker.train(context, model.name, training_set, hyperparameters, code)
        sagemaker.manifests(model.name).write("model_candidate", candidate)
        keep_candidate(sagemaker.settings, sagemaker.store, candidate)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(candidate.fingerprint),
            metadata={
                **(reported.get_materialize_result().metadata or {}),
                **numbers(candidate.metrics),
                "fingerprint": candidate.fingerprint,
                "address": link(candidate.artifact_uri),
                **({} if found is None else {"parameters_from": found.job_name}),
            },
        )

    return model_candidate
