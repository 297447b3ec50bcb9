"""The ``ModelPipeline`` component: one model, from training set to operating decision, declared as data.

Its fields are the platform's contract with a model's owner. How each stage is built is in the sibling modules.
"""

import dagster as dg
from pydantic import Field

from ml_platform.components import batch, deployment, evaluation, monitoring, registry, training
from ml_platform.components.settings import Gate, Monitoring, Training


class ModelPipeline(dg.Component, dg.Model, dg.Resolvable):
    """Everything one model needs: training, promotion gate, registry, endpoint, batch scores and monitoring.

    A new model is one folder under ``defs/models`` with a ``defs.yaml`` of this type.
    """

    name: str = Field(description="Snake-case name; the first part of every asset key.", pattern=r"^[a-z][a-z0-9_]{2,40}$")
    owner: str = Field(description="Owner of all assets, e.g. `team:fraud`.")
    purpose: str = Field(description="One sentence for people: what the score is used for.")
    features: list[str] = Field(description="Input columns of the model, in the order of its signature.", min_length=1)
    feature_service: str = Field(description="Feast feature service that serves the looked-up features.")
    target: str = Field(default="transaction_fraud", description="What is predicted; `features.targets` lists them.")
    training: Training = Training()
    gate: Gate = Gate()
    monitoring: Monitoring = Monitoring()

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:  # noqa: ARG002  # Dagster's signature
        """Build the assets and checks of this model."""
        return build_model(self)


def build_model(model: ModelPipeline) -> dg.Definitions:
    """Return the definitions of one model, stage by stage."""
    stages = [training, evaluation, registry, deployment, batch, monitoring]
    return dg.Definitions(assets=[asset for stage in stages for asset in stage.build_assets(model)])
