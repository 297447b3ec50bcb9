"""The Handbook's published figures, what ours must reach, and how both are shown."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field
from rich.table import Table

from ml_platform.cli import console
from ml_platform.cli.handbook_reference import BookComparison

PUBLISHED: Mapping[str, tuple[float, float, float]] = {
    "Logistic regression": (0.871, 0.606, 0.291),
    "Decision tree, depth 2": (0.763, 0.496, 0.241),
    "Decision tree, unlimited": (0.788, 0.309, 0.243),
    "Random forest": (0.867, 0.658, 0.287),
    "XGBoost": (0.862, 0.639, 0.273),
}
"""AUC ROC, average precision and card precision@100 in chapter 3, "Performances using standard prediction models"."""

EXPECTED_COUNTS: Mapping[str, int] = {
    "rows": 1_754_155,
    "feature_rows": 1_754_155,
    "train_rows": 67_240,
    "train_frauds": 598,
    "test_rows": 58_264,
    "test_frauds": 385,
}
FLOORS: Mapping[str, float] = {"roc_auc": 0.865, "average_precision": 0.660, "card_precision_at_100": 0.285}
MAX_DATA_SECONDS = 180.0
_DATA_STAGES = ("ingest", "features", "training_set")


class HandbookResult(BaseModel):
    """Counts, figures and times of one run."""

    model_config = ConfigDict(frozen=True)

    rows: int = Field(description="Payments landed.")
    rows_quarantined: int
    feature_rows: int
    train_rows: int
    train_frauds: int
    test_rows: int = Field(description="After dropping cards known to be compromised, as the protocol says.")
    test_frauds: int
    roc_auc: float | None
    average_precision: float | None
    card_precision_at_100: float | None
    seconds_by_stage: dict[str, float]
    fingerprint: str
    book: BookComparison = Field(description="The feature tables beside the book's derived features, row by row.")

    @property
    def data_seconds(self) -> float:
        """Seconds from the file to the training set."""
        return sum(self.seconds_by_stage.get(stage, 0.0) for stage in _DATA_STAGES)


def failures(result: HandbookResult) -> list[str]:
    """Return everything that is not as it must be."""
    wrong = [
        f"{name}: {getattr(result, name):,}, expected {expected:,}"
        for name, expected in EXPECTED_COUNTS.items()
        if getattr(result, name) != expected
    ]
    for name, floor in FLOORS.items():
        value = getattr(result, name)
        if value is None or value < floor:
            wrong.append(f"{name}: {'unknown' if value is None else f'{value:.3f}'}, at least {floor:.3f} expected")
    wrong += _against_the_book(result)
    if result.data_seconds > MAX_DATA_SECONDS:
        wrong.append(f"ingest, features and training set took {result.data_seconds:.0f} s, over {MAX_DATA_SECONDS:.0f}")
    return wrong


def _against_the_book(result: HandbookResult) -> list[str]:
    wrong = []
    if result.book.rows != result.feature_rows:
        wrong.append(f"features of {result.feature_rows:,} rows, but the book has {result.book.rows:,}")
    if result.book.unexplained_rows:
        named = ", ".join(f"{name} in {count:,}" for name, count in result.book.differences.items())
        wrong.append(
            f"{result.book.unexplained_rows:,} rows differ from the book's features, and not by the order of payments "
            f"within a second. All rows that differ: {named}"
        )
    return wrong


def print_result(result: HandbookResult, problems: list[str]) -> None:
    """Print our figures beside the published ones, the counts and times, and what is wrong."""
    console.out.print(_figures(result))
    console.out.print(_counts(result))
    console.out.print(_book(result.book))
    for problem in problems:
        console.failure(problem)
    if not problems:
        console.out.print("[green]All counts are exact and all figures reach their floors.[/green]")


def _figures(result: HandbookResult) -> Table:
    table = Table(title="Handbook, chapter 3: test week 8 to 14 August 2018", title_justify="left")
    table.add_column("Model")
    for name in ("AUC ROC", "Average precision", "Card precision@100"):
        table.add_column(name, justify="right")
    for model, figures in PUBLISHED.items():
        table.add_row(f"{model} (published)", *(f"{figure:.3f}" for figure in figures))
    table.add_section()
    ours = (getattr(result, name) for name in FLOORS)
    table.add_row("LightGBM (this platform)", *("?" if it is None else f"{it:.3f}" for it in ours), style="bold")
    table.add_row("must be at least", *(f"{floor:.3f}" for floor in FLOORS.values()), style="dim")
    return table


def _counts(result: HandbookResult) -> Table:
    table = Table(title="Rows and times", title_justify="left")
    for name, justify in (("", "left"), ("Ours", "right"), ("Expected", "right")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]  # rich names the literals privately
    for name, expected in EXPECTED_COUNTS.items():
        table.add_row(name.replace("_", " "), f"{getattr(result, name):,}", f"{expected:,}")
    table.add_section()
    for stage, seconds in result.seconds_by_stage.items():
        table.add_row(stage.replace("_", " "), f"{seconds:.1f} s", "")
    table.add_row("file to training set", f"{result.data_seconds:.1f} s", f"< {MAX_DATA_SECONDS:.0f} s", style="bold")
    return table


def _book(book: BookComparison) -> Table:
    table = Table(title="Derived features beside the book's, row by row", title_justify="left")
    for name, justify in (("", "left"), ("Rows", "right")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]  # rich names the literals privately
    table.add_row(f"compared, {book.features} features each", f"{book.rows:,}")
    table.add_row("tie rows: the card pays again in the same second", f"{book.tie_rows:,}")
    table.add_row("differ from the book in file order", f"{book.differing_rows:,}")
    table.add_row("  of these tie rows that equal the book's once their second is over", f"{book.explained_rows:,}")
    table.add_row("differ otherwise", f"{book.unexplained_rows:,}", style="bold")
    return table
