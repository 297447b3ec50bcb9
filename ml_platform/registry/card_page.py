"""The model card as a page that a person reads: one HTML file, no script, nothing loaded from elsewhere.

Everything that came from outside is escaped. The same card in SageMaker's schema is ``card``.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

from ml_platform.modeling.cost_curve import CostCurve
from ml_platform.registry.approval import Decision
from ml_platform.registry.card_findings import findings
from ml_platform.registry.card_plots import (
    STYLE,
    calibration_chart,
    cost_chart,
    interval_bar,
    recall_chart,
    stability_chart,
)
from ml_platform.registry.dossier import CardFacts, Dossier, FeatureFacts, Figure, SliceFigure, SplitFacts

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b;background:#fff}
h1{margin-bottom:0}h2{margin-top:2rem;border-bottom:1px solid #ddd}table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.25rem 0;vertical-align:top}td:last-child{overflow-wrap:anywhere}
tr+tr td{border-top:1px solid #8883}
th{color:#555;font-weight:600}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;padding-left:.75rem}
td.n{white-space:nowrap}.wide{overflow-x:auto}
.decision{padding:.75rem 1rem;background:#f3f6fa;border-left:4px solid #3367a8}.decision p{margin:.25rem 0}
@media(prefers-color-scheme:dark){body{background:#161616;color:#e8e8e8}h2{border-color:#444}th{color:#aaa}
.decision{background:#1f2937}}
"""
# Nothing may be loaded or run, whatever a name in the data contains.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


@dataclass(frozen=True, slots=True)
class Drawn:
    """A cell that is a picture of ours, and no text to escape."""

    markup: str


def card_page(dossier: Dossier, version: int | None, decision: Decision | None, links: dict[str, str]) -> str:
    """Return the page.

    Args:
        dossier: Of the package.
        version: Of the package; None before it has one.
        decision: Who approved or rejected it, when somebody did.
        links: What else there is about the package, name to address.
    """
    facts = dossier.facts
    title = f"{facts.model}, version {version}" if version else facts.model
    body = "\n".join(
        [
            f"<h1>{escape(title)}</h1><p>{escape(facts.purpose)} Owner: {escape(facts.owner)}.</p>",
            _verdict(dossier, version, decision),
            _section("Why", _list(findings(facts))),
            _section("What speaks against it, and what was not judged", _list(facts.limits or ("nothing known",))),
            _section("Figures on the holdout", _figures(facts.figures)),
            _section("What its decisions cost", _costs(facts)),
            _section("Slices, those that matter for fairness among them", _slices(facts)),
            _section("Curves", _curves(facts)),
            _section("Data sheet", _data_sheet(dossier)),
            _section("The gate's thresholds", _pairs(facts.gate)),
            _section("Where it comes from", _pairs(_provenance(dossier))),
            _section("What the evidence rests on", _pairs({**dossier.basis.definitions, **_days(dossier)})),
            _section("Beside this page", _links(links)),
        ]
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}{STYLE}</style></head>\n'
        f"<body>{body}</body></html>\n"
    )


def _verdict(dossier: Dossier, version: int | None, decision: Decision | None) -> str:
    facts = dossier.facts
    failures = dossier.evidence.get("failures") or ()
    judged = f" on {facts.judged_at:%Y-%m-%d %H:%M} UTC" if facts.judged_at else ""
    gate = f"The gate stopped it{judged}: {'; '.join(failures)}" if failures else f"The gate let it pass{judged}"
    ask = f" Say yes by: ml-platform approve {facts.model} --version {version}; no by adding --reject --reason."
    decided = decision.in_words() if decision else f"Nobody has decided about this version yet.{ask if version else ''}"
    return f'<div class="decision"><p><strong>{escape(gate)}.</strong></p>{_paragraph(decided)}</div>'


def _figures(figures: Iterable[Figure]) -> str:
    rows = [
        (
            figure.spoken or figure.name,
            f"{figure.value:.4f}",
            "-" if figure.low is None or figure.high is None else f"{figure.low:.4f} to {figure.high:.4f}",
            "-" if figure.champion is None else f"{figure.champion:.4f}",
            _gain(figure),
        )
        for figure in figures
    ]
    return _table(("figure", "this version", "90 % interval", "version before", "gain over it, 90 %"), rows)


def _gain(figure: Figure) -> str:
    if figure.gain is None:
        return "-"
    unknown = figure.gain_low is None or figure.gain_high is None
    return f"{figure.gain:+.4f}" + ("" if unknown else f" ({figure.gain_low:+.4f} to {figure.gain_high:+.4f})")


def _costs(facts: CardFacts) -> str:
    curve, before = facts.cost_curve, facts.champion_cost_curve
    if curve is None:
        return _paragraph("Not known: see what was not judged.")
    heads = ("of 1,000 payments", "fraud losses", "false declines", "reviews", "cost", "saved")
    nothing = f"{curve.doing_nothing:,.2f}"
    rows: list[tuple[str, ...]] = [("approve everything", nothing, "0.00", "0.00", nothing, "0.00")]
    rows += [_cost(curve, position, "this version") for position in sorted({0, curve.chosen})]
    rows += [_cost(before, before.chosen, "version before")] if before else []
    return cost_chart(curve, before) + _table(heads, rows)


def _cost(curve: CostCurve, position: int, whose: str) -> tuple[str, ...]:
    parts = (curve.fraud_losses[position], curve.false_declines[position], curve.reviews[position])
    cost = curve.costs[position]
    shown = (f"{value:,.2f}" for value in (*parts, cost, curve.doing_nothing - cost))
    return (f"{whose}, {curve.reviews_per_day[position]:g} reviews a day", *shown)


def _slices(facts: CardFacts) -> str:
    rows = [
        (
            found.name,
            f"{found.rows:,}",
            f"{found.positives:,}",
            f"{found.recall:.3f}",
            _range(found),
            "-" if found.false_positive_rate is None else f"{found.false_positive_rate:.2%}",
            "-" if found.champion is None else f"{found.champion:.3f}",
            "-" if found.low is None or found.high is None else f"{found.low:+.3f} to {found.high:+.3f}",
        )
        for found in facts.slices
    ]
    heads = ("slice", "payments", "positives", "recall", "90 %", "false alarms", "before", "difference, 90 %")
    few = ", ".join(f"{name} ({count})" for name, count in facts.small_slices.items()) or "none"
    absent = "".join(_paragraph(f"Not cut by {name}: {why}.") for name, why in facts.absent_slices.items())
    return (
        _paragraph("Recall while one genuine payment in a hundred is disturbed, over all payments.")
        + _table(heads, rows)
        + _paragraph(f"Too few positives to judge: {few}.")
        + absent
    )


def _range(found: SliceFigure) -> str | Drawn:
    if found.recall_low is None or found.recall_high is None:
        return "-"
    return Drawn(interval_bar(found.recall_low, found.recall, found.recall_high))


def _curves(facts: CardFacts) -> str:
    drawn = [
        (
            "Precision by recall",
            facts.precision_by_recall and recall_chart(facts.precision_by_recall, facts.champion_precision_by_recall),
        ),
        ("What a score means", facts.observed_by_score and calibration_chart(facts.observed_by_score)),
        ("Whether scores are stable", facts.stability and stability_chart(facts.stability)),
    ]
    return "".join(f"<h3>{title}</h3>{chart or _paragraph('Not known.')}" for title, chart in drawn)


def _data_sheet(dossier: Dossier) -> str:
    facts = dossier.facts
    splits: list[tuple[str, ...]] = [_split(split) for split in facts.splits]
    features: list[tuple[str, ...]] = [_feature(feature) for feature in facts.features]
    return (
        _paragraph(f"Label: {facts.target}. {facts.label_policy}")
        + _table(("split", "from", "to", "payments", "positives", "without a known label"), splits)
        + _paragraph(f"Features of {facts.feature_service}, as they were known at {facts.as_of:%Y-%m-%d %H:%M} UTC:")
        + _table(("feature", "missing", "10 %", "median", "90 %"), features)
    )


def _split(split: SplitFacts) -> tuple[str, ...]:
    counts = (split.rows, split.positives, split.unlabelled)
    return (split.name, str(split.first_day), str(split.last_day), *(f"{count:,}" for count in counts))


def _feature(feature: FeatureFacts) -> tuple[str, ...]:
    shown = ("-" if value is None else f"{value:.4g}" for value in feature.quantiles)
    return (feature.name, f"{feature.missing_share:.1%}", *shown)


def _provenance(dossier: Dossier) -> dict[str, str]:
    facts = dossier.facts
    return {
        "trained by": facts.trained_by,
        "training job": facts.training_job,
        "instance": f"{facts.instance_type}, {facts.billable_seconds} s billed",
        "image": facts.image,
        "artifact": facts.artifact_uri,
        "candidate": facts.fingerprint,
        "Dagster run": facts.run_id,
        "registered": f"{dossier.registered_at:%Y-%m-%d %H:%M} UTC",
        **facts.parameters,
    }


def _days(dossier: Dossier) -> dict[str, str]:
    return {
        table: f"{len(days)} landed days, {min(days)} to {max(days)}"
        for table, days in dossier.basis.days.items()
        if days
    }


def _section(title: str, content: str) -> str:
    return f"<h2>{escape(title)}</h2>{content}"


def _paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def _list(items: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(item)}</li>' for item in items)}</ul>"


def _pairs(pairs: dict[str, str]) -> str:
    return _table((), list(pairs.items()))


def _links(links: dict[str, str]) -> str:
    """Addresses that a browser opens are links, the others text."""
    rows = "".join(f"<tr><td>{escape(name)}</td><td>{_anchor(address)}</td></tr>" for name, address in links.items())
    return f"<table>{rows}</table>"


def _anchor(address: str) -> str:
    shown = escape(address)
    return f'<a href="{shown}">{shown}</a>' if address.startswith(("https://", "http://")) else shown


def _table(heads: tuple[str, ...], rows: Iterable[tuple["str | Drawn", ...]]) -> str:
    """A table; beneath a head, all columns but the first are numbers."""
    kind = ' class="n"' if heads else ""
    head = f"<tr>{_cells('th', heads, kind)}</tr>" if heads else ""
    body = "".join(f"<tr>{_cells('td', row, kind)}</tr>" for row in rows)
    return f'<div class="wide"><table>{head}{body}</table></div>'


def _cells(tag: str, cells: tuple["str | Drawn", ...], kind: str) -> str:
    return "".join(
        f"<{tag}{kind if position else ''}>{cell.markup if isinstance(cell, Drawn) else escape(cell)}</{tag}>"
        for position, cell in enumerate(cells)
    )
