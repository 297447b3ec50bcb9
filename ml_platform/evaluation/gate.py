"""The promotion gate: what a challenger must show before it may replace the champion.

Pure. Every reason against is listed with its numbers. Computing the figures is ``report``, the differences and their
intervals ``comparison``; whether an approved package is rolled out, and how, is ``deployment``.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ml_platform.core.verdict import Verdict
from ml_platform.evaluation.comparison import Comparison, Difference, SliceDifference
from ml_platform.evaluation.leakage import LeakagePolicy, LeakageReport
from ml_platform.evaluation.report import EvaluationReport
from ml_platform.modeling.declared_metrics import METRICS
from ml_platform.modeling.serving_cost import ServingCost


class GatePolicy(BaseModel):
    """Thresholds a challenger must meet. The floors hold for a first model too; loosening one is a decision."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_positives: int = Field(
        default=30, ge=1, description="Positives the holdout must hold; with fewer the figures are noise."
    )
    min_labelled_rate: float = Field(
        default=0.9,
        ge=0,
        le=1,
        description="Share of each holdout day's payments whose label must be known: the day has matured.",
    )
    limits: dict[str, float] = Field(
        default={"average_precision": 0.10, "roc_auc": 0.75, "card_precision_at_100": 0.02, "calibration_error": 0.05},
        description="By metric: a floor, or a ceiling where smaller is better. Chance level of average precision is "
        "the rate of positives, below 0.01 for fraud; of ROC AUC it is 0.5. Card precision is at most the number of "
        "compromised cards in a day / 100, so its floor differs by size. Given whole: a metric left out has no limit.",
    )
    headline: str = Field(default="average_precision", description="The metric in which a gain is required.")
    required_gain: float | None = Field(
        default=0.007,
        ge=0,
        le=1,
        description="Gain in the headline over the champion that is worth a rollout; in average precision two seeds of "
        "one fit differ by more in 5 % of the weeks of 1,000 cards. null: a challenger need only be established as no "
        "worse.",
    )
    max_chance_of_no_gain: float = Field(
        default=0.08,
        gt=0,
        lt=1,
        description="Share of the draws in which a challenger with that gain may be no better all the same. ADR 0012 "
        "has the rates of false promotions and of missed ones by level.",
    )
    max_losses: dict[str, float] = Field(
        default={"average_precision": 0.02, "roc_auc": 0.04, "card_precision_at_100": 0.03},
        description="By metric: loss against the champion that must be ruled out at 90 %; of the headline, when no "
        "gain is required. Given whole: a metric left out may lose anything.",
    )
    max_cost_increase_per_1000: float | None = Field(
        default=None,
        ge=0,
        description="Rise of the cost of 1,000 payments, in their currency, to be ruled out at 90 %; null: any.",
    )
    max_slice_recall_loss: float = Field(
        default=0.02, ge=0, le=1, description="Loss of recall on a slice that is accepted even when established."
    )
    slice_false_discovery_rate: float = Field(
        default=0.10,
        gt=0,
        lt=1,
        description="Share of false alarms among slices that are called worse (Benjamini and Hochberg).",
    )
    max_p95_latency_ms: float | None = Field(
        default=50.0,
        gt=0,
        description="Ceiling of a single row's latency in the serving container, on loopback; null: not measured.",
    )
    max_artifact_megabytes: float = Field(default=200.0, gt=0, description="Ceiling of model.tar.gz.")
    leakage: LeakagePolicy = Field(default=LeakagePolicy(), description="Limits of the leakage probes.")
    min_slice_positives: int = Field(
        default=20, ge=1, description="Positives with which a slice can be judged; smaller ones are listed."
    )

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that it judges by."""
        headline = () if self.required_gain is None else (self.headline,)
        return tuple(dict.fromkeys((*self.limits, *headline, *self.max_losses)))

    @model_validator(mode="after")
    def _thresholds_are_of_metrics(self) -> Self:
        if unknown := [name for name in (self.headline, *self.metrics) if name not in METRICS]:
            raise ValueError(f"there is no metric {unknown[0]}; there are {', '.join(METRICS)}")
        for name, value in (*self.limits.items(), *self.max_losses.items()):
            if not 0 <= value <= METRICS[name].most:
                raise ValueError(f"{name}: a threshold lies between 0 and {METRICS[name].most:g}, not at {value}")
        return self


def decide(
    challenger: EvaluationReport,
    champion: EvaluationReport | None,
    policy: GatePolicy,
    candidate_fingerprint: str,
    comparison: Comparison | None = None,
    leakage: LeakageReport | None = None,
    serving: ServingCost | None = None,
    labelled_by_day: Mapping[date, float] | None = None,
) -> Verdict:
    """Judge a challenger; with no champion yet, the floors alone decide.

    Args:
        challenger: The candidate's report.
        champion: The champion's report on the same holdout, or None before the first promotion.
        policy: The thresholds.
        candidate_fingerprint: Fingerprint of the artifact that would be promoted: an older report is refused.
        comparison: Both models row by row; without it a challenger cannot replace a champion.
        leakage: What the probes found; a candidate that was not probed is not promoted.
        serving: What it costs to serve; unknown counts against, unless the policy asks for no latency.
        labelled_by_day: Share of each holdout day's payments whose label is known; unknown counts against.
    """
    return Verdict.of(
        [
            *_wrong_report(challenger, candidate_fingerprint),
            *_immature(labelled_by_day, policy),
            *_below_floors(challenger, policy),
            *(_against_champion(challenger, champion, policy, comparison) if champion is not None else ()),
            *(leakage.verdict(policy.leakage).failures if leakage else ("leakage was not probed",)),
            *_too_dear_to_serve(serving, policy, candidate_fingerprint),
        ]
    )


def _wrong_report(challenger: EvaluationReport, candidate_fingerprint: str) -> Iterator[str]:
    if challenger.role != "challenger":
        yield f"the report is about the {challenger.role}, not about a challenger"
    if challenger.fingerprint != candidate_fingerprint:
        yield (
            f"the report is about {challenger.fingerprint[:12]}, but the candidate is {candidate_fingerprint[:12]}: "
            "evaluate the candidate again"
        )


def _immature(labelled_by_day: Mapping[date, float] | None, policy: GatePolicy) -> Iterator[str]:
    """Frauds are not reported as fast as the rest: figures of a day without its labels say nothing about the model."""
    if not labelled_by_day:
        yield "how many of the holdout's labels are known was not measured: build the training set again"
        return
    late = {day: share for day, share in labelled_by_day.items() if not share >= policy.min_labelled_rate}
    if late:
        worst = min(late, key=lambda day: (late[day], day))
        yield (
            f"labels of {len(late)} of the holdout's {len(labelled_by_day)} days have not matured: on {worst} "
            f"{late[worst]:.0%} of the payments have one < {policy.min_labelled_rate:.0%}"
        )


def _below_floors(report: EvaluationReport, policy: GatePolicy) -> Iterator[str]:
    if report.positives < policy.min_positives:
        yield f"positives in the holdout {report.positives} < {policy.min_positives}: too few to judge"
    for name, limit in policy.limits.items():
        value, higher = report.figure(name), METRICS[name].better == "higher"
        if value is None:
            yield f"{_spoken(name)} unavailable: {report.why_unknown(name)}"
        elif value < limit if higher else value > limit:
            yield f"{_spoken(name)} {value:.4f} {'<' if higher else '>'} {limit:.4f}"


def _too_dear_to_serve(serving: ServingCost | None, policy: GatePolicy, candidate_fingerprint: str) -> Iterator[str]:
    if serving is None:
        if policy.max_p95_latency_ms is not None:
            yield "latency in the serving container was not measured"
        return
    if serving.artifact_fingerprint != candidate_fingerprint:
        yield f"the serving container measured {serving.artifact_fingerprint[:12]}, not this candidate"
    limit = policy.max_p95_latency_ms
    if limit is not None and serving.p95_latency_ms > limit:
        yield f"p95 latency in the serving container {serving.p95_latency_ms:.1f} ms > {limit:.1f} ms"
    megabytes = serving.artifact_bytes / 1e6
    if megabytes > policy.max_artifact_megabytes:
        yield f"artifact of {megabytes:.1f} MB > {policy.max_artifact_megabytes:.1f} MB"


def _against_champion(
    challenger: EvaluationReport, champion: EvaluationReport, policy: GatePolicy, comparison: Comparison | None
) -> Iterator[str]:
    if different := tuple(_different_rows(challenger, champion)):
        # A gain measured on other rows is no gain, so the comparison itself would mislead.
        yield from different
    elif comparison is None:
        # What is wrong with the challenger is among the floors' reasons; this is about the champion.
        broken = champion.figure(policy.headline) is None and champion.why_unknown(policy.headline)
        yield f"the champion was not compared row by row: {broken or 'evaluate the candidate again'}"
    else:
        yield from _not_better(comparison, policy)
        yield from _worse_slices(comparison.slices, policy)


def _not_better(comparison: Comparison, policy: GatePolicy) -> Iterator[str]:
    limits = dict(policy.max_losses)
    if policy.required_gain is not None:
        limits.pop(policy.headline, None)
        yield from _no_gain(comparison.metric(policy.headline), policy)
    if policy.max_cost_increase_per_1000 is not None:
        limits["cost_per_1000"] = policy.max_cost_increase_per_1000
    for name, most in limits.items():
        found = comparison.metric(name)
        if found is None or not math.isfinite(found.low):
            yield f"{_spoken(name)} against the champion's is unknown"
        elif found.low < -most:
            yield f"{_told(found)}, a loss of {most:.4f} is possible"


def _no_gain(found: Difference | None, policy: GatePolicy) -> Iterator[str]:
    """A gain must be worth a rollout, and chance must not explain it: neither alone keeps luck out."""
    if found is None or found.no_better_p is None or not math.isfinite(found.low):
        yield f"{_spoken(policy.headline)} against the champion's is unknown"
    elif policy.required_gain is not None and not found.difference >= policy.required_gain:
        yield f"{_told(found)}, a gain of {policy.required_gain:.4f} is required"
    elif found.no_better_p > policy.max_chance_of_no_gain:
        yield f"{_told(found)}, no gain in {found.no_better_p:.1%} of the draws > {policy.max_chance_of_no_gain:.1%}"


def _told(found: Difference) -> str:
    return (
        f"{_spoken(found.metric)} {abs(found.challenger):.4f} against the champion's {abs(found.champion):.4f}: "
        f"{found.difference:+.4f} [{found.low:+.4f}, {found.high:+.4f}]"
    )


def _worse_slices(slices: Sequence[SliceDifference], policy: GatePolicy) -> Iterator[str]:
    """Slices whose recall is worse beyond chance: Benjamini and Hochberg (1995), step up over all slices judged."""
    ordered = sorted(slices, key=lambda found: found.worse_p)
    discovered = 0
    for rank, found in enumerate(ordered, start=1):
        if found.worse_p <= policy.slice_false_discovery_rate * rank / len(ordered):
            discovered = rank
    for found in ordered[:discovered]:
        if -found.difference > policy.max_slice_recall_loss:
            yield (
                f"recall on slice {found.slice} {found.challenger:.3f} against the champion's {found.champion:.3f} "
                f"({found.positives} positives): {found.difference:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"
            )


def _different_rows(challenger: EvaluationReport, champion: EvaluationReport) -> Iterator[str]:
    if champion.role != "champion":
        yield f"the report beside it is about the {champion.role}, not about the champion: not comparable"
    for field in ("model", "training_set_fingerprint", "window", "rows", "positives"):
        ours, theirs = getattr(challenger, field), getattr(champion, field)
        if ours != theirs:
            yield f"{_spoken(field)} differs: challenger {_shown(ours)}, champion {_shown(theirs)}: not comparable"


def _spoken(name: str) -> str:
    if name == "cost_per_1000":
        return "cost of 1,000 payments"
    return METRICS[name].spoken if name in METRICS else name.replace("_", " ")


def _shown(value: object) -> str:
    return " to ".join(str(part) for part in value) if isinstance(value, tuple) else str(value)
