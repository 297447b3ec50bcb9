"""Who lives in the simulated world: customers, terminals, who can reach what, and who is compromised on a day.

What they do on a day is ``simulator``.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ml_platform.ingestion.simulator_parameters import SimulatorParameters

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

# The book's world, for which the rates of compromised terminals and customers were published.
_BOOK_TERMINALS = 10_000
_BOOK_CUSTOMERS = 5_000
# Distances are computed for so many customers at a time: the book's world would need 50 million at once.
_CUSTOMERS_AT_ONCE = 500

# One random stream per purpose: a change to one part of the process leaves the draws of the others alone.
_WORLD_STREAM, DAY_STREAM, _TERMINAL_STREAM, _CUSTOMER_STREAM, REPORTER_STREAM = range(5)


@dataclass(frozen=True, slots=True)
class World:
    """Customers and the terminals within their reach.

    ``reachable[first_reachable[c] : first_reachable[c] + reachable_count[c]]`` are the terminals of customer ``c``.
    """

    mean_amount: Floats
    mean_daily_transactions: Floats
    reachable: Integers
    first_reachable: Integers
    reachable_count: Integers


def generator(parameters: SimulatorParameters, stream: int, index: int = 0) -> np.random.Generator:
    """Return the random numbers of one purpose on one day; no other day's draws can move them."""
    return np.random.default_rng([parameters.seed % 2**63, stream, index])


@lru_cache(maxsize=8)
def build_world(parameters: SimulatorParameters) -> World:
    """Draw the customers and terminals of a world; the same parameters give the same world."""
    draw = generator(parameters, _WORLD_STREAM)
    customers = draw.uniform(0, parameters.grid, (parameters.customers, 2))
    terminals = draw.uniform(0, parameters.grid, (parameters.terminals, 2))
    mean_amount = draw.uniform(parameters.mean_amount_low, parameters.mean_amount_high, parameters.customers)
    daily = draw.uniform(0, parameters.max_daily_transactions, parameters.customers)
    reachable, count = _within(customers, terminals, parameters.radius)
    return World(mean_amount, daily, reachable, np.cumsum(count) - count, count)


def _within(customers: Floats, terminals: Floats, radius: float) -> tuple[Integers, Integers]:
    """Return the terminals within the radius, customer after customer, and how many each has."""
    reachable, counts = [], []
    for start in range(0, len(customers), _CUSTOMERS_AT_ONCE):
        block = customers[start : start + _CUSTOMERS_AT_ONCE]
        near = ((block[:, None, :] - terminals[None, :, :]) ** 2).sum(axis=2) < radius**2
        reachable.append(np.nonzero(near)[1])
        counts.append(near.sum(axis=1))
    return np.concatenate(reachable).astype(np.int64), np.concatenate(counts).astype(np.int64)


def compromised_terminals(parameters: SimulatorParameters, day_index: int) -> Integers:
    """Return the terminals at which every transaction of the day is fraud: the draws of the last 28 days."""
    rate = parameters.terminals_compromised_per_day * parameters.terminals / _BOOK_TERMINALS
    return _union(
        parameters, _TERMINAL_STREAM, day_index, parameters.terminal_compromised_days, rate, parameters.terminals
    )


def compromised_customers(parameters: SimulatorParameters, day_index: int) -> Integers:
    """Return the customers whose card is being misused on the day: the draws of the last 14 days."""
    rate = parameters.customers_compromised_per_day * parameters.customers / _BOOK_CUSTOMERS
    return _union(
        parameters, _CUSTOMER_STREAM, day_index, parameters.customer_compromised_days, rate, parameters.customers
    )


def _union(
    parameters: SimulatorParameters, stream: int, day_index: int, window: int, rate: float, population: int
) -> Integers:
    """Return all that were drawn on the days of the window that ends with ``day_index``."""
    # The index of a draw is never negative: draws go on before day 0, the first one `window` days earlier.
    draws = [_draw(parameters, stream, index, rate, population) for index in range(day_index, day_index + window)]
    return np.unique(np.concatenate(draws))


@lru_cache(maxsize=4096)
def _draw(parameters: SimulatorParameters, stream: int, index: int, rate: float, population: int) -> Integers:
    """Draw who is compromised from one day on: the rate's whole part, and one more with its fraction's chance."""
    draw = generator(parameters, stream, index)
    count = int(rate) + int(draw.random() < rate % 1)
    return draw.choice(population, min(count, population), replace=False).astype(np.int64)
