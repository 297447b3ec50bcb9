"""Why a version may be promoted, in sentences: what a reviewer reads between the verdict and the figures.

Each sentence is made of the dossier's facts; what is unknown is said, not left out.
"""

from collections.abc import Iterator

from ml_platform.modeling.cost_curve import CostCurve
from ml_platform.registry.card_plots import WARNING_PSI
from ml_platform.registry.dossier import CardFacts


def findings(facts: CardFacts) -> tuple[str, ...]:
    """Return what speaks for the version, and how sure that is."""
    return tuple(sentence for part in (_replaced, _money, _by_slice, _stable, _alike) for sentence in part(facts))


def _replaced(facts: CardFacts) -> Iterator[str]:
    if facts.replaces_version is None:
        yield "It is the first model: it kept every floor of the gate, and there was nothing to compare it with."
    else:
        yield f"It replaces version {facts.replaces_version}. {facts.replaces_because}"


def _money(facts: CardFacts) -> Iterator[str]:
    curve, before = facts.cost_curve, facts.champion_cost_curve
    if curve is None:
        yield "What its decisions cost is not known."
        return
    share = curve.savings / curve.doing_nothing if curve.doing_nothing else 0.0
    against = f" Version {facts.replaces_version} {_saves(before)}." if before else ""
    yield (
        f"Of 1,000 payments its decisions save {curve.savings:,.2f} of the {curve.doing_nothing:,.2f} that approving "
        f"everything would cost ({share:.0%}), at {curve.reviews_per_day[curve.chosen]:g} reviews a day.{against} "
        f"Source of the amounts: {curve.source}."
    )


def _saves(curve: CostCurve) -> str:
    if curve.savings < 0:
        return f"would cost {-curve.savings:,.2f} more than that"
    return f"would save {curve.savings:,.2f}"


def _by_slice(facts: CardFacts) -> Iterator[str]:
    if not facts.slices:
        yield "No slice had positives enough to be measured."
        return
    weakest = min(facts.slices, key=lambda found: found.recall)
    sure = (
        f" (90 % interval {weakest.recall_low:.2f} to {weakest.recall_high:.2f})"
        if weakest.recall_low is not None and weakest.recall_high is not None
        else ""
    )
    yield (
        f"It was measured on {len(facts.slices)} slices; it finds least on {weakest.name}: {weakest.recall:.2f} of "
        f"{weakest.positives} positives{sure}."
    )


def _stable(facts: CardFacts) -> Iterator[str]:
    if (found := facts.stability) is None:
        yield "Whether its scores are stable is not known."
        return
    worst = found.days[found.worst_day].psi
    stable = "keep" if max(worst, found.holdout.psi) < WARNING_PSI else "do not keep"
    yield (
        f"Its scores {stable} their distribution from the validation days to the holdout: stability index "
        f"{found.holdout.psi:.3f}, at worst {worst:.3f} on {found.worst_day} (below {WARNING_PSI} counts as stable)."
    )


def _alike(facts: CardFacts) -> Iterator[str]:
    if (found := facts.agreement) is None:
        return
    ranks = "unknown" if found.rank_correlation is None else f"{found.rank_correlation:.2f}"
    yield (
        f"It ranks payments like version {facts.replaces_version} with a correlation of {ranks}, and has "
        f"{found.top_overlap:.0%} of the most suspicious 1 % in common with it."
    )
