"""``ml-platform approve``: a person's decision about a model package, after a look at its figures."""

import getpass
import os

import typer
from rich.table import Table

from ml_platform.aws.model_packages import PENDING, ModelPackage
from ml_platform.cli.console import out
from ml_platform.cli.known_models import require_model
from ml_platform.cli.services import attached
from ml_platform.core import names
from ml_platform.core.errors import ConfigurationError
from ml_platform.core.settings import Settings
from ml_platform.registry import lookup, model_package


def run_approve(model: str, version: int | None, *, reject: bool, reason: str, yes: bool) -> None:
    """Show a package, ask, and approve or reject it.

    Raises:
        ConfigurationError: When there is no such model or package, or a rejection gives no reason.
    """
    require_model(model)
    if reject and not reason.strip():
        raise ConfigurationError('A rejection needs a reason: add --reason "what is wrong with it".')
    settings = Settings.load()
    with attached(settings):
        package = find_package(model, lookup.list_packages(settings.region, names.model_package_group(model)), version)
        out.print(describe(model, package))
        verb = "Reject" if reject else "Approve"
        if not yes and not typer.confirm(f"{verb} version {package.version} of {model}?"):
            out.print("Nothing was changed.")
            raise typer.Exit(1)
        decide = model_package.reject if reject else model_package.approve
        decided = decide(settings.region, package.arn, reviewer(), reason.strip() or "reviewed on the command line")
    out.print(f"Version {decided.version} of {model} is [bold]{decided.status}[/bold].")
    if not reject:
        out.print(f"While `ml-platform dev` runs, it is deployed by itself; `ml-platform status {model}` shows when.")


def reviewer() -> str:
    """Return who decides: the name of the user this runs as."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without an entry, as in many containers
        return f"user {os.getuid()}"


def find_package(model: str, packages: list[ModelPackage], version: int | None) -> ModelPackage:
    """Return the package that is meant: of this version, or else the newest that is pending."""
    if not packages:
        raise ConfigurationError(
            f"No package of {model} is registered yet. A candidate that passes its gate is registered: "
            f"materialize {model}/model_package in `ml-platform dev`, or run `ml-platform demo`."
        )
    known = ", ".join(f"{package.version} ({package.status})" for package in packages)
    if version is not None:
        for package in packages:
            if package.version == version:
                return package
        raise ConfigurationError(f"{model} has no package version {version}. There are: {known}.")
    for package in packages:
        if package.status == PENDING:
            return package
    raise ConfigurationError(f"No package of {model} waits for approval. Choose one with --version: {known}.")


def describe(model: str, package: ModelPackage) -> Table:
    """Return what a reviewer needs to see of a package."""
    table = Table(title=f"{model}, version {package.version}", title_justify="left", show_header=False, box=None)
    table.add_column(style="dim")
    # Addresses and fingerprints are there to be copied: break them rather than cut them off.
    table.add_column(overflow="fold")
    table.add_row("status", package.status)
    if package.approval_description:
        table.add_row("decided", package.approval_description)
    table.add_row("registered", f"{package.created_at:%Y-%m-%d %H:%M} UTC")
    for name, value in sorted(package.properties.items()):
        table.add_row(name.replace("_", " "), _short(value))
    table.add_row("artifact", package.artifact_uri)
    return table


def _short(value: str) -> str:
    """Round metrics; a fingerprint of digits alone is none."""
    try:
        return f"{float(value):.4f}" if "." in value else value
    except ValueError:
        return value
