"""``ml-platform audit``: who did what to which version, when and why; exported, and verified."""

from collections.abc import Iterable
from pathlib import Path

import typer
from rich.table import Table

from ml_platform.aws.objects import ObjectStore
from ml_platform.cli.console import failure, out
from ml_platform.cli.known_models import known_models, require_model
from ml_platform.cli.services import attached
from ml_platform.core import names
from ml_platform.core.settings import Settings
from ml_platform.registry import lookup
from ml_platform.registry.audit import AuditRecord, AuditTrail, find_breaks, find_unrecorded


def run_audit(model: str | None, export: Path | None, *, verify: bool) -> None:
    """Show, export or verify the audit trails of one model or of all.

    Raises:
        typer.Exit: With 1, when a trail is not what was written.
    """
    models = [require_model(model)] if model else known_models()
    settings = Settings.load()
    with attached(settings):
        store = ObjectStore.from_settings(settings)
        trails = {name: list(AuditTrail(store, name).records()) for name in models}
        problems = [
            f"{name}: {problem}" for name, records in trails.items() for problem in _problems(settings, name, records)
        ]
    everything = sorted((record for records in trails.values() for record in records), key=lambda record: record.at)
    if export:
        export.write_text("".join(f"{record.model_dump_json()}\n" for record in everything))
        out.print(f"Wrote {len(everything)} records to {export}", highlight=False)
    elif not verify:
        out.print(_table(everything))
    for problem in problems:
        failure(problem)
    if problems:
        raise typer.Exit(1)
    if verify:
        out.print(f"{len(everything)} records of {', '.join(models)}: whole, and every approval is on record.")


def _problems(settings: Settings, model: str, records: list[AuditRecord]) -> list[str]:
    packages = lookup.list_packages(settings.region, names.model_package_group(model))
    return [*find_breaks(records), *find_unrecorded(packages, records)]


def _table(records: Iterable[AuditRecord]) -> Table:
    table = Table(box=None, header_style="dim")
    for head in ("when (UTC)", "model", "version", "act", "by", "why"):
        table.add_column(head, overflow="fold")
    for record in records:
        when = f"{record.at:%Y-%m-%d %H:%M}"
        table.add_row(when, record.model, str(record.version or ""), record.act, record.by, record.reason)
    return table
