"""What a tuning job decides without any service: values from ranges, the next point, and when a job is hopeless."""

import random
from typing import Any

import pytest

from ml_platform.local_sagemaker.tuning.ranges import Point, read_space
from ml_platform.local_sagemaker.tuning.stopping import is_hopeless, is_outdone, levels
from ml_platform.local_sagemaker.tuning.strategies import next_point
from ml_platform.local_sagemaker.tuning.warm_start import standardised


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


def test_levels_lie_three_times_apart_below_the_most() -> None:
    assert levels(1, 27) == [1, 3, 9]
    assert levels(2, 100) == [2, 6, 18, 54]


@pytest.mark.parametrize(
    ("series", "others", "outdone"),
    [
        ([0.9], [[0.1], [0.2]], False),
        ([0.15], [[0.1], [0.2]], True),
        ([0.15], [[0.2]], False),
        ([0.9, 0.0], [[0.1], [0.2]], False),
        ([0.9, 0.5, 0.3], [[0.1, 0.1, 0.4], [0.2, 0.2, 0.5]], True),
        ([0.9, 0.5, 0.6], [[0.1, 0.1, 0.4], [0.2, 0.2, 0.5]], False),
        ([0.5], [[0.6], [0.1], [0.2], [0.3], [0.4]], False),
        ([], [[1.0]] * 9, False),
        ([1.0] * 10, [], True),
    ],
    ids=[
        "best",
        "second of three",
        "too few",
        "between levels",
        "fell back",
        "caught up",
        "in the best third",
        "silent",
        "done",
    ],
)
def test_of_the_jobs_at_a_level_the_best_third_goes_on(
    series: list[float],
    others: list[list[float]],
    outdone: bool,  # noqa: FBT001
) -> None:
    assert is_outdone(series, others, 1, 10) is outdone


def test_no_job_is_outdone_before_the_least_resource() -> None:
    assert not is_outdone([0.0, 0.0], [[1.0] * 3] * 5, 3, 10)
    assert is_outdone([0.0, 0.0, 0.0], [[1.0] * 3] * 5, 3, 10)


@pytest.mark.parametrize("scale", ["Linear", "Logarithmic", "ReverseLogarithmic"])
def test_a_value_leads_back_to_its_position(scale: str) -> None:
    space = read_space(
        {
            "ContinuousParameterRanges": [interval("0.1", "0.9", scale)],
            "IntegerParameterRanges": [{"Name": "n", "MinValue": "1", "MaxValue": "8"}],
            "CategoricalParameterRanges": [{"Name": "kind", "Values": ["a", "b", "c"]}],
        }
    )
    for point in ((0.0, 0.3, 0.1), (0.5, 0.99, 0.5), (0.999, 0.0, 0.9)):
        values = space.values_at((point[1], point[0], point[2]))
        back = space.point_of(values)
        assert back is not None
        again = space.values_at(back)
        assert float(again.pop("x")) == pytest.approx(float(values.pop("x")))
        assert again == values
        assert all(0 <= position < 1 for position in back)


@pytest.mark.parametrize("values", [{}, {"x": "2"}, {"x": "many"}])
def test_what_lies_outside_of_the_space_has_no_point(values: dict[str, str]) -> None:
    assert read_space({"ContinuousParameterRanges": [interval("0", "1")]}).point_of(values) is None


def test_results_on_other_data_are_compared_by_their_deviation() -> None:
    told = standardised({(0.1,): 10.0, (0.2,): 30.0, (0.3,): None})
    assert told == {(0.1,): -1.0, (0.2,): 1.0, (0.3,): None}
    assert standardised({(0.1,): 5.0}) == {(0.1,): 0.0}
