"""What a model's owner declares about a search for better parameters: ranges, how to measure, and what it may cost."""

from typing import Literal, Self

import dagster as dg
from pydantic import Field, model_validator

from ml_platform.modeling.prequential import Objective
from ml_platform.training.search_space import Choices, Range, SearchBudget, SearchSpace

NumberOrText = float | int | str


class Parameter(dg.Model, dg.Resolvable):
    """What one parameter may be: from ``min`` to ``max``, or one of ``values``."""

    min: float | None = Field(default=None, description="Least value.")
    max: float | None = Field(default=None, description="Greatest value.")
    whole: bool = Field(default=False, description="Only whole numbers.")
    scale: Literal["linear", "log"] = Field(default="linear", description="Where to look more closely.")
    values: list[NumberOrText] = Field(default_factory=list, description="Or one of these.")

    @model_validator(mode="after")
    def _is_a_range_or_choices(self) -> Self:
        if bool(self.values) == (self.min is not None and self.max is not None):
            raise ValueError("give min and max, or values")
        return self

    def declared(self) -> Range | Choices:
        """Return it as the search reads it."""
        if self.values:
            return Choices(values=tuple(str(value) for value in self.values))
        assert self.min is not None  # noqa: S101  # the validator's promise
        assert self.max is not None  # noqa: S101
        return Range(least=self.min, most=self.max, whole=self.whole, logarithmic=self.scale == "log")


class Search(dg.Model, dg.Resolvable):
    """A search is one SageMaker tuning job. Its figures come from folds within the training days only."""

    parameters: dict[str, Parameter] = Field(description="Parameter to what it may be.", min_length=1)
    strategy: Literal["Bayesian", "Random"] = Field(default="Bayesian", description="How the next trial is chosen.")
    objective: Objective = Field(
        default="average_precision", description="What is to be as great as possible: the mean over the folds."
    )
    folds: int = Field(default=3, ge=1, le=12, description="Folds of each trial, sliding back from the last day.")
    fold_days: int = Field(default=7, gt=0, description="Days that a fold tests on.")
    max_jobs: int = Field(default=20, ge=1, le=750, description="Trials at most.")
    max_parallel_jobs: int = Field(default=2, ge=1, le=10, description="Trials at a time.")
    max_minutes: int = Field(default=60, ge=1, description="The search ends after this.")
    max_trial_minutes: int = Field(default=10, ge=2, description="A trial is stopped after this.")
    max_usd: float | None = Field(
        default=5.0, gt=0, description="Refuse a search that could cost more. Unset: no limit of money."
    )
    early_stopping: bool = Field(default=True, description="Stop a trial that falls behind the median of the others.")
    seed: int = Field(default=7, ge=0, description="Seed of the choice of trials.")

    def space(self) -> SearchSpace:
        """Return what to look through, and how."""
        return SearchSpace(
            parameters={name: parameter.declared() for name, parameter in self.parameters.items()},
            strategy=self.strategy,
            seed=self.seed,
            early_stopping=self.early_stopping,
        )

    def budget(self) -> SearchBudget:
        """Return what it may take."""
        return SearchBudget(
            max_jobs=self.max_jobs,
            max_parallel_jobs=self.max_parallel_jobs,
            max_seconds=self.max_minutes * 60,
            max_trial_seconds=self.max_trial_minutes * 60,
            max_usd=self.max_usd,
        )
