"""What a search looks through and what it may take. Pure: the request to SageMaker is ``tuning_request``."""

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ml_platform.core.verdict import Verdict
from ml_platform.modeling.hyperparameters import HyperParameters

# What a search may set beside parameters of the estimator itself.
SEARCHABLE = frozenset({"positive_weight", "half_life_days"})


class Range(BaseModel):
    """Numbers from ``least`` to ``most``, both included."""

    model_config = ConfigDict(frozen=True)

    least: float = Field(allow_inf_nan=False)
    most: float = Field(allow_inf_nan=False)
    whole: bool = False
    logarithmic: bool = False

    @model_validator(mode="after")
    def _can_be_searched(self) -> Self:
        if self.least >= self.most:
            raise ValueError(f"the least value, {self.least:g}, must be below the greatest, {self.most:g}")
        if self.logarithmic and self.least <= 0:
            raise ValueError("a logarithmic range must begin above 0")
        if self.whole and (self.least != int(self.least) or self.most != int(self.most)):
            raise ValueError("a range of whole numbers must begin and end with one")
        return self


class Choices(BaseModel):
    """One of some values."""

    model_config = ConfigDict(frozen=True)

    values: tuple[str, ...] = Field(min_length=2)


class SearchSpace(BaseModel):
    """Parameters, and how the next trial is chosen."""

    model_config = ConfigDict(frozen=True)

    parameters: Mapping[str, Range | Choices] = Field(min_length=1, max_length=30)
    strategy: Literal["Bayesian", "Random"] = "Bayesian"
    seed: int = 7
    early_stopping: bool = True

    @model_validator(mode="after")
    def _leaves_alone_what_is_not_to_be_searched(self) -> Self:
        if fixed := sorted((self.parameters.keys() & HyperParameters.model_fields.keys()) - SEARCHABLE):
            raise ValueError(f"{', '.join(fixed)} cannot be searched: all trials must have the same to be comparable")
        return self


class SearchBudget(BaseModel):
    """What a search may take: whichever limit comes first."""

    model_config = ConfigDict(frozen=True)

    max_jobs: int = Field(ge=1)
    max_parallel_jobs: int = Field(ge=1)
    max_seconds: int = Field(gt=0)
    max_trial_seconds: int = Field(gt=0)
    max_usd: float | None = None

    @property
    def parallel_jobs(self) -> int:
        """Trials at a time: never more than there are trials."""
        return min(self.max_parallel_jobs, self.max_jobs)

    @property
    def instance_seconds(self) -> int:
        """The most instance seconds that can be billed.

        That is one trial of the declared parameters, and then the search; a trial that runs when the time is over may
        run to its end.
        """
        return self.max_trial_seconds + min(
            self.max_jobs * self.max_trial_seconds, self.parallel_jobs * (self.max_seconds + self.max_trial_seconds)
        )


def judge_budget(budget: SearchBudget, most_usd: float | None, instance_type: str) -> Verdict:
    """Return whether a search may start.

    Args:
        budget: What it may take.
        most_usd: What all of its instance seconds would cost; None when the price is not known.
        instance_type: Of its trials.
    """
    if budget.max_usd is None:
        return Verdict()
    if most_usd is None:
        return Verdict((f"the price of {instance_type} is not known, so nobody can say that it stays in budget",))
    if most_usd > budget.max_usd:
        return Verdict(
            (
                f"it could cost {most_usd:.2f} USD ({budget.instance_seconds} s of {instance_type}),"
                f" more than the {budget.max_usd:.2f} USD allowed",
            )
        )
    return Verdict()
