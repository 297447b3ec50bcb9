"""What every benchmark ends with: a table of ours beside the reference, the same as JSON, and an exit code."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from ml_platform.cli.home import locate_home


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure of ours beside the reference's; with a goal it is judged."""

    name: str
    ours: float
    reference: float | None
    unit: str = "s"
    goal: float | None = None
    """Greatest accepted ratio of ours to the reference; without a reference, greatest accepted value."""

    @property
    def ratio(self) -> float | None:
        """Ours by the reference."""
        return self.ours / self.reference if self.reference else None

    @property
    def missed(self) -> bool:
        """Whether there is a goal and it is not met."""
        judged = self.ours if self.reference is None else self.ratio
        return self.goal is not None and (judged is None or judged > self.goal)


def conclude(name: str, measures: list[Measure], notes: list[str], details: dict[str, Any]) -> int:
    """Print the table, write ``<home>/bench/<name>.json``, and return the exit code: 1 when a goal is missed."""
    console = Console(highlight=False)
    console.print(_table(name, measures))
    for note in notes:
        console.print(f"[dim]· {note}[/dim]")
    path = locate_home() / "bench" / f"{name}.json"
    _write(path, name, measures, details)
    missed = [measure.name for measure in measures if measure.missed]
    console.print(f"[red]Goal missed: {', '.join(missed)}[/red]" if missed else "[green]Every goal is met.[/green]")
    console.print(f"The same as JSON: {path}", soft_wrap=True)
    return int(bool(missed))


def _table(name: str, measures: list[Measure]) -> Table:
    table = Table(title=name, title_justify="left")
    table.add_column("measure")
    for heading in ("ours", "reference", "ratio", "goal"):
        table.add_column(heading, justify="right")
    for measure in measures:
        colour = "red" if measure.missed else "green" if measure.goal is not None else "default"
        table.add_row(
            f"{measure.name} ({measure.unit})",
            f"{measure.ours:.2f}",
            "" if measure.reference is None else f"{measure.reference:.2f}",
            "" if measure.ratio is None else f"[{colour}]{measure.ratio:.2f}[/{colour}]",
            "" if measure.goal is None else f"≤ {measure.goal:g}",
        )
    return table


def _write(path: Path, name: str, measures: list[Measure], details: dict[str, Any]) -> None:
    rows = [asdict(measure) | {"ratio": measure.ratio, "missed": measure.missed} for measure in measures]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"name": name, "measures": rows, **details}, indent=2) + "\n")
