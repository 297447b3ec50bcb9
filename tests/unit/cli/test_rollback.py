"""``ml-platform rollback``: one command brings the version before back; with nothing to go back to it says why."""

from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from ml_platform.aws import clients, endpoints
from ml_platform.aws.model_packages import ModelPackage
from ml_platform.aws.objects import ObjectStore
from ml_platform.cli.main import app
from ml_platform.core import names
from ml_platform.core.clock import sleep, utc_now
from ml_platform.core.settings import Settings
from ml_platform.deployment import rollout
from ml_platform.deployment.rollout_plan import RolloutPolicy
from ml_platform.registry import lookup
from ml_platform.registry.approval import decision_of
from ml_platform.registry.model_package import Submission, approve, register
from tests.contract.sagemaker_requests import SERVER_IMAGE, archive

MODEL = "card_fraud"
GROUP, ENDPOINT = names.model_package_group(MODEL), names.endpoint(MODEL)
AT_ONCE = RolloutPolicy(strategy="all_at_once", instance_count=1)


@pytest.fixture
def settings_here(sagemaker_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """A platform that serves with a tiny image, and leaves nothing of the model behind."""
    monkeypatch.setenv("ML_PLATFORM_SERVING_IMAGE", SERVER_IMAGE)
    settings = Settings.load()
    settings.dagster_home.mkdir(parents=True)
    yield settings
    endpoints.delete_endpoint(settings.region, ENDPOINT)
    endpoints.wait_until_settled(settings.region, ENDPOINT, clock=utc_now, sleep=sleep, poll_seconds=0.05)
    for package in lookup.list_packages(settings.region, GROUP):
        clients.sagemaker(settings.region).delete_model_package(ModelPackageName=package.arn)


def a_version(settings: Settings, number: int) -> ModelPackage:
    address = ObjectStore.from_settings(settings).put(f"{number}.tar.gz", archive({"offset": str(number)}))
    submission = Submission(
        model=MODEL,
        artifact_uri=address,
        fingerprint=f"{number}-{settings.bucket}",
        training_job="none",
        training_set_fingerprint="none",
        report_uri=address,
    )
    return approve(settings.region, register(settings, submission).arn, "reviewer", "figures hold")


def roll_back(*more: str) -> tuple[int, str]:
    outcome = CliRunner().invoke(app, ["rollback", MODEL, "--yes", *more])
    return outcome.exit_code, " ".join((outcome.stdout + outcome.stderr).split())


def status(settings: Settings, package: ModelPackage) -> str:
    return next(one.status for one in lookup.list_packages(settings.region, GROUP) if one.arn == package.arn)


def test_the_version_before_comes_back_and_the_one_that_leaves_says_why(settings_here: Settings) -> None:
    first, second = (a_version(settings_here, number) for number in (1, 2))
    for package in (first, second):
        rollout.deploy(settings_here, MODEL, package, AT_ONCE)
    code, said = roll_back("--reason", "declines too many")
    assert (code, f"serves version {first.version} again" in said) == (0, True), said
    live = lookup.live_package(settings_here.region, ENDPOINT)
    assert live is not None
    assert live.package.arn == first.arn
    assert status(settings_here, second) == "Rejected"
    left = lookup.list_packages(settings_here.region, GROUP)[0]
    assert "rolled back: declines too many" in left.approval_description
    decision = decision_of(left)
    assert decision is not None
    assert decision.by != "reviewer", "it still names who approved it"
    # Once more: there is nothing before the one that is live now.
    code, said = roll_back("--reason", "again")
    assert (code, "nothing to roll back to" in said) == (1, True), said
    assert status(settings_here, first) == "Approved"


def test_without_a_live_endpoint_it_changes_nothing_and_says_why(settings_here: Settings) -> None:
    package = a_version(settings_here, 1)
    code, said = roll_back("--reason", "too many complaints")
    assert (code, "nothing to roll back" in said) == (1, True), said
    assert status(settings_here, package) == "Approved"


def test_it_asks_for_a_reason(settings_here: Settings) -> None:
    first, second = (a_version(settings_here, number) for number in (1, 2))
    rollout.deploy(settings_here, MODEL, second, AT_ONCE)
    code, said = roll_back()
    assert (code, "needs a reason" in said) == (1, True), said
    assert (status(settings_here, first), status(settings_here, second)) == ("Approved", "Approved")


def test_an_unknown_model_is_refused_with_those_there_are() -> None:
    outcome = CliRunner().invoke(app, ["rollback", "nobody_knows", "--yes"])
    assert outcome.exit_code == 1
    assert MODEL in outcome.stderr
