"""The plots and the table that a reviewer sees beside the gate's verdict, as inline Markdown.

Pure. Every text stays below the 1,000 characters that the UI shows inline (``core.svg``).
"""

from typing import TYPE_CHECKING

from ml_platform.core import svg
from ml_platform.evaluation.comparison import Comparison, Difference
from ml_platform.evaluation.report import RECALL_POINTS, EvaluationReport
from ml_platform.evaluation.slices import SliceFigures, SliceReport
from ml_platform.modeling import ranking
from ml_platform.modeling.cost_curve import CostCurve
from ml_platform.modeling.declared_metrics import METRICS, Metric
from ml_platform.modeling.metrics import UndefinedMetricError, average_precision, calibration_curve
from ml_platform.modeling.score_stability import ScoreStability

if TYPE_CHECKING:
    import numpy as np

Curve = tuple[list[float], list[float]]

HISTOGRAM_BINS = 10


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
    """Precision against recall of the challenger, with the champion's on the same rows; the legend has the areas."""
    first, first_area = _recall_curve(labels, challenger)
    second, second_area = _recall_curve(labels, champion) if champion is not None else (([], []), "")
    names = (f"challenger {first_area}", f"champion {second_area}" if champion is not None else "")
    return svg.two_lines(first, second, title="Precision by recall", names=names, unit_square=True)


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
    """Observed rate against mean score, over bins of equal mass; a perfect model lies on the other line."""
    try:
        predicted, observed, _ = calibration_curve(labels, scores)
    except UndefinedMetricError:
        # A candidate whose figures are unknown is stopped by the gate; its report must still be shown.
        return svg.two_lines(([], []), ([], []), title="Observed rate by score", names=("model: unknown", ""))
    line = (predicted.tolist(), observed.tolist())
    top = max([*line[0], *line[1], 1e-9])
    return svg.two_lines(line, ([0, top], [0, top]), title="Observed rate by score", names=("model", "perfect"))


def costs(challenger: CostCurve, champion: CostCurve | None = None) -> str:
    """Cost of 1,000 payments by the reviews people can do in a day, the operating point marked."""
    second = (champion.reviews_per_day, champion.costs) if champion else ((), ())
    return svg.two_lines(
        (challenger.reviews_per_day, challenger.costs),
        second,
        title="Cost of 1,000 payments by reviews per day",
        names=("challenger", "champion" if champion else ""),
        mark=(challenger.reviews_per_day[challenger.chosen], challenger.cost),
    )


def cost_table(challenger: CostCurve, champion: CostCurve | None = None) -> str:
    """What 1,000 payments cost, by part, at the points that people choose between, as a Markdown table."""
    curves = {"": challenger} | ({"champion, ": champion} if champion else {})
    rows = [f"| approve everything | {challenger.doing_nothing:.2f} | 0 | 0 | {challenger.doing_nothing:.2f} | 0 |"]
    for prefix, curve in curves.items():
        for position in sorted({0, curve.chosen}):
            parts = (curve.fraud_losses[position], curve.false_declines[position], curve.reviews[position])
            cost = curve.costs[position]
            cells = " | ".join(f"{value:.2f}" for value in (*parts, cost, curve.doing_nothing - cost))
            rows.append(f"| {prefix}{curve.reviews_per_day[position]:g} reviews a day | {cells} |")
    heads = "| per 1,000 payments | fraud | false declines | reviews | cost | saved |"
    return "\n".join([heads, "|---|---|---|---|---|---|", *rows])


def stability(found: ScoreStability) -> str:
    """How far each holdout day's scores lie from those of the validation days."""
    shifts = [shift.psi for shift in found.days.values()]
    return svg.line_chart(
        range(len(shifts)), shifts, title="PSI of the scores by day of the holdout", reference=0.1, ends_at_zero=True
    )


def comparison_table(
    challenger: EvaluationReport, champion: EvaluationReport | None, comparison: Comparison | None = None
) -> str:
    """The figures of both as a Markdown table, with what is known of their difference."""
    known = {found.metric: found for found in comparison.metrics} if comparison else {}
    rows = [
        f"| {METRICS[name].spoken} | {_shown(challenger.figure(name))} "
        f"| {_shown(champion.figure(name)) if champion else '-'} | {_difference(METRICS[name], known.get(name))} |"
        for name in challenger.model_extra or ()
    ]
    if cost := known.get("cost_per_1000"):
        rows.append(
            f"| cost of 1,000 payments | {-cost.challenger:.2f} | {-cost.champion:.2f} "
            f"| {-cost.difference:+.2f} [{-cost.high:+.2f}, {-cost.low:+.2f}] |"
        )
    return "\n".join(["| metric | challenger | champion | difference |", "|---|---|---|---|", *rows])


def _difference(metric: Metric, found: Difference | None) -> str:
    if found is None:
        return ""
    # Of a metric whose smaller values are better, the comparison has what the challenger gains.
    sign = 1 if metric.better == "higher" else -1
    low, high = sorted((sign * found.low, sign * found.high))
    return f"{sign * found.difference:+.4f} [{low:+.4f}, {high:+.4f}]"


def slice_table(found: SliceReport, comparison: Comparison | None = None, most: int = 8) -> str:
    """Recall by slice as a Markdown table: where the challenger lost most, or without a champion finds least.

    What was not cut, and why, is beneath.
    """
    compared = {other.slice: other for other in comparison.slices} if comparison else {}

    def place(one: SliceFigures) -> float:
        return compared[one.slice].difference if one.slice in compared else one.recall - 1

    rows = [
        f"| {one.slice} | {one.positives} | {one.recall:.3f} [{one.low:.3f}, {one.high:.3f}] "
        f"| {f'{compared[one.slice].champion:.3f}' if one.slice in compared else '-'} |"
        for one in sorted(found.measured, key=place)[:most]
    ]
    absent = [f"- {name} was not cut: {why}" for name, why in found.absent.items()]
    table = ["| slice | positives | recall, 90 % | champion's |", "|---|---|---|---|", *rows]
    return "\n".join([*table, *([""] if absent else []), *absent])[: svg.MAX_MARKDOWN]


def _recall_curve(labels: "np.ndarray", scores: "np.ndarray") -> tuple[Curve, str]:
    """Precision at evenly spaced recalls, and the area below as text."""
    try:
        area = f"{average_precision(labels, scores):.3f}"
    except UndefinedMetricError:
        return ([], []), "unknown"
    recall, precision = ranking.precision_at_recalls(labels, scores, RECALL_POINTS)
    return (recall.tolist(), precision.tolist()), area


def _shown(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4f}"
