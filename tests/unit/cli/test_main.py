"""The command as people call it: help that teaches, errors of one paragraph, exit codes that scripts can trust."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from ml_platform.aws import model_packages
from ml_platform.cli import doctor
from ml_platform.cli.known_models import known_models
from ml_platform.cli.main import app
from ml_platform.cli.package_versions import pending_or
from ml_platform.cli.score import parse_transaction
from ml_platform.core.errors import ConfigurationError, SourceDataError

COMMANDS = sorted(get_command(app).commands)  # type: ignore[attr-defined]
TRANSACTION = {
    "transaction_id": "t-1",
    "customer_id": 12,
    "terminal_id": "345",
    "amount": 83.5,
    "event_time": "2026-03-30T22:15:00Z",
}

runner = CliRunner()


def package(version: int, status: model_packages.Approval) -> model_packages.ModelPackage:
    registered = datetime(2026, 3, version, tzinfo=UTC)
    return model_packages.ModelPackage(
        arn=f"arn:{version}", group="card-fraud", version=version, status=status, created_at=registered
    )


def test_the_promised_commands_are_there() -> None:
    operate = ["approve", "audit", "card", "compare", "explain", "impact", "refit", "rollback", "score", "status"]
    run = ["demo", "dev", "doctor", "features", "handbook", "local", "stream"]
    assert sorted(operate + run) == COMMANDS


@pytest.mark.parametrize("command", [[], *([command] for command in COMMANDS)], ids=" ".join)
def test_help_needs_no_services(home: Path, command: list[str]) -> None:
    result = runner.invoke(app, [*command, "--help"])
    assert result.exit_code == 0
    assert "Usage" in result.output
    assert not home.exists()


@pytest.mark.parametrize("command", ["approve", "compare", "handbook", "refit", "score", "status"])
def test_commands_with_arguments_give_an_example(command: str) -> None:
    assert f"ml-platform {command}" in runner.invoke(app, [command, "--help"]).output


def test_arguments_are_explained() -> None:
    """With click 8.5 typer loses these texts; the lock holds it back."""
    assert "A folder under" in runner.invoke(app, ["approve", "--help"]).output


def test_the_version_is_printed() -> None:
    assert runner.invoke(app, ["--version"]).output.startswith("ml-platform ")


@pytest.mark.parametrize(
    "command", [["status", "fruad"], ["approve", "fruad"], ["score", "-", "--model", "fruad"]], ids=lambda c: c[0]
)
def test_an_unknown_model_is_answered_with_the_known_ones(home: Path, command: list[str]) -> None:
    result = runner.invoke(app, command, input=json.dumps(TRANSACTION))
    assert result.exit_code == 1
    assert "'fruad'" in result.output
    assert "card_fraud" in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    "command", [["status"], ["approve", "card_fraud"], ["score", "-"]], ids=lambda command: command[0]
)
def test_without_services_each_command_says_how_to_start_them(home: Path, command: list[str]) -> None:
    result = runner.invoke(app, command, input=json.dumps(TRANSACTION))
    assert result.exit_code == 1
    assert "ml-platform dev" in " ".join(result.output.split())


def test_a_rejection_needs_a_reason(home: Path) -> None:
    result = runner.invoke(app, ["approve", "card_fraud", "--reject"])
    assert result.exit_code == 1
    assert "--reason" in result.output


def test_a_setting_that_cannot_be_used_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ML_PLATFORM_GROUND_PORT", "eighty")
    result = runner.invoke(app, ["status"])
    assert result.exit_code == 1
    assert "ML_PLATFORM_GROUND_PORT" in result.output


def test_every_folder_with_a_component_is_a_model() -> None:
    assert "card_fraud" in known_models()


def test_ids_may_be_numbers() -> None:
    assert parse_transaction(json.dumps(TRANSACTION)).customer_id == "12"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"amount": -1}, "amount"),
        ({"amount": "much"}, "amount"),
        ({"event_time": "2026-03-30T22:15:00"}, "event_time"),
        ({"transaction_id": ""}, "transaction_id"),
    ],
    ids=str,
)
def test_a_transaction_that_cannot_be_scored_names_its_fault(change: dict[str, object], named: str) -> None:
    with pytest.raises(SourceDataError, match=named):
        parse_transaction(json.dumps({**TRANSACTION, **change}))


def test_what_is_not_json_is_refused() -> None:
    with pytest.raises(SourceDataError, match="one JSON object"):
        parse_transaction("amount=5")


def test_the_newest_pending_package_is_meant_unless_a_version_says_otherwise() -> None:
    packages = [package(4, "Approved"), package(3, "PendingManualApproval"), package(2, "PendingManualApproval")]
    assert pending_or("card_fraud", packages, None).version == 3
    assert pending_or("card_fraud", packages, 2).version == 2


@pytest.mark.parametrize(
    ("packages", "version", "message"),
    [
        ([], None, "No package of card_fraud is registered yet"),
        ([package(1, "Approved")], None, r"waits for approval.*1 \(Approved\)"),
        ([package(1, "Approved")], 7, r"no package version 7.*1 \(Approved\)"),
    ],
    ids=["none", "none pending", "no such version"],
)
def test_a_package_that_is_not_there_is_answered_with_those_that_are(
    packages: list[model_packages.ModelPackage], version: int | None, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        pending_or("card_fraud", packages, version)


def test_the_doctor_finds_this_machine_fit(home: Path) -> None:
    result = runner.invoke(app, ["doctor"])
    assert result.exit_code == 0, result.output
    assert "fail" not in result.output


def test_the_doctor_fails_a_home_that_cannot_be_used(home: Path) -> None:
    home.parent.mkdir(exist_ok=True)
    home.touch()
    result = runner.invoke(app, ["doctor"])
    assert result.exit_code == 1
    assert "cannot be written to" in result.output


def test_the_doctor_names_packages_at_wrong_versions() -> None:
    found = {"dagster": "1.13.29"}
    findings = list(doctor.package_versions(lambda name: found.get(name) or doctor.installed_version(name)))
    assert [finding.level for finding in findings] == ["fail"]
    assert "dagster==1.13.27 is needed, 1.13.29 is installed" in findings[0].what


@pytest.mark.parametrize(("version", "level"), [((3, 10), "fail"), ((3, 11), "ok"), ((3, 12), "ok"), ((3, 13), "fail")])
def test_the_doctor_knows_which_python_works(version: tuple[int, int], level: str) -> None:
    assert doctor.python_version(version).level == level


def test_the_doctor_warns_when_memory_is_short() -> None:
    assert doctor.memory(1_000_000_000).level == "warn"
    assert doctor.memory(8_000_000_000).level == "ok"
