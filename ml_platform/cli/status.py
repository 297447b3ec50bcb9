"""``ml-platform status``: what is live and since when, and what was last judged and decided, in one screen."""

import json

from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ml_platform.cli.console import out, progress
from ml_platform.cli.environment import chosen_by_caller
from ml_platform.cli.known_models import known_models, require_model
from ml_platform.cli.model_status import Judgement, Live, ModelStatus, Package, model_status
from ml_platform.cli.service_specs import dagster_ui, is_running, local_services, running_settings
from ml_platform.cli.services import attached
from ml_platform.core.settings import Settings

COLOURS = {
    **dict.fromkeys(("passed", "no drift", "holds", "nothing"), "green"),
    "could not be judged": "yellow",
}


def run_status(model: str | None, *, as_json: bool) -> None:
    """Print the state of one model, or of all.

    Raises:
        ServiceUnavailableError: When nothing can be asked, because no services run.
    """
    models = [require_model(model)] if model else known_models()
    settings = Settings.load()
    if not as_json:
        out.print(services_table(settings))
    with attached(settings):
        found = [model_status(settings, name, _declared(name)) for name in models]
    if as_json:
        out.out(json.dumps([status.model_dump(mode="json") for status in found], indent=2), highlight=False)
        return
    for status in found:
        out.print(Panel(render(status), title=f"[bold]{status.model}[/bold]", title_align="left"))


def _declared(model: str) -> dict[str, str] | None:
    """Return the fingerprints of a model's declared policies; a folder that does not load must not hide the rest."""
    from ml_platform.cli.approve import declared_policies

    try:
        return declared_policies(model)
    except Exception as error:  # noqa: BLE001  # whatever a model's own code raises
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        progress(f"{model} does not load, so its policies are not compared: {reason}")
        return None


def services_table(settings: Settings) -> Table:
    """Say which services run and where."""
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    if chosen_by_caller():
        table.add_row("services as AWS_ENDPOINT_URL and your AWS configuration say")
        return table
    settings = running_settings(settings)
    for service in (*local_services(settings), dagster_ui(settings)):
        up = is_running(settings.home, service)
        state = Text("up", "green") if up else Text("down", "yellow")
        table.add_row(service.title, state, f"http://127.0.0.1:{service.port}" if up else "")
    return table


def render(status: ModelStatus) -> Table:
    """Return the state of one model as a table; what does not exist yet says how it comes to be."""
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    table.add_row("live", _live(status))
    if status.policy:
        table.add_row("policy", Text(status.policy.said, "default" if status.policy.fits else "yellow"))
    table.add_row("registry", _registry(status))
    for version, doubts in status.doubts.items():
        table.add_row("", Text("\n".join(f"version {version}: {doubt}" for doubt in doubts), "yellow"))
    for title, judgement, asset in (
        ("last gate", status.last_gate, "evaluation_report"),
        ("last drift", status.last_drift, "drift_report"),
        ("performance", status.last_performance, "performance_report"),
        ("decision", status.last_decision, "operating_decision"),
    ):
        table.add_row(title, _judgement(judgement, status.live) if judgement else _not_yet(status.model, asset))
    return table


def _live(status: ModelStatus) -> Text:
    live: Live | None = status.live
    if live is None:
        return _not_yet(status.model, "live_endpoint")
    text = Text(_version(live.package), "bold")
    text.append(f" since {live.since:%Y-%m-%d %H:%M} UTC on endpoint {live.endpoint}, ", "default")
    text.append(live.endpoint_status, "green" if live.endpoint_status == "InService" else "red")
    if live.failure_reason:
        text.append(f"\n{live.failure_reason}", "red")
    return text


def _version(package: Package | None) -> str:
    return f"version {package.version} ({package.approval})" if package else "a model that is not in the registry"


def _registry(status: ModelStatus) -> Text:
    if status.newest_package is None:
        return _not_yet(status.model, "model_package")
    text = Text(f"newest is {_version(status.newest_package)}")
    if status.newest_package.reason:
        text.append(f": {status.newest_package.reason}", "dim")
    if status.pending_versions:
        waiting = ", ".join(map(str, status.pending_versions))
        text.append(f"\nwaiting for approval: {waiting} → ml-platform approve {status.model}", "yellow")
    return text


def _judgement(judgement: Judgement, live: Live | None) -> Text:
    text = Text(judgement.outcome, COLOURS.get(judgement.outcome, "red"))
    if judgement.at:
        text.append(f"  {judgement.at[:16].replace('T', ' ')} UTC", "dim")
    serves = live.package.version if live and live.package else None
    if judgement.about_version is not None and judgement.about_version != serves:
        text.append(f"\nabout version {judgement.about_version}, which is not live now", "yellow")
    for name, value in judgement.figures.items():
        text.append(f"\n{name} {value:.4f}", "default")
        if name in judgement.compared_with:
            text.append(f"  against {judgement.compared_with[name]:.4f}", "dim")
    for reason in judgement.reasons:
        text.append(f"\n- {reason}", "default")
    return text


def _not_yet(model: str, asset: str) -> Text:
    return Text(f"not yet: materialize {model}/{asset} in the UI, or run `ml-platform demo`", "dim")
