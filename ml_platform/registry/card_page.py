"""The model card as a page that a person reads: one HTML file, no script, nothing loaded from elsewhere.

Everything that came from outside is escaped. The same card in SageMaker's schema is ``card``.
"""

from collections.abc import Iterable
from html import escape

from ml_platform.registry.approval import Decision
from ml_platform.registry.card import interval
from ml_platform.registry.dossier import Dossier, FeatureFacts, Figure, SliceFigure, SplitFacts

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b;background:#fff}
h1{margin-bottom:0}h2{margin-top:2rem;border-bottom:1px solid #ddd}table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.25rem .75rem .25rem 0;vertical-align:top;overflow-wrap:anywhere}
th{color:#555;font-weight:600}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
.decision{padding:.75rem 1rem;background:#f3f6fa;border-left:4px solid #3367a8}
@media(prefers-color-scheme:dark){body{background:#161616;color:#e8e8e8}h2{border-color:#444}th{color:#aaa}
.decision{background:#1f2937}}
"""
# Nothing may be loaded or run, whatever a name in the data contains.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


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
    decided = decision.in_words() if decision else "Nobody has decided about this version yet."
    body = "\n".join(
        [
            f"<h1>{escape(title)}</h1><p>{escape(facts.purpose)} Owner: {escape(facts.owner)}.</p>",
            f'<p class="decision">{escape(decided)}</p>',
            _section("What it replaces, and why", _paragraph(_replaces(dossier))),
            _section("Figures on the holdout", _figures(facts.figures)),
            _section("Slices, those that matter for fairness among them", _slices(facts.slices, facts.small_slices)),
            _section("Limits", _list(facts.limits or ("none known",))),
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
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>\n'
        f"<body>{body}</body></html>\n"
    )


def _replaces(dossier: Dossier) -> str:
    facts = dossier.facts
    if facts.replaces_version is None:
        return "It is the first model: it kept every floor of the gate, and there was nothing to compare it with."
    return f"Version {facts.replaces_version}. {facts.replaces_because}"


def _figures(figures: Iterable[Figure]) -> str:
    rows = [
        (
            figure.name,
            f"{figure.value:.4f}",
            "-" if figure.low is None or figure.high is None else f"{figure.low:.4f} to {figure.high:.4f}",
            "-" if figure.champion is None else f"{figure.champion:.4f}",
            "-" if figure.gain is None else f"{figure.gain:+.4f} ({interval(figure.gain_low, figure.gain_high)})",
        )
        for figure in figures
    ]
    return _table(("figure", "this version", "90 % interval", "version before, same rows", "gain"), rows)


def _slices(slices: Iterable[SliceFigure], small: dict[str, int]) -> str:
    rows = [
        (
            found.name,
            f"{found.rows:,}",
            f"{found.positives:,}",
            f"{found.recall:.3f}",
            "-" if found.champion is None else f"{found.champion:.3f}",
            interval(found.low, found.high),
        )
        for found in slices
    ]
    heads = ("slice", "payments", "positives", "recall", "version before", "difference or recall")
    few = ", ".join(f"{name} ({count})" for name, count in small.items()) or "none"
    return _table(heads, rows) + _paragraph(f"Too few positives to judge: {few}.")


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
    deciles = feature.deciles
    if not deciles:
        return (feature.name, f"{feature.missing_share:.1%}", "-", "-", "-")
    shown = (deciles[0], deciles[len(deciles) // 2], deciles[-1])
    return (feature.name, f"{feature.missing_share:.1%}", *(f"{value:.4g}" for value in shown))


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


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    head = f"<tr>{''.join(f'<th>{escape(name)}</th>' for name in heads)}</tr>" if heads else ""
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table>{head}{body}</table>"
