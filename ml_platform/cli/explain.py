"""``ml-platform explain``: where one decision comes from, as a table for people or as JSON."""

from collections.abc import Iterator
from datetime import date, datetime

from rich.table import Table

from ml_platform.cli.console import out, progress
from ml_platform.cli.known_models import require_model
from ml_platform.cli.score import action_in_words, reasons_in_words
from ml_platform.cli.services import attached
from ml_platform.core.settings import Settings
from ml_platform.resources.decision_lineage import DecisionLineage, explain


def run_explain(decision_id: str, model: str, day: datetime | None, *, as_json: bool) -> None:
    """Print what is recorded about a decision.

    Raises:
        UnknownDecisionError: When there is none of this id.
    """
    require_model(model)
    settings = Settings.load()
    with attached(settings):
        if not as_json:
            progress("Looking through captured traffic, the newest hour first")
        found = explain(settings, model, decision_id, day.date() if day else None)
    if as_json:
        out.out(found.model_dump_json(indent=2), highlight=False)
    else:
        out.print(render(found))


def render(found: DecisionLineage) -> Table:
    """Return a decision's lineage as a table."""
    table = Table(
        title=f"Decision {found.decision_id} of {found.model}", title_justify="left", show_header=False, box=None
    )
    table.add_column(style="dim")
    # Fingerprints are there to be copied: break them rather than cut them off.
    table.add_column(overflow="fold")
    for name, text in _rows(found):
        table.add_row(name, text)
    return table


def _rows(found: DecisionLineage) -> Iterator[tuple[str, str]]:
    yield "score", f"[bold]{found.score:.6f}[/bold] at {_instant(found.decided_at)}, from {found.source}"
    unknown = "none: a batch holds scores only" if found.batch_job else "not recorded"
    yield "action", action_in_words(found.action, found.policy_version) if found.action else f"[dim]{unknown}[/dim]"
    if found.policy_fits is False:
        yield "", "[yellow]the policy was fitted on another model's scores[/yellow]"
    for reason in reasons_in_words(found.reasons, found.features):
        yield "because", reason
    yield "reasons are", found.reasons_are
    for view in found.views:
        values = ", ".join(f"{name}={_value(found.features[name])}" for name in view.features)
        yield "features", f"{view.view}: {values}"
        if view.definitions:
            yield (
                "",
                (
                    f"[dim]as defined by {view.definitions[:12]}, filled until {_instant(view.filled_until)}, rows of "
                    f"{view.newest_day} version {view.rows_version}[/dim]"
                ),
            )
    if found.batch_job:
        yield "transform job", found.batch_job
    else:
        yield "endpoint", f"{_or_unknown(found.endpoint)}, variant {_or_unknown(found.variant)}"
        yield "endpoint config", f"{_or_unknown(found.endpoint_config)}, since {_instant(found.endpoint_since)}"
    yield "model package", f"version {found.version}, {found.package_arn}" if found.version else _or_unknown(None)
    yield "artifact", _or_unknown(found.artifact_fingerprint)
    for name, approval in (("approval", found.approval), ("since then", found.decided_since)):
        if approval:
            who = approval.by or "somebody (the package does not say)"
            yield name, f"{approval.status} by {who} at {_instant(approval.at)}: {approval.reason}"
    yield "training job", _or_unknown(found.training_job)
    yield "code", f"{_or_unknown(found.code_fingerprint)}, image {_or_unknown(found.image)}"
    if found.training_set is None:
        yield "training set", _or_unknown(None)
        return
    yield "training set", f"{found.training_set.fingerprint}, {found.training_set.address}"
    days = ", ".join(f"{name} {first} to {last}" for name, (first, last) in found.training_set.splits.items())
    yield "", f"{days}; labels known by {_instant(found.training_set.labels_known_by)}"


def _instant(at: datetime | date | None) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at else "an unknown time"


def _value(value: float | None) -> str:
    return "unknown" if value is None else f"{value:g}"


def _or_unknown(text: str | None) -> str:
    return text or "[dim]unknown[/dim]"
