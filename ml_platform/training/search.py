"""Search better hyper-parameters by a SageMaker tuning job, at most once for the same inputs, within a budget.

Trials see the training days only and are judged on folds within them. Neither the validation days, which calibrate,
nor the holdout, which judges, is a channel of theirs.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from ml_platform.aws import training_jobs, tuning_jobs
from ml_platform.aws.tuning_jobs import TunedJob
from ml_platform.core.clock import Clock, Sleep, sleep, utc_now
from ml_platform.core.errors import ConfigurationError, JobFailedError
from ml_platform.core.fingerprint import fingerprint_json, fingerprint_parts
from ml_platform.core.settings import Settings
from ml_platform.modeling.contract import CODE_CHANNEL, TRAIN_CHANNEL, TRIAL_OBJECTIVE
from ml_platform.training.job_request import training_job_request
from ml_platform.training.run import TrainingInputs, candidate_fingerprint, candidate_parts
from ml_platform.training.search_space import SearchBudget, SearchSpace, judge_budget
from ml_platform.training.tuning_request import tuning_job_request

Cost = Callable[[str, int], float | None]
"""Takes instance type and seconds; returns US dollars, or None when the price is not known."""


class Trial(BaseModel):
    """One set of parameters and what it gave. All trials have the same rows, folds, code, seed and image."""

    model_config = ConfigDict(frozen=True)

    job_name: str
    status: str
    parameters: dict[str, str]
    objective: float | None = Field(description="Mean over the folds; None when the trial gave none.")
    billable_seconds: int
    usd: float | None = Field(description="Estimated; None when the price is not known.")
    failure_reason: str | None = None


class SearchResult(BaseModel):
    """What a search found."""

    model_config = ConfigDict(frozen=True)

    model: str
    job_name: str
    job_arn: str
    fingerprint: str
    training_set_fingerprint: str
    objective: str
    features: tuple[str, ...]
    code: str = Field(default="", description="SHA-256 of the training code that was searched for; empty: the default.")
    best_parameters: dict[str, Any] = Field(description="Values as numbers where they are numbers.")
    best_objective: float
    best_job: str
    declared: Trial = Field(description="The declared parameters, measured in the same way: what is to be beaten.")
    trials: tuple[Trial, ...]
    billable_seconds: int
    usd: float | None
    ended_at: datetime | None

    def parameters_for(self, features: tuple[str, ...], code: str) -> dict[str, Any]:
        """Return the best parameters for a fit of these features by this code; none when the declared ones were best.

        Raises:
            ConfigurationError: When the search was about something else.
        """
        about = {"features": features != self.features, "training code": code != self.code}
        if changed := [name for name, differs in about.items() if differs]:
            raise ConfigurationError(
                f"The search {self.job_name} was made with other {' and '.join(changed)}. Materialize"
                f" {self.model}/hyperparameter_search again, or set training.use_search to false."
            )
        return dict(self.best_parameters) if self.gain > 0 else {}

    @property
    def gain(self) -> float:
        """How much better the best trial is than the declared parameters, on the same folds.

        The best of many is lucky as well as good: expect less on days that nobody has seen.
        """
        return self.best_objective - (self.declared.objective or 0.0)


@dataclass(frozen=True, slots=True)
class SearchInputs:
    """Everything a search depends on. ``training.hyperparameters`` has the ``trial`` that all are measured by."""

    training: TrainingInputs
    space: SearchSpace
    budget: SearchBudget


def search_fingerprint(settings: Settings, inputs: SearchInputs) -> str:
    """Return the fingerprint over everything a search's outcome depends on; what it may cost decides nothing."""
    budget = inputs.budget.model_dump(mode="json", exclude={"max_usd"})
    return fingerprint_parts(
        {
            **candidate_parts(settings, inputs.training),
            "space": fingerprint_json(inputs.space.model_dump(mode="json")),
            "budget": fingerprint_json(budget),
        }
    )


def search(
    settings: Settings,
    inputs: SearchInputs,
    cost: Cost,
    *,
    on_progress: Callable[[str], None] = lambda _: None,
    clock: Clock = utc_now,
    sleep: Sleep = sleep,
) -> SearchResult:
    """Return what the search for these inputs found; the tuning job runs only if none did so before.

    Raises:
        ConfigurationError: When it could cost more than it may; nothing is started then.
        JobFailedError: When no trial gave a figure; the first reason is told.
        JobStoppedError: When the tuning job was stopped.
    """
    _require_budget(settings, inputs, cost)
    fingerprint = search_fingerprint(settings, inputs)
    request = tuning_job_request(
        settings,
        model=inputs.training.model,
        fingerprint=fingerprint,
        channels=_channels(inputs.training.channels),
        hyperparameters=_static(inputs, fingerprint),
        space=inputs.space,
        budget=inputs.budget,
    )
    told: set[str] = set()

    def tell(job: tuning_jobs.TuningJob) -> None:
        line = f"{job.name} is {job.status}: " + ", ".join(f"{count} {name}" for name, count in job.counts.items())
        if line not in told:
            told.add(line)
            on_progress(line)

    # First, and alone: what fails here, such as too few days or code that breaks, would fail in every trial.
    declared = _measure_declared(settings, inputs, cost, clock=clock, sleep=sleep)
    name = tuning_jobs.start_or_adopt(settings.region, request)
    try:
        job = tuning_jobs.follow(
            settings.region,
            name,
            on_look=tell,
            clock=clock,
            sleep=sleep,
            poll_seconds=settings.poll_seconds,
            stop_on_interrupt=True,
        )
    except JobFailedError as error:
        # SageMaker says that no training job succeeded; why, only the training jobs say.
        raise JobFailedError(f"{error} {_first_reason(tuning_jobs.tuned_jobs(settings.region, name))}") from error
    return _result(inputs, fingerprint, job, declared, tuning_jobs.tuned_jobs(settings.region, name), cost)


def _measure_declared(settings: Settings, inputs: SearchInputs, cost: Cost, *, clock: Clock, sleep: Sleep) -> Trial:
    """Return the declared parameters' figure, by an ordinary training job that measures as the trials do."""
    fingerprint = candidate_fingerprint(settings, inputs.training)
    given = inputs.training.hyperparameters.model_copy(update={"fingerprint": fingerprint})
    request = training_job_request(
        settings,
        model=inputs.training.model,
        fingerprint=fingerprint,
        channels=_channels(inputs.training.channels),
        hyperparameters=given.to_sagemaker(),
        metrics=(TRIAL_OBJECTIVE,),
    )
    request["StoppingCondition"] = {"MaxRuntimeInSeconds": inputs.budget.max_trial_seconds}
    job = training_jobs.follow(
        settings.region,
        training_jobs.start_or_adopt(settings.region, request),
        on_log=lambda _: None,
        clock=clock,
        sleep=sleep,
        poll_seconds=settings.poll_seconds,
        stop_on_interrupt=True,
    )
    if TRIAL_OBJECTIVE not in job.metrics:
        raise JobFailedError(
            f"Job {job.name} completed without a figure, so there is nothing to beat. Look at its log."
        )
    return Trial(
        job_name=job.name,
        status=job.status,
        parameters={name: str(value) for name, value in given.model_parameters.items()},
        objective=job.metrics[TRIAL_OBJECTIVE],
        billable_seconds=job.billable_seconds,
        usd=cost(job.instance_type, job.billable_seconds),
    )


def _require_budget(settings: Settings, inputs: SearchInputs, cost: Cost) -> None:
    most = cost(settings.training_instance_type, inputs.budget.instance_seconds)
    verdict = judge_budget(inputs.budget, most, settings.training_instance_type)
    if not verdict.passed:
        raise ConfigurationError(
            f"The search for {inputs.training.model} was not started: {'; '.join(verdict.failures)}. Lower max_jobs,"
            " max_minutes or max_trial_minutes, or raise max_usd in its defs.yaml; prices are read from prices_file."
        )


def _channels(channels: Mapping[str, str]) -> dict[str, str]:
    """Leave out what a trial must not see."""
    return {name: uri for name, uri in channels.items() if name in (TRAIN_CHANNEL, CODE_CHANNEL)}


def _static(inputs: SearchInputs, fingerprint: str) -> dict[str, str]:
    given = inputs.training.hyperparameters
    # What is searched must not be given as well: SageMaker refuses a parameter that is static and has a range.
    searched = inputs.space.parameters.keys()
    rest = {name: value for name, value in given.model_parameters.items() if name not in searched}
    strings = given.model_copy(update={"model_parameters": rest, "fingerprint": fingerprint}).to_sagemaker()
    return {name: value for name, value in strings.items() if name not in searched}


def _result(
    inputs: SearchInputs,
    fingerprint: str,
    job: tuning_jobs.TuningJob,
    declared: Trial,
    jobs: list[TunedJob],
    cost: Cost,
) -> SearchResult:
    trials = tuple(_trial(each, cost) for each in jobs)
    measured = [trial for trial in trials if trial.status == "Completed" and trial.objective is not None]
    if not measured:
        raise JobFailedError(f"Search {job.name} found nothing. {_first_reason(jobs)}")
    # A trial that was stopped early has a figure of its first folds only: no figure to win by.
    best = max(measured, key=lambda trial: (trial.objective or 0.0, trial.job_name))
    costs = [trial.usd for trial in (declared, *trials)]
    trial = inputs.training.hyperparameters.trial
    return SearchResult(
        model=inputs.training.model,
        job_name=job.name,
        job_arn=job.arn,
        fingerprint=fingerprint,
        training_set_fingerprint=inputs.training.training_set_fingerprint,
        objective=trial.objective if trial else "",
        features=inputs.training.hyperparameters.features,
        code=inputs.training.hyperparameters.code,
        best_parameters={name: _value(text) for name, text in best.parameters.items()},
        best_objective=best.objective or 0.0,
        best_job=best.job_name,
        declared=declared,
        trials=trials,
        billable_seconds=sum(trial.billable_seconds for trial in (declared, *trials)),
        usd=None if None in costs else sum(each for each in costs if each is not None),
        ended_at=job.ended_at,
    )


def _first_reason(jobs: list[TunedJob]) -> str:
    reasons = [f"{job.name} failed: {job.failure_reason}" for job in jobs if job.failure_reason]
    return reasons[0] if reasons else "No trial completed."


def _trial(job: TunedJob, cost: Cost) -> Trial:
    return Trial(
        job_name=job.name,
        status=job.status,
        parameters={name: value for name, value in job.parameters.items() if not name.startswith("_tuning_")},
        objective=job.objective,
        billable_seconds=job.billable_seconds,
        usd=cost(job.instance_type, job.billable_seconds),
        failure_reason=job.failure_reason,
    )


def _value(text: str) -> Any:
    """Return a number or boolean where the text is one, else the text: as the container reads it."""
    try:
        return json.loads(text)
    except ValueError:
        return text
