"""A simulator of card payments and their fraud labels, any day of which can be generated alone.

After the process published in: Y.-A. Le Borgne, W. Siblini, B. Lebichot, G. Bontempi, "Reproducible Machine
Learning for Credit Card Fraud Detection - Practical Handbook", Université Libre de Bruxelles, 2022, chapter
"Transaction data simulator". Written anew from that description; ``SimulatorParameters`` holds its values.

The process. Customers and terminals live on a grid; a customer pays at terminals nearby, Poisson many times a
day, at times around noon, with amounts around an own mean. Fraud comes in three scenarios, the later one named
when several apply:

1. every amount above 220 is fraud: a pattern that anything should find;
2. two terminals a day are compromised: for 28 days all their transactions are fraud;
3. three customers' cards a day leak: for 14 days a third of their transactions is fraud, five times as large.

Deviations from the book, all so that a day depends on nothing but the seed and its own index:

- every day has its own random numbers; the book draws a customer's whole history at once;
- scenario 3 decides for each transaction by chance; the book samples exactly a third over the 14 days;
- terminals and customers are compromised from before day 0, so that the fraud rate is the same from the first
  day on; the book's rises over its first four weeks;
- numbers of compromised terminals and customers scale with the size of the world;
- amounts of scenario 3 are rounded to cents like all others.

Added: a price shift. From ``shift_day`` on all amounts and scenario 1's threshold are ``shift_factor`` higher,
with everything else unchanged, draw for draw: amounts that meant fraud before the shift are genuine after it.

Labels. A fraud is reported after a gamma-distributed delay. What nobody has disputed after ``maturity_days`` is
presumed genuine: it gets label 0 then. A fraud that is reported later corrects that by a second label. Every label
names its source: the card's owner who looks at the account, an analyst who looks at alerts, the bank's chargeback,
which takes the longest; and ``presumed``. Who reports is drawn apart: it moves nothing else.
"""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl

from ml_platform.ingestion.simulated_world import (
    DAY_STREAM,
    REPORTER_STREAM,
    Floats,
    Integers,
    World,
    build_world,
    compromised_customers,
    compromised_terminals,
    generator,
)
from ml_platform.ingestion.simulator_parameters import SimulatorParameters

_DAY_SECONDS = 86_400
_USUAL_REPORT_DAYS = 6.5

REPORTERS = ("chargeback", "analyst", "customer")
PRESUMED = "presumed"
"""Sources of labels. ``presumed``: nobody disputed the payment in time."""


def simulate_transactions(parameters: SimulatorParameters, start: date, first: date, last: date) -> pl.DataFrame:
    """Return the transactions of the days from ``first`` to ``last`` in a world whose day 0 is ``start``."""
    return _simulate_days(parameters, start, first, last).drop("scenario", "report_delay", "reporter")


def simulate_labels(parameters: SimulatorParameters, start: date, first: date, last: date) -> pl.DataFrame:
    """Return the labels that became known on the days from ``first`` to ``last``, in that order."""
    longest_days = int(np.ceil(max(parameters.report_delay_max_days, parameters.maturity_days)))
    events = _simulate_days(parameters, start, first - timedelta(days=longest_days), last)
    maturity = timedelta(days=parameters.maturity_days)
    fraud = pl.col("scenario") > 0
    presumed = events.filter(~fraud | (pl.col("report_delay") > maturity)).select(
        "transaction_id",
        pl.lit(0, pl.Int8).alias("label"),
        "event_time",
        (pl.col("event_time") + maturity).alias("known_time"),
        pl.lit(PRESUMED).alias("source"),
    )
    reported = events.filter(fraud).select(
        "transaction_id",
        pl.lit(1, pl.Int8).alias("label"),
        "event_time",
        (pl.col("event_time") + pl.col("report_delay")).alias("known_time"),
        pl.col("reporter").alias("source"),
    )
    labels = pl.concat([presumed, reported])
    return labels.filter(pl.col("known_time").dt.date().is_between(first, last)).sort("known_time", "transaction_id")


def simulate_day(parameters: SimulatorParameters, start: date, day: date) -> pl.DataFrame:
    """Return one day in time order: the transactions, each with its fraud scenario (0: genuine) and report delay."""
    day_index = (day - start).days
    world = build_world(parameters)
    draw = generator(parameters, DAY_STREAM, day_index)
    customer, seconds = _visits(parameters, world, draw)
    amount = _amounts(world, customer, draw) * parameters.price_level(day_index)
    pick = draw.integers(0, world.reachable_count[customer])
    terminal = world.reachable[world.first_reachable[customer] + pick]
    scenario, amount = _commit_fraud(parameters, day_index, customer, terminal, amount, draw)
    delay = _report_delays(parameters, len(customer), draw)
    reporters = _reporters(delay, generator(parameters, REPORTER_STREAM, day_index))
    return _as_frame(day, customer, terminal, seconds, amount, scenario, delay).with_columns(reporter=reporters)


def _visits(parameters: SimulatorParameters, world: World, draw: np.random.Generator) -> tuple[Integers, Integers]:
    """Return who pays and at which second of the day, in time order."""
    counts = draw.poisson(world.mean_daily_transactions)
    # A customer with no terminal in reach pays nowhere.
    customer = np.repeat(np.arange(len(counts)), np.where(world.reachable_count > 0, counts, 0))
    moment = draw.normal(parameters.time_of_day_mean_seconds, parameters.time_of_day_std_seconds, len(customer))
    # The book, too, drops what falls outside the day.
    inside = (moment > 0) & (moment < _DAY_SECONDS)
    customer, seconds = customer[inside], moment[inside].astype(np.int64)
    order = np.argsort(seconds, kind="stable")
    return customer[order], seconds[order]


def _amounts(world: World, customer: Integers, draw: np.random.Generator) -> Floats:
    """Return amounts around each customer's mean; a negative draw is drawn again, uniformly."""
    mean = world.mean_amount[customer]
    amount = draw.normal(mean, mean / 2)
    return np.where(amount < 0, draw.uniform(0, 2 * mean), amount)


def _commit_fraud(
    parameters: SimulatorParameters,
    day_index: int,
    customer: Integers,
    terminal: Integers,
    amount: Floats,
    draw: np.random.Generator,
) -> tuple[Integers, Floats]:
    """Return each transaction's scenario and what is paid, in cents."""
    amount = np.round(amount, 2)
    scenario = np.where(amount > parameters.large_amount * parameters.price_level(day_index), 1, 0)
    scenario[np.isin(terminal, compromised_terminals(parameters, day_index))] = 2
    misused = np.isin(customer, compromised_customers(parameters, day_index))
    misused &= draw.random(len(customer)) < parameters.customer_fraud_rate
    scenario[misused] = 3
    return scenario, np.where(misused, np.round(amount * parameters.customer_fraud_factor, 2), amount)


def _report_delays(parameters: SimulatorParameters, count: int, draw: np.random.Generator) -> Integers:
    """Return after how many seconds each transaction would be reported if it is fraud."""
    shape = parameters.report_delay_shape
    days = draw.gamma(shape, parameters.report_delay_mean_days / shape, count)
    clipped = np.clip(days, parameters.report_delay_min_days, parameters.report_delay_max_days)
    return (clipped * _DAY_SECONDS).astype(np.int64)


def _reporters(delays: Integers, draw: np.random.Generator) -> pl.Series:
    """Return who would report each transaction: the later a report comes, the likelier it is a chargeback."""
    waited = delays / _DAY_SECONDS / _USUAL_REPORT_DAYS
    likelihood = np.stack([waited**3, np.ones_like(waited), 0.6 / np.maximum(waited, 0.1)])
    reached = np.cumsum(likelihood / likelihood.sum(axis=0), axis=0)
    chosen = (draw.random(len(delays)) > reached).sum(axis=0)
    return pl.Series(values=[*REPORTERS], dtype=pl.String).gather(np.minimum(chosen, len(REPORTERS) - 1))


def _as_frame(
    day: date,
    customer: Integers,
    terminal: Integers,
    seconds: Integers,
    amount: Floats,
    scenario: Integers,
    delay: Integers,
) -> pl.DataFrame:
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    columns = {
        "number": np.arange(len(customer)),
        "customer": customer,
        "terminal": terminal,
        "seconds": seconds,
        "amount": amount,
        "scenario": scenario,
        "delay": delay,
    }
    return pl.DataFrame(columns).select(
        (pl.lit(f"{day:%Y%m%d}-") + pl.col("number").cast(pl.String).str.zfill(6)).alias("transaction_id"),
        (pl.lit(midnight, pl.Datetime("us", "UTC")) + pl.duration(seconds="seconds")).alias("event_time"),
        (pl.lit("C") + pl.col("customer").cast(pl.String).str.zfill(5)).alias("customer_id"),
        (pl.lit("T") + pl.col("terminal").cast(pl.String).str.zfill(5)).alias("terminal_id"),
        "amount",
        pl.col("scenario").cast(pl.Int8),
        pl.duration(seconds="delay").cast(pl.Duration("us")).alias("report_delay"),
    )


def _simulate_days(parameters: SimulatorParameters, start: date, first: date, last: date) -> pl.DataFrame:
    """Return whole days, one after the other; before ``start`` the world does nothing."""
    begin = max(first, start)
    days = [begin + timedelta(days=offset) for offset in range((last - begin).days + 1)]
    if not days:
        return simulate_day(parameters, start, start).clear()
    return pl.concat([simulate_day(parameters, start, day) for day in days])
