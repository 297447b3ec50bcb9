"""Which point a tuning job tries next: at random, in a grid, or where a model of the objective expects most. Pure."""

import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from ml_platform.local_sagemaker.tuning.ranges import Point, Space

Results = Mapping[Point, float | None]
"""What was tried so far and how good it is, higher is better; None: not known yet, or never will be."""
# Before the model has seen a few results it knows less than chance.
FIRST_AT_RANDOM = 3
CANDIDATES = 400
ATTEMPTS = 50


def random_point(space: Space, rng: random.Random, tried: Sequence[Point]) -> Point:
    """Return a point whose values were not tried yet, if one is found."""
    return next(_random_points(space, rng, tried))


def _random_points(space: Space, rng: random.Random, tried: Sequence[Point]) -> Iterator[Point]:
    known = [space.values_at(point) for point in tried]
    while True:
        for _ in range(ATTEMPTS):
            point = tuple(rng.random() for _ in space.parameters)
            if space.values_at(point) not in known:
                break
        yield point


def bayesian_point(space: Space, rng: random.Random, results: Results) -> Point:
    """Return the candidate with the largest expected improvement under a Gaussian process."""
    seen = {point: value for point, value in results.items() if value is not None}
    if len(seen) < FIRST_AT_RANDOM:
        return random_point(space, rng, list(results))
    import numpy as np
    from scipy.stats import norm
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import Matern

    candidates = list(islice(_random_points(space, rng, list(results)), CANDIDATES))
    # What still runs counts as average, so that parallel jobs do not all go to the same place.
    average = sum(seen.values()) / len(seen)
    values = np.array([average if value is None else value for value in results.values()])
    # A fixed length scale: a handful of results cannot tell a better one, and fitting would warn about it.
    model = GaussianProcessRegressor(Matern(0.3, "fixed", nu=2.5), alpha=1e-4, normalize_y=True)
    model.fit([space.coordinates(point) for point in results], values)
    mean, deviation = model.predict([space.coordinates(point) for point in candidates], return_std=True)
    gain = mean - max(seen.values())
    deviation = np.maximum(deviation, 1e-12)
    improvement = gain * norm.cdf(gain / deviation) + deviation * norm.pdf(gain / deviation)
    return candidates[int(np.argmax(improvement))]


def next_point(strategy: str, space: Space, results: Results, number: int, seed: str) -> Point | None:
    """Return the point of a tuning job's next training job; None when a grid is exhausted.

    Args:
        strategy: ``Random``, ``Grid``, ``Bayesian`` or ``Hyperband``, which tries at random and stops early.
        space: What is searched.
        results: What was tried, in order.
        number: Which training job this is, from 1. With the seed it decides what chance brings.
        seed: The tuning job's own.
    """
    if strategy == "Grid":
        grid = space.grid()
        return grid[number - 1] if number <= len(grid) else None
    rng = random.Random(f"{seed}/{number}")  # noqa: S311 - not for secrets; must be the same after a restart
    if strategy in ("Random", "Hyperband"):
        return random_point(space, rng, list(results))
    return bayesian_point(space, rng, results)
