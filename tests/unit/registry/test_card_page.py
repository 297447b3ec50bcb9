"""The page says the verdict first, then why, then figures, then plots; it escapes what came from outside."""

import re
from datetime import UTC, date, datetime
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from ml_platform.modeling.cost_curve import CostCurve
from ml_platform.modeling.money import MoneyParameters
from ml_platform.modeling.score_stability import ScoreAgreement, ScoreStability
from ml_platform.registry.card_page import card_page
from ml_platform.registry.dossier import Basis, CardFacts, Dossier, Figure, SliceFigure, SplitFacts

NOW = datetime(2026, 4, 1, 9, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script>"


def a_curve(seed: int, *, capacity: int = 10) -> CostCurve:
    random = np.random.default_rng(seed)
    scores = random.beta(0.3, 8, 700)
    labels, amounts = (random.random(700) < scores).astype(int), random.gamma(2, 40, 700)
    money = MoneyParameters(source=HOSTILE, reviews_per_day=capacity)
    return CostCurve.measure(scores, labels, amounts, np.arange(700) % 7, money)


def a_stability() -> ScoreStability:
    scores = np.random.default_rng(0).beta(1, 20, 700)
    days = np.array([date(2026, 3, 16 + number % 7) for number in range(700)])
    return ScoreStability.measure(scores, scores, days)


def a_dossier(failures: tuple[str, ...] = (), **overrides: Any) -> Dossier:
    split = SplitFacts(
        name="holdout", first_day=NOW.date(), last_day=NOW.date(), rows=700, positives=30, unlabelled=0, uri="s3://b/"
    )
    facts: dict[str, Any] = {
        "model": "card_fraud",
        "purpose": "Score payments.",
        "owner": "team:fraud",
        "fingerprint": "c" * 64,
        "artifact_uri": "s3://b/model.tar.gz",
        "image": "image",
        "training_job": "job",
        "training_job_arn": "arn:job",
        "instance_type": "ml.m5.large",
        "billable_seconds": 60,
        "trained_by": "tina",
        "run_id": "run",
        "target": "transaction_fraud",
        "label_policy": "Known labels.",
        "feature_service": "fraud_v1",
        "as_of": NOW,
        "splits": (split,),
        "features": (),
        "figures": (Figure(name="average_precision", value=0.67, low=0.61, high=0.73),),
        "judged_at": NOW,
    }
    evidence = {"failures": failures}
    return Dossier(
        facts=CardFacts(**facts | overrides), basis=Basis(definitions={}), evidence=evidence, registered_at=NOW
    )


def measured(**overrides: Any) -> Dossier:
    """A version that replaces another, with everything measured."""
    return a_dossier(
        **{
            "cost_curve": a_curve(1),
            "champion_cost_curve": a_curve(2),
            "stability": a_stability(),
            "agreement": ScoreAgreement(rank_correlation=0.9, top_overlap=0.8),
            "precision_by_recall": ((0.0, 1.0), (1.0, 0.1)),
            "champion_precision_by_recall": ((0.0, 1.0), (1.0, 0.05)),
            "observed_by_score": ((0.001, 0.0), (0.4, 0.5)),
            "slices": (
                SliceFigure(
                    name=f"tenant {HOSTILE}", rows=90, positives=20, recall=0.4, recall_low=0.2, recall_high=0.6
                ),
                SliceFigure(name="amount below 20", rows=90, positives=20, recall=1.0, recall_low=1.0, recall_high=1.0),
            ),
            "absent_slices": {"terminal age": "the rows have no column terminal_age_days"},
            "replaces_version": 3,
            "replaces_because": "It passed.",
        }
        | overrides
    )


def page_of(dossier: Dossier) -> str:
    return card_page(dossier, 4, None, {})


def test_the_verdict_comes_first_then_why_then_figures_then_plots() -> None:
    page = page_of(measured())
    order = [
        "The gate let it pass on 2026-04-01",
        ">Why<",
        ">What speaks against it",
        ">Figures on",
        ">What its dec",
        ">Curves<",
    ]
    found = [page.index(heading) for heading in order]
    assert found == sorted(found)
    assert "Nobody has decided" in page[: found[1]]


def test_a_version_that_the_gate_stopped_says_so_with_every_reason() -> None:
    page = page_of(a_dossier(failures=("roc auc 0.5 < 0.75", HOSTILE)))
    assert "The gate stopped it on 2026-04-01 09:00 UTC: roc auc 0.5 &lt; 0.75; &lt;script&gt;" in page


def test_why_says_money_the_weakest_slice_stability_and_agreement() -> None:
    page, curve = page_of(measured()), a_curve(1)
    assert f"save {curve.savings:,.2f} of the {curve.doing_nothing:,.2f}" in page
    assert f"Version 3 would save {a_curve(2).savings:,.2f}" in page
    assert "0.40 of 20 positives (90 % interval 0.20 to 0.60)" in page
    assert "Its scores keep their distribution" in page
    assert "a correlation of 0.90, and has 80% of the most suspicious 1 %" in page
    assert "Not cut by terminal age: the rows have no column terminal_age_days." in page


def test_a_version_before_that_cost_more_than_doing_nothing_is_said_to() -> None:
    dear = a_curve(2)
    dear = dear.model_copy(update={"doing_nothing": dear.cost - 70.5})
    assert "Version 3 would cost 70.50 more than that." in page_of(measured(champion_cost_curve=dear))


def test_every_plot_is_well_formed_and_nothing_runs() -> None:
    page = page_of(measured())
    drawn = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(drawn) == 6
    for picture in drawn:
        ElementTree.fromstring(picture)  # noqa: S314  # our own text
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 2


def test_what_was_not_measured_is_said() -> None:
    page = page_of(a_dossier())
    for said in ("What its decisions cost is not known.", "No slice had positives", "scores are stable is not known"):
        assert said in page
    assert "<svg" not in page


@pytest.mark.parametrize("capacity", [0, 10_000])
def test_a_curve_of_any_capacity_is_drawn(capacity: int) -> None:
    page = page_of(measured(cost_curve=a_curve(1, capacity=capacity), champion_cost_curve=None))
    assert '<circle class="dot"' in page
