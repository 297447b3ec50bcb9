"""Plots and table are shown inline whatever the scores are, and show the part of a curve that matters."""

from urllib.parse import unquote

import numpy as np
import pytest

from ml_platform.evaluation import plots
from ml_platform.evaluation.slices import SliceFigures, SliceReport
from ml_platform.modeling.cost_curve import CostCurve
from ml_platform.modeling.money import MoneyParameters
from ml_platform.modeling.score_stability import ScoreStability
from tests.unit.evaluation.builders import a_champion, a_comparison, a_difference, a_holdout, a_report, a_slice

INLINE_LIMIT = 1000


def picture(markdown: str) -> str:
    """The SVG behind the Markdown; fails when the UI would hide it."""
    assert len(markdown) < INLINE_LIMIT
    return unquote(markdown.partition("image/svg+xml,")[2].removesuffix(")"))


@pytest.mark.parametrize("rows", [40, 3_000, 60_000])
def test_plots_are_shown_inline_whatever_the_size(rows: int) -> None:
    holdout, scores = a_holdout(rows)
    drawn = plots.draw_all(holdout["label"].to_numpy(), scores, scores[::-1])
    assert sorted(drawn) == ["calibration", "precision_recall", "scores_by_class"]
    for markdown in drawn.values():
        assert picture(markdown).endswith("</svg>")


def test_the_legend_has_both_areas() -> None:
    drawn = picture(plots.precision_recall(np.array([1, 0, 1]), np.array([0.9, 0.8, 0.7]), np.array([0.9, 0.1, 0.8])))
    assert "challenger 0.833" in drawn
    assert "champion 1.000" in drawn


def test_the_curve_is_sampled_by_recall_and_not_by_threshold() -> None:
    """Of 10,100 thresholds 10,000 lie behind the last fraud; the fall of precision lies before."""
    labels = np.array([1] * 50 + [0] * 50 + [1] * 50 + [0] * 10_000)
    scores = np.linspace(1, 0, len(labels))
    (recalls, precisions), _ = plots._recall_curve(labels, scores)
    found = dict(zip(np.round(recalls, 3), precisions, strict=True))
    assert found[0.5] == 1
    assert found[0.55] == pytest.approx(55 / 105)
    assert found[1.0] == pytest.approx(100 / 150)


@pytest.mark.parametrize("broken", ["nan", "one class", "no rows"])
def test_a_candidate_without_figures_still_has_a_report(broken: str) -> None:
    holdout, scores = a_holdout(300)
    labels = holdout["label"].to_numpy()
    if broken == "nan":
        scores[3] = np.nan
    if broken == "one class":
        labels = np.zeros_like(labels)
    if broken == "no rows":
        labels, scores = labels[:0], scores[:0]
    for markdown in plots.draw_all(labels, scores).values():
        picture(markdown)


def test_the_table_has_a_column_for_each_model() -> None:
    table = plots.comparison_table(a_report(), a_champion(average_precision=0.6, roc_auc=None))
    assert "| average precision | 0.6700 | 0.6000 |" in table
    assert "| ROC AUC | 0.8700 | unknown |" in table
    assert len(table) < INLINE_LIMIT


def test_without_a_champion_its_column_is_empty() -> None:
    assert "| average precision | 0.6700 | - |" in plots.comparison_table(a_report(), None)


def test_the_table_shows_intervals_and_money_and_stays_inline() -> None:
    comparison = a_comparison(
        cost_per_1000=a_difference("cost_per_1000", challenger=-410.0, champion=-500.0, low=40.0, high=140.0),
        slices=tuple(a_slice(f"terminal payments in 30 days {n} to {n + 1}") for n in range(12)),
    )
    own = slices_of(*(f"terminal payments in 30 days {n} to {n + 1}" for n in range(12)))
    table = plots.comparison_table(a_report(), a_champion(), comparison)
    assert "| average precision | 0.6700 | 0.6700 | +0.0100 [+0.0050, +0.0150] |" in table
    assert "| cost of 1,000 payments | 410.00 | 500.00 | -90.00 [-140.00, -40.00] |" in table
    assert max(len(table), len(plots.slice_table(own, comparison))) < INLINE_LIMIT


def a_curve(capacity: int = 5, seed: int = 0) -> CostCurve:
    holdout, scores = a_holdout(seed=seed)
    amounts = np.random.default_rng(seed).gamma(2, 4_000, len(scores))
    days = holdout["event_time"].dt.date.to_numpy()
    return CostCurve.measure(
        scores, holdout["label"].to_numpy(), amounts, days, MoneyParameters(reviews_per_day=capacity)
    )


def test_the_cost_curve_marks_the_operating_point_beside_the_champions_line() -> None:
    drawn = picture(plots.costs(a_curve(), a_curve(seed=1)))
    assert "<circle" in drawn
    assert "challenger" in drawn
    assert drawn.count("stroke-width='2'") == 2
    assert "champion" not in picture(plots.costs(a_curve()))


def test_the_table_of_costs_has_its_parts_and_what_was_saved() -> None:
    curve, champion = a_curve(), a_curve(seed=1)
    table = plots.cost_table(curve, champion)
    assert len(table) < INLINE_LIMIT
    (shown,) = [line for line in table.splitlines() if line.startswith("| 5 reviews a day")]
    fraud, declines, reviews, cost, saved = (float(cell) for cell in shown.split("|")[2:-1])
    assert fraud + declines + reviews == pytest.approx(cost, abs=0.02)
    assert saved == pytest.approx(curve.doing_nothing - cost, abs=0.02)
    assert "| champion, 5 reviews a day |" in table


def test_stability_is_drawn_by_day() -> None:
    holdout, scores = a_holdout()
    days = holdout["event_time"].dt.date.to_numpy()
    assert "PSI" in picture(plots.stability(ScoreStability.measure(scores, scores, days)))


def slices_of(*names: str, **recall: float) -> SliceReport:
    fields = {"rows": 900, "positives": 40, "low": 0.1, "high": 0.9, "false_positive_rate": 0.01}
    return SliceReport(
        measured=tuple(SliceFigures(slice=name, recall=recall.get(name, 0.67), **fields) for name in (*names, *recall)),
        absent={"tenant": "no row has a tenant"},
    )


def test_slices_are_shown_worst_first_and_what_was_not_cut_beneath() -> None:
    comparison = a_comparison(slices=(a_slice("fine", champion=0.6), a_slice("worse", champion=0.9)))
    shown = plots.slice_table(slices_of("fine", "worse"), comparison).splitlines()
    assert shown[2] == "| worse | 40 | 0.670 [0.100, 0.900] | 0.900 |"
    assert shown[-1] == "- tenant was not cut: no row has a tenant"


def test_without_a_champion_the_slice_that_finds_least_comes_first() -> None:
    shown = plots.slice_table(slices_of(good=0.8, poor=0.2)).splitlines()
    assert shown[2] == "| poor | 40 | 0.200 [0.100, 0.900] | - |"
