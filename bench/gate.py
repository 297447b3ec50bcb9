"""Does the promotion gate decide rightly? ``make bench-gate``.

Draws hundreds of holdouts from a large scored week and asks the product's own gate, with its default policy, about a
challenger that is equal to the champion, one that is truly better, and one that is worse on one slice. Then times the
comparison on a million rows. Leakage, serving cost and the maturity of labels are given as passed: each could only add
a reason against, so that the shares of promotions are upper bounds, and what is missed or stopped is the comparison's.
"""

import argparse
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime

import numpy as np
import pandas as pd

from bench.gate_world import Population, population
from bench.report import Measure, conclude
from ml_platform.cli.console import progress
from ml_platform.evaluation.comparison import compare
from ml_platform.evaluation.gate import GatePolicy, decide
from ml_platform.evaluation.leakage import LeakageReport
from ml_platform.evaluation.report import EvaluationReport, evaluate
from ml_platform.evaluation.slices import PAYMENT_SLICES

DEMO_CARDS = 1000
SLICE_CARDS = 8000
GAIN, SLICE_LOSS = 0.02, 0.05
FRAUD_RATE = 0.008
NO_LEAKAGE = LeakageReport(chance=0.008, model=0.6, shuffled=0.008, shifted=0.008, features={})
HURT = "amount 20 to 100"
POLICY = GatePolicy(max_p95_latency_ms=None)
MATURED = {date(2026, 1, 1): 1.0}


@dataclass(frozen=True, slots=True)
class Scenario:
    """One truth, many holdouts."""

    name: str
    cards: int
    """Cards in each holdout, drawn with replacement from the population."""
    challenger: np.ndarray
    champion: np.ndarray
    swap: bool = False
    """Let chance decide who is the challenger, so that both are equal in truth whatever the population says."""


def main() -> int:
    """Run the scenarios and report."""
    arguments = argparse.ArgumentParser(prog="python -m bench.gate", description=__doc__)
    arguments.add_argument("--quick", action="store_true", help="100 draws instead of 400")
    draws = 100 if arguments.parse_args().quick else 400
    progress("Simulating payments and fitting two models")
    world = population(SLICE_CARDS)
    better = world.worse_by(GAIN)
    scenarios = (
        Scenario("equal", DEMO_CARDS, world.first, world.second, swap=True),
        Scenario("equal, noisy", DEMO_CARDS, better, world.worse_by(GAIN, of="second"), swap=True),
        Scenario("better", DEMO_CARDS, world.second, better),
        Scenario("slice", SLICE_CARDS, _hurt(world), world.first),
    )
    found = {}
    for scenario in scenarios:
        progress(f"{draws} holdouts: {scenario.name}")
        found[scenario.name] = _decisions(world.holdout, scenario, draws)
    promoted = {name: float(np.mean([not reasons for reasons in verdicts])) for name, verdicts in found.items()}
    caught = float(np.mean([any(f"slice {HURT} " in reason for reason in reasons) for reasons in found["slice"]]))
    seconds, cpu = _speed()
    positives = int(world.holdout["label"].sum())
    measures = [
        Measure("promoted though equal", 100 * promoted["equal"], None, "%", 5.0),
        Measure("promoted though equal, errors independent", 100 * promoted["equal, noisy"], None, "%"),
        Measure(f"stopped though better by {GAIN} AP", 100 * (1 - promoted["better"]), None, "%", 20.0),
        Measure(f"slice loss of {SLICE_LOSS} recall missed", 100 * (1 - caught), None, "%", 10.0),
        Measure("1 M rows, 500 draws, both models", seconds, None, "s", 20.0),
    ]
    notes = [
        f"holdouts of {DEMO_CARDS} cards and 7 days hold about {positives * DEMO_CARDS / SLICE_CARDS:.0f} frauds;"
        f" the slice is judged on {SLICE_CARDS} cards and {positives} frauds",
        "equal: two fits that differ by their seed; errors independent: two models to which as much noise was added as "
        f"costs {GAIN} AP, the worst case, nominally {100 * POLICY.max_chance_of_no_gain:g} %",
        "stubbed as passed: leakage probes, serving cost, maturity of labels; they could only add reasons against",
        "floors are judged once, on the whole population",
        f"the comparison of a million rows took {cpu:.1f} CPU s",
        *(f"{name}: {_reasons(verdicts)}" for name, verdicts in found.items()),
    ]
    return conclude("gate", measures, notes, {"draws": draws, "population_rows": len(world.holdout)})


def _hurt(world: Population) -> np.ndarray:
    """The first model, but blind to one in so many frauds of a slice that its recall falls by ``SLICE_LOSS``."""
    holdout = world.holdout
    members = next(rows for cut in PAYMENT_SLICES for name, rows in cut.cut(holdout) if name == HURT)
    frauds = np.flatnonzero(members & (holdout["label"] == 1).to_numpy())
    genuine = np.sort(world.first[(holdout["label"] == 0).to_numpy()])
    flagged = frauds[world.first[frauds] > genuine[int(0.99 * len(genuine))]]
    lost = np.random.default_rng(3).choice(flagged, round(SLICE_LOSS * len(frauds)), replace=False)
    # Better everywhere else, so that only the slice can stop it.
    scores = world.second.copy()
    scores[lost] = genuine[len(genuine) // 2]
    return scores


def _decisions(holdout: pd.DataFrame, scenario: Scenario, draws: int) -> list[tuple[str, ...]]:
    with ProcessPoolExecutor(2, initializer=_share, initargs=(holdout, scenario)) as pool:
        return list(pool.map(_decide, range(draws), chunksize=5))


_shared: tuple[pd.DataFrame, Scenario, list[np.ndarray], list[EvaluationReport]]


def _share(holdout: pd.DataFrame, scenario: Scenario) -> None:
    """Keep what all draws of a worker process need."""
    global _shared  # noqa: PLW0603  # a pool's worker has no other place
    number = pd.factorize(holdout["customer_id"])[0]
    order = np.argsort(number, kind="stable")
    rows = np.split(order, np.cumsum(np.bincount(number))[:-1])
    # The floors lie far below these models, so that they are judged once, by the figures of the whole population.
    reports = [
        evaluate(
            holdout,
            scores,
            model="card_fraud",
            role=role,  # type: ignore[arg-type]
            fingerprint=role,
            training_set_fingerprint="bench",
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
        )
        for role, scores in (("challenger", scenario.challenger), ("champion", scenario.champion))
    ]
    compared = {"label", "customer_id", "event_time", *(cut.column for cut in PAYMENT_SLICES)}
    _shared = (holdout[[name for name in holdout.columns if name in compared]], scenario, rows, reports)


def _decide(seed: int) -> tuple[str, ...]:
    holdout, scenario, rows_of_card, reports = _shared
    random = np.random.default_rng([seed, scenario.cards])
    cards = random.integers(0, len(rows_of_card), scenario.cards)
    rows = np.concatenate([rows_of_card[card] for card in cards])
    # A card that is drawn twice is two cards.
    drawn = holdout.iloc[rows].assign(
        customer_id=np.repeat(np.arange(len(cards)), [len(rows_of_card[c]) for c in cards])
    )
    challenger, champion = scenario.challenger[rows], scenario.champion[rows]
    if scenario.swap and random.integers(2):
        challenger, champion = champion, challenger
    comparison = compare(drawn, challenger, champion, seed=seed)
    return decide(reports[0], reports[1], POLICY, "challenger", comparison, NO_LEAKAGE, None, MATURED).failures


def _reasons(verdicts: list[tuple[str, ...]]) -> str:
    """How often each kind of reason was given."""
    counted = Counter(reason.split(" 0.")[0] for reasons in verdicts for reason in reasons)
    return ", ".join(f"{reason} {count}" for reason, count in counted.most_common(6)) or "no reason against"


def _speed() -> tuple[float, float]:
    """Wall and CPU seconds of one comparison of a million scored rows."""
    random = np.random.default_rng(0)
    rows = 1_000_000
    labels = random.binomial(1, FRAUD_RATE, rows)
    signal = random.normal(labels * 2.2, 1)
    first, second = (1 / (1 + np.exp(3 - signal - random.normal(0, 0.1, rows))) for _ in range(2))
    holdout = pd.DataFrame(
        {
            "label": labels,
            "customer_id": random.integers(0, 50_000, rows).astype(str),
            "event_time": pd.Timestamp("2026-01-01", tz="UTC")
            + pd.to_timedelta(random.integers(0, 7 * 86_400, rows), unit="s"),
            "amount": random.gamma(2, 40, rows),
        }
    )
    wall, cpu = time.monotonic(), time.process_time()
    compare(holdout, first, second)
    return time.monotonic() - wall, time.process_time() - cpu


if __name__ == "__main__":
    raise SystemExit(main())
