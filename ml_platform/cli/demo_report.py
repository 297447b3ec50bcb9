"""How the demo is told: a progress bar with one line per stage, a closing table, and ``summary.json``."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from ml_platform.cli.console import out
from ml_platform.core.settings import Settings

STAGES = 11


@dataclass
class Facts:
    """What the story established; field names are those of ``summary.json``."""

    champion: dict[str, Any] = field(default_factory=dict)
    challenger: dict[str, Any] = field(default_factory=dict)
    champion_on_challengers_window: dict[str, Any] = field(default_factory=dict)
    gate_failures: list[str] = field(default_factory=list)
    requests_sent: int = 0
    requests_failed: int = 0
    drift_alerts: list[str] = field(default_factory=list)
    decision: str = ""
    decision_reasons: list[str] = field(default_factory=list)
    retrained_by: str = ""
    batch_rows_scored: int = 0
    rollout_rolled_back: bool = False
    requests_failed_by_bad_variant: int = 0
    rollback_reason: str = ""
    live_model_package: str = ""


class Narrator:
    """Shows the stages as they happen and keeps how long each took."""

    def __init__(self) -> None:
        self.seconds_by_stage: dict[str, float] = {}
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            TimeElapsedColumn(),
            console=out,
            transient=True,
        )
        self._whole = self._progress.add_task("Demo", total=STAGES)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    @contextmanager
    def stage(self, name: str, title: str) -> Iterator[None]:
        """Tell one stage: its title, and how long it took once it held."""
        self._progress.update(self._whole, description=title)
        self._progress.console.print(f"[bold]{len(self.seconds_by_stage) + 1:>2}  {title}[/bold]")
        started = time.monotonic()
        yield
        self.seconds_by_stage[name] = round(time.monotonic() - started, 2)
        self._progress.advance(self._whole)

    def say(self, text: str) -> None:
        """Add a line under the stage that is being told."""
        self._progress.console.print(f"    {text}", markup=False)

    @contextmanager
    def steps(self, description: str, total: int) -> Iterator[Any]:
        """Show a second bar; yields a callable that advances it."""
        task = self._progress.add_task(f"    {description}", total=total)
        yield lambda: self._progress.advance(task)
        self._progress.remove_task(task)

    @property
    def seconds_total(self) -> float:
        """Seconds of all stages together."""
        return round(sum(self.seconds_by_stage.values()), 2)


def write_summary(settings: Settings, narrator: Narrator, facts: Facts) -> Path:
    """Write ``demo/summary.json`` and return its path."""
    path = settings.home / "demo" / "summary.json"
    document = {
        "seconds_total": narrator.seconds_total,
        "seconds_by_stage": narrator.seconds_by_stage,
        **asdict(facts),
    }
    path.write_text(json.dumps(document, indent=2, default=str) + "\n")
    return path


def closing_table(settings: Settings, narrator: Narrator, facts: Facts) -> Table:
    """What happened, with its figures, and where to look."""
    table = Table(title=f"What happened in {narrator.seconds_total:.0f} s", title_justify="left", show_header=True)
    table.add_column("what")
    table.add_column("outcome", overflow="fold")
    table.add_column("where to look", overflow="fold")
    look = "card_fraud/"
    table.add_row("first champion", figures(facts.champion), f"{look}evaluation_report")
    table.add_row("batch scores", f"{facts.batch_rows_scored} payments", f"{look}batch_scores")
    table.add_row("bad candidate", f"stopped, {len(facts.gate_failures)} reasons", f"{look}evaluation_report, Checks")
    table.add_row("requests", f"{facts.requests_sent} sent, {facts.requests_failed} failed", f"{look}captured_traffic")
    table.add_row("drifted", ", ".join(facts.drift_alerts) or "nothing", f"{look}drift_report")
    table.add_row("decision", facts.decision, f"{look}operating_decision")
    table.add_row("retrained by", facts.retrained_by, "Automation")
    table.add_row("challenger", figures(facts.challenger), f"{look}evaluation_report")
    table.add_row("champion, same rows", figures(facts.champion_on_challengers_window), "")
    table.add_row(
        "bad rollout",
        f"rolled back, {facts.requests_failed_by_bad_variant} requests failed meanwhile",
        f"{look}live_endpoint",
    )
    table.add_row("live now", facts.live_model_package.rsplit(":", 1)[-1], "ml-platform status")
    table.caption = f"make dev, then http://127.0.0.1:{settings.dagster_port}"
    table.caption_justify = "left"
    return table


def figures(metrics: dict[str, Any]) -> str:
    """The headline figures in one line."""
    shown = (("average_precision", "AP"), ("roc_auc", "AUC"), ("card_precision_at_100", "CP@100"))
    return "  ".join(f"{short} {metrics[name]:.3f}" for name, short in shown if metrics.get(name) is not None)
