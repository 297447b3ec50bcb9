"""A search on the stand-in: a real tuning job over the training container, its trials comparable, never paid twice."""

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from ml_platform.aws import clients, tuning_jobs
from ml_platform.aws.objects import ObjectStore
from ml_platform.core.clock import Sleep, sleep
from ml_platform.core.errors import ConfigurationError, JobFailedError
from ml_platform.core.settings import Settings
from ml_platform.modeling.hyperparameters import HyperParameters
from ml_platform.modeling.prequential import Trial
from ml_platform.training.run import TrainingInputs
from ml_platform.training.search import SearchInputs, SearchResult, search
from ml_platform.training.search_space import Choices, Range, SearchBudget, SearchSpace

MODEL = "searched"
FEATURES = ("amount", "is_night")
SPACE = SearchSpace(
    parameters={
        "learning_rate": Range(least=0.02, most=0.3, logarithmic=True),
        "num_leaves": Range(least=3, most=12, whole=True),
        "positive_weight": Choices(values=("1", "4")),
    },
    strategy="Random",
)
BUDGET = SearchBudget(max_jobs=3, max_parallel_jobs=2, max_seconds=300, max_trial_seconds=120, max_usd=1.0)
PARAMETERS = HyperParameters(
    features=FEATURES,
    model_parameters={"num_iterations": 10, "num_leaves": 8},
    trial=Trial(folds=2, test_days=2, delay_days=1),
    fingerprint="unset",
)


def usd(instance_type: str, seconds: int) -> float | None:
    """A tenth of a dollar for an hour of the one instance that has a price."""
    return 0.1 * seconds / 3600 if instance_type == "ml.m5.large" else None


@dataclass(frozen=True)
class Platform:
    settings: Settings
    store: ObjectStore
    inputs: SearchInputs


def some_days(seed: int, days: int = 9, daily: int = 120) -> pl.DataFrame:
    """Payments over some days; large ones at night are likelier to be fraud."""
    rng = np.random.default_rng(seed)
    count = days * daily
    amount, night = rng.gamma(2.0, 40.0, count), rng.integers(0, 2, count)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    return pl.DataFrame(
        {
            "event_time": [start + timedelta(minutes=12 * row) for row in range(count)],
            "customer_id": rng.integers(0, 40, count),
            "amount": amount,
            "is_night": night,
            "label": (rng.random(count) < 0.03 + 0.6 * ((amount > 120) & (night == 1))).astype("int8"),
        }
    )


@pytest.fixture(scope="module")
def platform(ground_services: str, stand_in: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", ground_services)
        patch.setenv("AWS_ENDPOINT_URL_SAGEMAKER", stand_in)
        clients.forget_clients()
        settings = Settings(
            home=tmp_path_factory.mktemp("home"), bucket=f"test-{os.urandom(6).hex()}", poll_seconds=0.1
        )
        store = ObjectStore.from_settings(settings)
        store.ensure_bucket()
        buffer = io.BytesIO()
        some_days(1).write_parquet(buffer)
        store.put(f"models/{MODEL}/training-sets/one/train/part-0.parquet", buffer.getvalue())
        # Not a file of Parquet: a trial that read it would fail.
        store.put(f"models/{MODEL}/training-sets/one/validation/part-0.parquet", b"not for trials")
        channels = {name: store.uri(f"models/{MODEL}/training-sets/one/{name}/") for name in ("train", "validation")}
        training = TrainingInputs(MODEL, channels, os.urandom(4).hex(), PARAMETERS)
        yield Platform(settings, store, SearchInputs(training, SPACE, BUDGET))
    clients.forget_clients()


@pytest.fixture(scope="module")
def found(platform: Platform) -> SearchResult:
    return search(platform.settings, platform.inputs, usd)


def test_every_trial_is_told_with_its_parameters_figure_time_and_cost(found: SearchResult) -> None:
    assert len(found.trials) == 3
    assert {trial.status for trial in found.trials} <= {"Completed", "Stopped"}
    assert all(set(trial.parameters) == set(SPACE.parameters) for trial in found.trials)
    assert all(
        trial.billable_seconds > 0 and trial.usd == usd("ml.m5.large", trial.billable_seconds) for trial in found.trials
    )
    assert found.usd == pytest.approx(sum(trial.usd or 0 for trial in (found.declared, *found.trials)))
    completed = [trial.objective for trial in found.trials if trial.status == "Completed"]
    assert found.best_objective == max(figure for figure in completed if figure is not None)


def test_the_best_parameters_are_numbers_where_they_are_numbers(found: SearchResult) -> None:
    best = found.best_parameters
    assert 0.02 <= best["learning_rate"] <= 0.3
    assert best["num_leaves"] in range(3, 13)
    assert best["positive_weight"] in (1, 4)


def test_the_declared_parameters_are_measured_on_the_same_folds(found: SearchResult) -> None:
    assert found.declared.parameters == {"num_iterations": "10", "num_leaves": "8"}
    assert found.gain == found.best_objective - (found.declared.objective or 0)


@pytest.mark.parametrize(("declared", "expected"), [(0.0, True), (1.0, False)])
def test_a_search_that_found_nothing_better_changes_nothing(
    found: SearchResult, declared: float, *, expected: bool
) -> None:
    other = found.model_copy(update={"declared": found.declared.model_copy(update={"objective": declared})})
    assert (other.parameters_for(FEATURES, "") == found.best_parameters) == expected
    assert bool(other.parameters_for(FEATURES, "")) == expected


def test_parameters_are_not_lent_to_another_model(found: SearchResult) -> None:
    with pytest.raises(ConfigurationError, match="other features and training code"):
        found.parameters_for(("amount",), "0" * 64)


def test_trials_see_the_training_days_only(platform: Platform, found: SearchResult) -> None:
    for trial in found.trials:
        job = clients.sagemaker("us-east-1").describe_training_job(TrainingJobName=trial.job_name)
        assert [channel["ChannelName"] for channel in job["InputDataConfig"]] == ["train"]


def test_a_search_with_the_same_inputs_is_adopted(platform: Platform, found: SearchResult) -> None:
    lines: list[str] = []
    again = search(platform.settings, platform.inputs, usd, on_progress=lines.append)
    assert again == found
    assert len(lines) == 1
    assert lines[0].startswith(f"{found.job_name} is Completed: ")


def test_a_dearer_budget_of_money_does_not_start_another_search(platform: Platform, found: SearchResult) -> None:
    richer = replace(platform.inputs, budget=BUDGET.model_copy(update={"max_usd": 2.0}))
    assert search(platform.settings, richer, usd).job_name == found.job_name


def test_a_search_over_budget_starts_nothing(platform: Platform) -> None:
    before = jobs()
    poor = replace(platform.inputs, budget=BUDGET.model_copy(update={"max_usd": 0.001, "max_jobs": 4}))
    with pytest.raises(ConfigurationError, match=r"could cost 0\.02 USD .* more than the 0\.00 USD allowed"):
        search(platform.settings, poor, usd)
    with pytest.raises(ConfigurationError, match=r"the price of ml\.m5\.large is not known"):
        search(platform.settings, platform.inputs, lambda _instance, _seconds: None)
    assert jobs() == before


def test_a_search_without_one_figure_fails_with_the_first_reason(platform: Platform) -> None:
    parameters = PARAMETERS.model_copy(update={"trial": Trial(folds=12, test_days=7)})
    inputs = SearchInputs(
        replace(platform.inputs.training, hyperparameters=parameters),
        SPACE,
        BUDGET.model_copy(update={"max_jobs": 1}),
    )
    with pytest.raises(JobFailedError, match="12 folds of 7 days"):
        search(platform.settings, inputs, usd)


def jobs() -> list[str]:
    listed = clients.sagemaker("us-east-1").list_hyper_parameter_tuning_jobs(NameContains=MODEL, MaxResults=100)
    return [job["HyperParameterTuningJobName"] for job in listed["HyperParameterTuningJobSummaries"]]


def with_one_trial(platform: Platform, seed: int) -> SearchInputs:
    """Return inputs of a search of its own."""
    return replace(
        platform.inputs,
        space=SPACE.model_copy(update={"seed": seed}),
        budget=BUDGET.model_copy(update={"max_jobs": 1}),
    )


def raised_once_there_is_another(error: type[BaseException]) -> Sleep:
    """Return a wait that ends in this error when a tuning job has been started since."""
    before = set(jobs())

    def wait(_seconds: float) -> None:
        if set(jobs()) - before:
            raise error
        sleep(0.1)

    return wait


class KilledError(BaseException):
    """What ends a process that cannot tidy up."""


def test_a_search_that_lost_its_process_is_followed_by_the_next_one(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = with_one_trial(platform, 11)

    die = raised_once_there_is_another(KilledError)
    with monkeypatch.context() as patch:
        # A process that is killed stops nothing.
        patch.setattr(tuning_jobs, "stop", lambda _region, _name: None)
        with pytest.raises(KilledError):
            search(platform.settings, inputs, usd, sleep=die)
    before = jobs()
    assert search(platform.settings, inputs, usd).job_name in before
    assert jobs() == before


def test_an_interrupted_search_stops_what_is_paid_for_and_begins_anew(platform: Platform) -> None:
    inputs = with_one_trial(platform, 12)

    interrupt = raised_once_there_is_another(KeyboardInterrupt)
    before = set(jobs())
    with pytest.raises(KeyboardInterrupt):
        search(platform.settings, inputs, usd, sleep=interrupt)
    (stopped,) = set(jobs()) - before
    job = tuning_jobs.describe("us-east-1", stopped)
    assert job is not None
    assert job.status in ("Stopping", "Stopped")
    assert search(platform.settings, inputs, usd).job_name == f"{stopped}-r1"
