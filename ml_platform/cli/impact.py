"""``ml-platform impact``: what a day of source data went into, as tables for people or as JSON."""

from collections.abc import Iterator
from datetime import datetime

from rich.table import Table

from ml_platform.cli.console import out, progress
from ml_platform.cli.known_models import known_models, require_model
from ml_platform.cli.services import attached
from ml_platform.core.settings import Settings
from ml_platform.resources.day_impact import Impact, impact


def run_impact(table: str, day: datetime, model: str | None, *, as_json: bool) -> None:
    """Print what a day of a table went into."""
    models = [require_model(model)] if model else known_models()
    settings = Settings.load()
    with attached(settings):
        if not as_json:
            progress("Reading manifests, the registry and captured traffic")
        found = impact(settings, table, day.date(), models)
    if as_json:
        out.out(found.model_dump_json(indent=2), highlight=False)
    else:
        out.print(render(found))


def render(found: Impact) -> Table:
    """Return an impact as a table, from features to decisions."""
    table = Table(title=f"{found.table} of {found.day} went into", title_justify="left", show_header=False, box=None)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, text in _rows(found):
        table.add_row(name, text)
    return table


def _rows(found: Impact) -> Iterator[tuple[str, str]]:
    for name, days in found.features.items():
        yield "features", f"{name}: {f'{len(days)} days, {days[0]} to {days[-1]}' if days else 'no day yet'}"
    for one in found.training_sets:
        how = (
            f"through {', '.join(one.through)}{', only by cards or terminals that paused' if one.only_carried else ''}"
        )
        yield "training set", f"{one.model} {one.fingerprint[:12]}, {one.window[0]} to {one.window[1]}, {how}"
    for fitted in found.candidates:
        registered = f"version {fitted.version}, {fitted.status}" if fitted.version else "never registered"
        yield "candidate", f"{fitted.model} {fitted.fingerprint[:12]} by {fitted.training_job}: {registered}"
    for end in found.endpoints:
        until = f"until {end.until:%Y-%m-%d %H:%M} UTC" if end.until else "and still does"
        yield "endpoint", f"{end.endpoint} served version {end.version} since {end.since:%Y-%m-%d %H:%M} UTC {until}"
    for made in found.decisions:
        yield (
            "decisions",
            (
                f"{made.model}: [bold]{made.in_all:,}[/bold] captured; {made.by_touched_models:,} by touched models, "
                f"{made.on_touched_features:,} on touched features"
            ),
        )
    for batch in found.batches:
        yield "batch scores", f"{batch.job_name}: {batch.rows:,} rows of {batch.days[0]} to {batch.days[1]}"
    if not (found.training_sets or found.batches or any(made.in_all for made in found.decisions)):
        yield "models", "no model, decision or batch is touched"
