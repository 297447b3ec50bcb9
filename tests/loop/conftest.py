"""A platform on which the loop turns: real services, an instance in memory, and a model of the tests' own."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import dagster as dg
import pytest
from dagster import DagsterInstance

from ml_platform.aws.manifests import Manifests
from ml_platform.aws.objects import ObjectStore
from ml_platform.cli.code_location import load_definitions
from ml_platform.cli.runs import Run, Runs
from ml_platform.components import payments
from ml_platform.components.model_pipeline import ModelPipeline, build_model
from ml_platform.core.settings import Settings
from ml_platform.defs.model_graph import TRAINING_STAGE
from tests.builders import platform, small_world

LIVE_FROM = 40
DAILY_ASSETS = [key.to_user_string() for key in payments.DAILY]


@dataclass(frozen=True)
class World:
    """A platform and the runs on it. Days are counted from the first day of the history.

    Each module's model has a name of its own: SageMaker is one for all of them, and so are its jobs and endpoints.
    """

    model: str
    settings: Settings
    runs: Runs
    instance: DagsterInstance

    @property
    def store(self) -> ObjectStore:
        return ObjectStore.from_settings(self.settings)

    @property
    def manifests(self) -> Manifests:
        return Manifests(self.store, self.model)

    def day(self, number: int) -> date:
        return self.settings.history_start + timedelta(days=number)

    def land(self, first: int, last: int) -> Run:
        """Land days as one run, through to the online store."""
        return self.runs.materialize(DAILY_ASSETS, days=(self.day(first), self.day(last)))

    def run_stage(
        self, stage: Sequence[str], *, model: str | None = None, as_of: int | None = None, **candidate: Any
    ) -> Run:
        """Run some of a model's assets; ``as_of`` and ``candidate`` configure the training set and the candidate."""
        name = model or self.model
        configs = {
            "training_set": {"as_of": self.day(as_of).isoformat()} if as_of else {},
            "model_candidate": candidate,
        }
        return self.runs.materialize(
            [f"{name}/{asset}" for asset in stage],
            ops={f"{name}__{asset}": {"config": config} for asset, config in configs.items() if config},
        )

    def train(self, as_of: int = LIVE_FROM, **candidate: Any) -> Run:
        """Run the whole training stage on the history up to a day."""
        return self.run_stage(TRAINING_STAGE, as_of=as_of, **candidate)


@pytest.fixture(scope="module")
def world(
    ground_services: str, stand_in: str, models: list[ModelPipeline], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """An empty platform; prices rise on the day that live traffic begins."""
    environment = small_world(
        tmp_path_factory.mktemp("home"), ground_services, stand_in, ML_PLATFORM_SIMULATOR_SHIFT_DAY=str(LIVE_FROM)
    )
    with platform(environment) as settings, DagsterInstance.ephemeral() as instance:
        definitions = dg.Definitions.merge(load_definitions(), *[build_model(model) for model in models])
        yield World(models[0].name, settings, Runs(definitions, instance), instance)
