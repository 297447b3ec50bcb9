"""Decisions as people see them: reasons in words, actions with their policy, and errors that say what to do."""

import json
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from ml_platform.cli.main import app
from ml_platform.cli.score import reasons_in_words, render
from ml_platform.modeling.reasons import Reason
from ml_platform.scoring.transaction import Score

runner = CliRunner()
RISK = "terminal_fraud_rate_7d"
FEATURES = {"amount": 83.5, RISK: None}


def a_score(**overrides: object) -> Score:
    facts = {
        "transaction_id": "t-1",
        "inference_id": "t-1",
        "score": 0.25,
        "flagged": True,
        "endpoint": "card-fraud",
        "variant": "primary",
        "reasons": (Reason(feature="amount", contribution=1.5), Reason(feature=RISK, contribution=0.5)),
        "action": "review",
        "policy_version": "1a2b3c",
        "policy_fits": True,
    }
    return Score.model_validate({**facts, **overrides})


def shown(score: Score) -> str:
    console = Console(width=300)
    with console.capture() as text:
        console.print(render(score, FEATURES))
    return text.get()


def test_a_score_is_told_in_the_words_of_the_catalogue() -> None:
    text = shown(a_score())
    assert "review, by policy 1a2b3c" in text
    assert "What is paid. 83.5 currency" in text
    assert "Share known to be fraud of the payments at the terminal in 7 days" in text
    assert "unknown" in text
    assert "fit it again" not in text


def test_a_policy_of_another_model_is_told() -> None:
    assert "fit it again" in shown(a_score(policy_fits=False))
    assert "fit it again" not in shown(a_score(policy_fits=None))


def test_what_is_missing_is_said() -> None:
    text = shown(a_score(reasons=None, action=None, policy_version=None))
    assert "the model gives no reasons" in text
    assert "no decision policy is in force yet" in text
    assert "nothing raised the score" in shown(a_score(reasons=()))


def test_a_feature_that_the_catalogue_does_not_know_has_its_own_name() -> None:
    (text,) = reasons_in_words((Reason(feature="brand_new", contribution=1.0),), {"brand_new": 2.0})
    assert text.startswith("brand_new [bold]2[/bold]")


def test_a_score_reads_back_from_json() -> None:
    score = a_score()
    assert Score.model_validate(json.loads(json.dumps(score.model_dump(mode="json")))) == score


@pytest.mark.parametrize("command", [["explain", "t-1"], ["impact", "payments/transactions", "2026-02-03"]])
def test_without_services_it_is_said_how_to_start_them(home: Path, command: list[str]) -> None:
    result = runner.invoke(app, command)
    assert result.exit_code == 1
    assert "ml-platform dev" in " ".join(result.output.split())


@pytest.mark.parametrize("command", [["explain", "t-1"], ["impact", "payments/transactions", "2026-02-03"]])
def test_an_unknown_model_is_answered_with_the_known_ones(home: Path, command: list[str]) -> None:
    result = runner.invoke(app, [*command, "--model", "fruad"])
    assert result.exit_code == 1
    assert "card_fraud" in result.output


def test_a_day_that_is_none_is_refused() -> None:
    assert runner.invoke(app, ["impact", "payments/transactions", "yesterday"]).exit_code == 2
