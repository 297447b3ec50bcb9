"""``ml-platform rollback``: the version before the live one comes back, by a run of ``live_endpoint``.

What a rollback is, and when it cannot be, is ``deployment.rollback``.
"""

import os

import typer

from ml_platform.cli.approve import describe, reviewer
from ml_platform.cli.console import out, progress
from ml_platform.cli.known_models import require_model
from ml_platform.cli.services import attached
from ml_platform.core import names
from ml_platform.core.errors import ConfigurationError
from ml_platform.core.settings import Settings
from ml_platform.deployment.rollback import RollbackPlan, plan_rollback
from ml_platform.registry import lookup


def run_rollback(model: str, version: int | None, *, reason: str, yes: bool) -> None:
    """Show what would leave and what would return, ask, and do it.

    Raises:
        ConfigurationError: When there is no such model, or no reason is given.
        NothingToRollBackToError: With the reason; nothing is changed then.
    """
    require_model(model)
    settings = Settings.load()
    with attached(settings):
        plan = _plan(settings, model, version)
        out.print(describe(model, plan.returns))
        out.print(f"Version {plan.leaves.version} leaves and is rejected; version {plan.returns.version} returns.")
        for package in plan.set_aside:
            out.print(f"Version {package.version} is approved but not live: it goes back to pending.")
        if not yes and not typer.confirm(f"Roll {model} back to version {plan.returns.version}?"):
            out.print("Nothing was changed.")
            raise typer.Exit(1)
        if not reason.strip():
            if yes:
                raise ConfigurationError('A rollback needs a reason: add --reason "what is wrong with it".')
            reason = typer.prompt("What is wrong with the version that leaves?")
        _deploy(settings, model, plan, reason.strip())
    out.print(f"{model} serves version [bold]{plan.returns.version}[/bold] again.")


def _plan(settings: Settings, model: str, version: int | None) -> RollbackPlan:
    live = lookup.live_package(settings.region, names.endpoint(model))
    packages = lookup.list_packages(settings.region, names.model_package_group(model))
    return plan_rollback(packages, live.package if live else None, version)


def _deploy(settings: Settings, model: str, plan: RollbackPlan, reason: str) -> None:
    progress(f"Moving endpoint {names.endpoint(model)}; the run is shown by `ml-platform dev`")
    from dagster import DagsterInstance

    from ml_platform.cli.code_location import load_definitions
    from ml_platform.cli.runs import Runs

    change = {"roll_back_version": plan.leaves.version, "reason": reason, "by": reviewer(settings)}
    with DagsterInstance.from_config(os.environ.get("DAGSTER_HOME") or str(settings.dagster_home)) as instance:
        Runs(load_definitions(), instance).materialize(
            [f"{model}/live_endpoint"], ops={f"{model}__live_endpoint": {"config": change}}
        )
