"""The experiment run: every judged candidate in MLflow, stopped ones too. Beside the path to promotion, not on it."""

import dagster as dg

from ml_platform.components.automation import when_a_candidate_was_judged
from ml_platform.components.metadata import link
from ml_platform.components.settings import ModelSettings
from ml_platform.resources.tracking import ExperimentTracking

IN_MLFLOW = "mlflow_has_every_candidate"


def build_experiment_run(
    model: ModelSettings, evaluation_report: dg.AssetsDefinition, model_package: dg.AssetsDefinition
) -> dg.AssetsDefinition:
    """Return the asset ``experiment_run``."""
    parameters = {**model.training.model_parameters, "seed": model.training.seed}

    @dg.asset(
        key=[model.name, "experiment_run"],
        deps=[evaluation_report, model_package],
        group_name="evaluation",
        kinds={"mlflow"},
        owners=[model.owner],
        tags={"model": model.name},
        check_specs=[
            dg.AssetCheckSpec(
                IN_MLFLOW,
                asset=[model.name, "experiment_run"],
                description="MLflow has the runs of all judged candidates. Materialize again to send what it missed.",
            )
        ],
        automation_condition=when_a_candidate_was_judged(evaluation_report.key),
        description="The candidate's run in MLflow, linked with the Dagster run that judged it and its package.",
    )
    def experiment_run(
        context: dg.AssetExecutionContext, experiment_tracking: ExperimentTracking
    ) -> dg.MaterializeResult:
        event = context.instance.get_latest_materialization_event(evaluation_report.key)
        judged = event.asset_materialization if event else None
        metadata = judged.metadata if judged else {}
        found = experiment_tracking.track(
            model.name,
            declared=parameters,
            dagster_run=event.run_id if event else context.run.run_id,
            plots={
                name: value.md_str or ""
                for name, value in metadata.items()
                if isinstance(value, dg.MarkdownMetadataValue)
            },
        )
        return dg.MaterializeResult(
            metadata={
                "mlflow_run": found.run_id or "not in MLflow yet",
                "mlflow": dg.MetadataValue.url(found.url) if found.url.startswith("http") else link(found.url),
                "candidate": found.candidate_fingerprint,
                "package_version": found.package_version or "not registered",
                "written_now": found.written,
            },
            check_results=[
                dg.AssetCheckResult(
                    check_name=IN_MLFLOW,
                    passed=not found.waiting,
                    severity=dg.AssetCheckSeverity.WARN,
                    description=found.problem or "no run waits",
                    metadata={"waiting": ", ".join(name[:12] for name in found.waiting) or "none"},
                )
            ],
        )

    return experiment_run
