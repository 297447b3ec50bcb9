"""A search for better parameters: one SageMaker tuning job, started by a person and never by itself."""

from pathlib import Path

import dagster as dg

from ml_platform.components.metadata import numbers
from ml_platform.components.search_settings import Search
from ml_platform.components.settings import ModelSettings
from ml_platform.components.training_parameters import hyperparameters_of, training_code
from ml_platform.modeling.prequential import Trial as Measure
from ml_platform.resources.feature_store import FeatureStore
from ml_platform.resources.sagemaker import SageMaker
from ml_platform.training.search import SearchResult, Trial

ASSET = "hyperparameter_search"


def build_search(
    model: ModelSettings, training_set: dg.AssetsDefinition, folder: Path | None = None
) -> dg.AssetsDefinition | None:
    """Return the asset ``hyperparameter_search``; None for a model that declares no search."""
    if model.search is None:
        return None
    declared, code = model.search, training_code(folder)

    @dg.asset(
        key=[model.name, ASSET],
        deps=[training_set],
        group_name="training",
        kinds={"sagemaker"},
        owners=[model.owner],
        tags={"model": model.name},
        pool="sagemaker_training",
        description="Better parameters, found by a tuning job on folds within the training days. Runs when asked to.",
    )
    def hyperparameter_search(
        context: dg.AssetExecutionContext, feature_store: FeatureStore, sagemaker: SageMaker
    ) -> dg.MaterializeResult:
        training_set = feature_store.training_set(model.name)
        hyperparameters = hyperparameters_of(model, training_set, code).model_copy(
            update={"trial": measure(declared, model.training.label_delay_days)}
        )
        found = sagemaker.search(
            model.name,
            training_set,
            hyperparameters,
            declared.space(),
            declared.budget(),
            context.log.info,
            code,
        )
        sagemaker.manifests(model.name).write(ASSET, found)
        return dg.MaterializeResult(data_version=dg.DataVersion(found.fingerprint), metadata=search_metadata(found))

    return hyperparameter_search


def measure(declared: Search, label_delay_days: int) -> Measure:
    """Return how each trial is measured."""
    return Measure(
        objective=declared.objective,
        folds=declared.folds,
        test_days=declared.fold_days,
        delay_days=label_delay_days,
    )


def search_metadata(found: SearchResult) -> dict[str, dg.MetadataValue | float | int | str]:
    """Return what people look at: the best figure over time, and every trial in a table, best first."""
    ranked = sorted(found.trials, key=lambda trial: (-(trial.objective or 0.0), trial.job_name))
    return {
        **numbers(
            {
                f"best_{found.objective}": found.best_objective,
                f"declared_{found.objective}": found.declared.objective,
                "gain": found.gain,
                "trials": len(found.trials),
                "billable_seconds": found.billable_seconds,
                "usd": found.usd,
            }
        ),
        "best_parameters": dg.MetadataValue.json(found.best_parameters),
        "trials_compared": dg.MetadataValue.table([_record(trial) for trial in ranked], _schema(found)),
        "tuning_job": found.job_name,
        "fingerprint": found.fingerprint,
    }


def _record(trial: Trial) -> dg.TableRecord:
    # A table holds no empty cell: what is unknown is said, not shown as zero.
    return dg.TableRecord(
        {
            "trial": trial.job_name,
            "status": trial.status,
            "objective": "unknown" if trial.objective is None else f"{trial.objective:.4f}",
            **trial.parameters,
            "billable_seconds": trial.billable_seconds,
            "usd": "unknown" if trial.usd is None else f"{trial.usd:.4f}",
        }
    )


def _schema(found: SearchResult) -> dg.TableSchema:
    names = sorted({name for trial in found.trials for name in trial.parameters})
    return dg.TableSchema(
        columns=[
            dg.TableColumn("trial"),
            dg.TableColumn("status"),
            dg.TableColumn("objective", description=f"{found.objective}, mean over the folds"),
            *[dg.TableColumn(name, description="searched") for name in names],
            dg.TableColumn("billable_seconds", "int"),
            dg.TableColumn("usd", description="estimated"),
        ]
    )
