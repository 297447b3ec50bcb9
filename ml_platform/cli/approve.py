"""``ml-platform approve``: a person's decision about a model package, after a look at its figures."""

import typer
from rich.table import Table

from ml_platform.aws import identity
from ml_platform.aws.model_packages import ModelPackage
from ml_platform.cli.console import out, progress
from ml_platform.cli.known_models import require_model
from ml_platform.cli.package_versions import pending_or
from ml_platform.cli.services import attached
from ml_platform.core import names
from ml_platform.core.clock import utc_now
from ml_platform.core.errors import ConfigurationError
from ml_platform.core.settings import Settings
from ml_platform.registry import lookup


def run_approve(
    model: str, version: int | None, *, reject: bool, reason: str, yes: bool, as_person: str | None = None
) -> None:
    """Show a package, ask, and approve or reject it.

    Raises:
        ConfigurationError: When there is no such model or package, or a rejection gives no reason.
        SelfApprovalError: When who trained it wants to approve it.
        StaleEvidenceError: When what its evidence rests on has changed.
    """
    from ml_platform.resources.governance import Governance

    require_model(model)
    if reject and not reason.strip():
        raise ConfigurationError('A rejection needs a reason: add --reason "what is wrong with it".')
    settings = Settings.load()
    with attached(settings):
        by = reviewer(settings, as_person)
        package = pending_or(model, lookup.list_packages(settings.region, names.model_package_group(model)), version)
        governance = Governance(settings, model)
        out.print(describe(model, package))
        if not reject:
            progress("Holding the evidence against what is declared and landed now")
        policies = None if reject else declared_policies(model)
        for line in governance.doubts(package, policies, at=utc_now()):
            out.print(line, style="yellow", markup=False)
        verb = "Reject" if reject else "Approve"
        if not yes and not typer.confirm(f"{verb} version {package.version} of {model} as {by}?"):
            out.print("Nothing was changed.")
            raise typer.Exit(1)
        why, now = reason.strip() or "reviewed on the command line", utc_now()
        if reject:
            decided = governance.reject(package, by=by, reason=why, at=now)
        else:
            decided = governance.approve(package, by=by, reason=why, at=now, policies=policies)
    out.print(f"Version {decided.version} of {model} is [bold]{decided.status}[/bold].")
    if not reject:
        out.print(f"While `ml-platform dev` runs, it is deployed by itself; `ml-platform status {model}` shows when.")


def reviewer(settings: Settings, as_person: str | None = None) -> str:
    """Return who decides: the person AWS names, or who it is said to be where AWS names nobody.

    Raises:
        ConfigurationError: When AWS names another person than the one who is said to decide.
    """
    from ml_platform.resources.governance import acting_person

    known = identity.person_of(identity.caller_arn(settings.region))
    if as_person and known and as_person != known:
        raise ConfigurationError(f"AWS says that you are {known}: leave --as {as_person} out, or change credentials.")
    return as_person or acting_person(settings)


def declared_policies(model: str) -> dict[str, str]:
    """Return the fingerprints of the policies that are declared for a model now."""
    import dagster as dg

    from ml_platform.cli.code_location import load_model

    key = dg.AssetKey([model, "model_package"])
    for asset in load_model(model).assets or ():
        if isinstance(asset, dg.AssetsDefinition) and key in asset.keys:
            policies: dict[str, str] = asset.metadata_by_key[key]["policies"].value
            return dict(policies)
    raise ConfigurationError(f"The folder of {model} declares no {model}/model_package. Check its defs.yaml.")


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
