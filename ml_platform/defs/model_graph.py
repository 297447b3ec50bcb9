"""Which models the code location holds, and the assets of a model that run together.

Read from the graph, so that a new model's folder is all there is to add.
"""

import dagster as dg

TRAINING_STAGE = ("training_set", "model_candidate", "evaluation_report", "model_package")
MONITORING_STAGE = ("drift_report", "skew_report", "performance_report", "operating_decision")


def models_in(repository: dg.RepositoryDefinition | None) -> list[str]:
    """Return the names of all models, sorted."""
    if repository is None:
        return []
    keys = repository.asset_graph.get_all_asset_keys()
    return sorted(key.path[0] for key in keys if key.path[-1] == TRAINING_STAGE[0])


def stage_of(model: str, stage: tuple[str, ...]) -> list[dg.AssetKey]:
    """Return the keys of a model's stage."""
    return [dg.AssetKey([model, asset]) for asset in stage]
