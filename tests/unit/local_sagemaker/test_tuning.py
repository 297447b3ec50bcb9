"""What a tuning job decides without any service: values from ranges, the next point, and when a job is hopeless."""

import random
from typing import Any

import pytest

from ml_platform.local_sagemaker.tuning.ranges import Point, read_space
from ml_platform.local_sagemaker.tuning.stopping import is_hopeless
from ml_platform.local_sagemaker.tuning.strategies import next_point


def interval(low: str, high: str, scale: str = "Linear") -> dict[str, Any]:
    return {"Name": "x", "MinValue": low, "MaxValue": high, "ScalingType": scale}


def middle(kind: str, low: str, high: str, scale: str) -> float:
    return float(read_space({f"{kind}ParameterRanges": [interval(low, high, scale)]}).values_at((0.5,))["x"])


@pytest.mark.parametrize(
    ("low", "high", "scale", "expected"),
    [
        ("0", "10", "Linear", 5.0),
        ("0.0001", "1", "Logarithmic", 0.01),
        ("0", "0.9999", "ReverseLogarithmic", 0.99),
        ("-4", "4", "Auto", 0.0),
    ],
)
def test_the_middle_of_a_range_follows_its_scale(low: str, high: str, scale: str, expected: float) -> None:
    assert middle("Continuous", low, high, scale) == pytest.approx(expected)


def test_whole_numbers_have_equal_shares_and_keep_their_bounds() -> None:
    space = read_space({"IntegerParameterRanges": [interval("1", "4")]})
    seen = [space.values_at((position / 400,))["x"] for position in range(400)]
    assert [seen.count(value) for value in ("1", "2", "3", "4")] == [100, 100, 100, 100]
    wide = read_space({"IntegerParameterRanges": [interval("1", "1000", "Logarithmic")]})
    assert (wide.values_at((0.0,))["x"], wide.values_at((0.999999,))["x"]) == ("1", "1000")


def test_chance_repeats_with_its_seed_and_avoids_what_was_tried() -> None:
    space = read_space({"CategoricalParameterRanges": [{"Name": "x", "Values": list("abcdef")}]})
    tried: dict[Point, float | None] = {}
    for number in range(1, 7):
        point = next_point("Random", space, tried, number, "seed")
        assert point == next_point("Random", space, tried, number, "seed")
        assert point is not None
        tried[point] = None
    assert len({space.values_at(point)["x"] for point in tried}) == 6


def test_expected_improvement_leads_to_the_top_of_a_hill() -> None:
    space = read_space({"ContinuousParameterRanges": [interval("0", "1")]})

    def best_after(strategy: str, seed: str) -> float:
        results: dict[Point, float | None] = {}
        for number in range(1, 9):
            point = next_point(strategy, space, results, number, seed)
            assert point is not None
            results[point] = -((point[0] - 0.37) ** 2)
        return max(value for value in results.values() if value is not None)

    seeds = [str(seed) for seed in range(2)]
    assert all(best_after("Bayesian", seed) > -0.002 for seed in seeds)
    assert sum(best_after("Bayesian", seed) for seed in seeds) > sum(best_after("Random", seed) for seed in seeds)


def test_a_job_is_hopeless_below_the_median_of_the_others_at_the_same_step() -> None:
    others = [[0.1, 0.5], [0.2, 0.6], [0.3, 0.7]]
    assert not is_hopeless([0.25], others)
    assert is_hopeless([0.15], others)
    assert not is_hopeless([0.15, 0.41], others)
    assert is_hopeless([0.9, 0.39], others)


@pytest.mark.parametrize(("series", "others"), [([], [[1.0]] * 3), ([0.0], [[1.0]] * 2), ([0.0, 0.0], [[1.0]] * 3)])
def test_without_enough_to_compare_with_no_job_is_hopeless(series: list[float], others: list[list[float]]) -> None:
    assert not is_hopeless(series, others)


def test_every_position_gives_a_value_within_its_range() -> None:
    rng = random.Random(1)  # noqa: S311 - no secrets
    for scale, low, high in (
        ("Linear", "-3", "8"),
        ("Logarithmic", "0.001", "7"),
        ("ReverseLogarithmic", "0.2", "0.9"),
    ):
        space = read_space({"ContinuousParameterRanges": [interval(low, high, scale)]})
        assert all(float(low) <= float(space.values_at((rng.random(),))["x"]) <= float(high) for _ in range(200))
