"""``ml-platform features``: the feature catalogue in the terminal."""

import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from ml_platform.cli.console import out
from ml_platform.core.errors import ConfigurationError

if TYPE_CHECKING:
    from ml_platform.features.catalogue.catalogue import CataloguedFeature

features = typer.Typer(
    name="features",
    help="What each feature means, how it looks today, and who uses it.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
_BAR = " ▁▂▃▄▅▆▇█"
_COLUMNS = ("feature", "meaning", "unit", "from", "fresh until", "missing", "models")
_WIDE = 140
"""Columns of text from which a table of all of these can be read."""


@features.command(name="list")
def list_features(*, as_json: AsJson = False) -> None:
    """List every feature: meaning, source, freshness, missing values, models.

    Example: [cyan]ml-platform features list[/cyan]
    """
    catalogue = _catalogue()
    if as_json:
        out.out(json.dumps([entry.model_dump(mode="json") for entry in catalogue], indent=2), highlight=False)
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    shown = _COLUMNS if out.width >= _WIDE else ("feature", "meaning", "missing", "models")
    for heading in shown:
        table.add_column(heading, no_wrap=heading in ("feature", "missing"))
    for entry in catalogue:
        row = _row(entry)
        table.add_row(*(row[heading] for heading in shown))
    out.print(table)
    if shown != _COLUMNS:
        out.print("[dim]A wider window shows more; ml-platform features show NAME shows all.[/dim]")


@features.command()
def show(name: Annotated[str, typer.Argument(help="A feature's name.")], *, as_json: AsJson = False) -> None:
    """Show one feature: what it is made of and how its values are distributed.

    Example: [cyan]ml-platform features show card_tx_count_7d[/cyan]
    """
    from ml_platform.features.catalogue.entries import all_entries

    known = [entry.name for entry in all_entries()]
    if name not in known:
        raise ConfigurationError(f"There is no feature {name!r}. There are: {', '.join(known)}.")
    (entry,) = [entry for entry in _catalogue() if entry.name == name]
    if as_json:
        out.out(entry.model_dump_json(indent=2), highlight=False)
        return
    out.print(_details(entry))


@features.command()
def ui(port: Annotated[int, typer.Option(help="Port on this machine.", min=1024, max=65535)] = 8888) -> None:
    """Open Feast's own web page on the registry, until Ctrl-C: entities, views, services and their lineage.

    Example: [cyan]ml-platform features ui[/cyan], then look at http://127.0.0.1:8888
    """
    from ml_platform.cli.services import attached
    from ml_platform.core.settings import Settings
    from ml_platform.features.store import feature_store

    settings = Settings.load()
    with attached(settings):
        with out.status("Starting Feast's page: some seconds"):
            store = feature_store(settings)
        out.print(f"Feast's page: http://127.0.0.1:{port}")
        store.serve_ui("127.0.0.1", port)


def _row(entry: "CataloguedFeature") -> dict[str, str]:
    figures = entry.figures
    return {
        "feature": f"[bold]{entry.name}[/bold]",
        "meaning": entry.meaning,
        "unit": entry.unit,
        "from": entry.table or "the request",
        "fresh until": f"{figures.fresh_until:%Y-%m-%d %H:%M}" if figures else "",
        "missing": f"{figures.null_rate:.1%}" if figures else "",
        "models": ", ".join(entry.models),
    }


def _details(entry: "CataloguedFeature") -> Table:
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    for title, text in (
        ("feature", f"[bold]{entry.name}[/bold]"),
        ("meaning", entry.meaning),
        ("unit", entry.unit),
        ("owner", entry.owner),
        ("window", entry.window or "none: computed from the request"),
        ("made of", ", ".join(map(str, entry.made_of))),
        ("kept in", entry.table or "nowhere: every request brings it"),
        ("models", ", ".join(entry.models) or "none was trained on it yet"),
    ):
        table.add_row(title, text)
    figures = entry.figures
    if figures is None:
        table.add_row("today", "no table keeps it, or the table is empty")
        return table
    table.add_row("fresh until", f"{figures.fresh_until:%Y-%m-%d %H:%M} UTC")
    table.add_row("missing", f"{figures.null_rate:.2%} of {figures.rows} rows of the newest days")
    if figures.counts:
        tallest = max(figures.counts)
        bar = "".join(_BAR[-(-count * (len(_BAR) - 1) // tallest)] for count in figures.counts)
        table.add_row("values", f"{figures.edges[0]:.3g} {bar} {figures.edges[-1]:.3g}, mean {figures.mean:.4g}")
    return table


def _catalogue() -> "tuple[CataloguedFeature, ...]":
    from ml_platform.aws.objects import ObjectStore
    from ml_platform.cli.services import attached
    from ml_platform.core.settings import Settings
    from ml_platform.features.catalogue.catalogue import build_catalogue

    settings = Settings.load()
    with attached(settings), out.status("Reading the newest days of every feature table"):
        return build_catalogue(ObjectStore.from_settings(settings))
