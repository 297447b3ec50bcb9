"""The plots and the table that a reviewer sees beside the gate's verdict, as inline Markdown.

Pure. Every text stays below the 1,000 characters that the UI shows inline (``core.svg``).
"""

from typing import TYPE_CHECKING

from ml_platform.core import svg
from ml_platform.evaluation.report import EvaluationReport
from ml_platform.modeling.metrics import calibration_curve

if TYPE_CHECKING:
    import numpy as np

HISTOGRAM_BINS = 10
SHOWN = (
    ("average_precision", "average precision"),
    ("roc_auc", "ROC AUC"),
    ("card_precision_at_100", "card precision@100"),
    ("card_precision_ceiling", "… of a perfect ranking"),
    ("calibration_error", "calibration error"),
    ("brier", "Brier score"),
)


def draw_all(labels: "np.ndarray", challenger: "np.ndarray", champion: "np.ndarray | None" = None) -> dict[str, str]:
    """Return the three plots by name; arrays have shape (n_rows,)."""
    if not len(labels):
        return {}
    return {
        "precision_recall": precision_recall(labels, challenger, champion),
        "scores_by_class": scores_by_class(labels, challenger),
        "calibration": calibration(labels, challenger),
    }


def precision_recall(labels: "np.ndarray", challenger: "np.ndarray", champion: "np.ndarray | None" = None) -> str:
    """Precision against recall of the challenger, with the champion's on the same rows."""
    from sklearn.metrics import precision_recall_curve

    def curve(scores: "np.ndarray") -> tuple[list[float], list[float]]:
        precision, recall, _ = precision_recall_curve(labels, scores)
        return [float(x) for x in recall[::-1]], [float(x) for x in precision[::-1]]

    first = curve(challenger)
    if champion is None:
        return svg.line_chart(*first, title="Precision by recall", ends_at_zero=True)
    return svg.two_lines(
        first, curve(champion), title="Precision by recall", names=("challenger", "champion"), unit_square=True
    )


def scores_by_class(labels: "np.ndarray", scores: "np.ndarray") -> str:
    """Share of each class per score band; good models keep the classes apart."""
    import numpy as np

    edges = np.linspace(0, 1, HISTOGRAM_BINS + 1)

    def share(values: "np.ndarray") -> list[float]:
        counts, _ = np.histogram(values, edges)
        return [float(count) / max(int(counts.sum()), 1) for count in counts]

    return svg.grouped_bars(
        edges.tolist(),
        share(scores[labels == 0]),
        share(scores[labels == 1]),
        title="Share of each class by score",
        names=("genuine", "fraud"),
    )


def calibration(labels: "np.ndarray", scores: "np.ndarray") -> str:
    """Observed rate against mean score, over bins of equal mass; the diagonal is perfect."""
    predicted, observed, _ = calibration_curve(labels, scores)
    line = (predicted.tolist(), observed.tolist())
    top = max(*line[0], *line[1], 1e-9)
    return svg.two_lines(line, ([0, top], [0, top]), title="Observed rate by score", names=("model", "perfect"))


def comparison_table(challenger: EvaluationReport, champion: EvaluationReport | None) -> str:
    """The figures of both as a Markdown table."""
    rows = [
        f"| {spoken} | {_shown(getattr(challenger, name))} | {_shown(getattr(champion, name)) if champion else '-'} |"
        for name, spoken in SHOWN
    ]
    return "\n".join(["| metric | challenger | champion |", "|---|---|---|", *rows])


def _shown(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4f}"
