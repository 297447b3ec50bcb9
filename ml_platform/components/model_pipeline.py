"""The ``ModelPipeline`` component: one model, from training set to operating decision, declared as data.

Its fields, the platform's contract with a model's owner, are ``settings``; each stage has a module beside this one.
"""

from pathlib import Path

import dagster as dg

from ml_platform.components.batch import build_batch_scores
from ml_platform.components.decision_policy import build_decision_policy
from ml_platform.components.deployment import build_live_endpoint
from ml_platform.components.evaluation import build_evaluation_report
from ml_platform.components.monitoring import build_monitoring
from ml_platform.components.registry import build_model_package
from ml_platform.components.search import build_search
from ml_platform.components.settings import ModelSettings
from ml_platform.components.tracking import build_experiment_run
from ml_platform.components.training import build_model_candidate, build_training_set
from ml_platform.components.training_refit import build_refit_check


class ModelPipeline(dg.Component, ModelSettings):
    """Everything one model needs: training, promotion gate, registry, endpoint, batch scores and monitoring.

    A new model is one folder under ``defs/models`` with a ``defs.yaml`` of this type.
    """

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Build the assets and checks of this model."""
        return build_model(self, context.path)


def build_model(model: ModelSettings, folder: Path | None = None) -> dg.Definitions:
    """Return the assets of one model, each built on the one before it.

    Args:
        model: What its owner declares.
        folder: Its folder, which may hold training code of its own; None: it has none.
    """
    training_set = build_training_set(model)
    search = build_search(model, training_set, folder)
    model_candidate = build_model_candidate(model, training_set, search if model.training.use_search else None, folder)
    evaluation_report = build_evaluation_report(model, model_candidate, folder)
    model_package = build_model_package(model, evaluation_report)
    live_endpoint = build_live_endpoint(model, model_package)
    return dg.Definitions(
        assets=[
            training_set,
            *([] if search is None else [search]),
            model_candidate,
            evaluation_report,
            model_package,
            live_endpoint,
            build_decision_policy(model, live_endpoint),
            build_batch_scores(model, model_package),
            build_experiment_run(model, evaluation_report, model_package),
            *build_monitoring(model, live_endpoint),
        ],
        asset_checks=build_refit_check(model, model_candidate),
    )
