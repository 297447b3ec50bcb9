"""How many instances a target tracking policy asks for."""

import pytest

from ml_platform.local_sagemaker.autoscaling.tracking import wanted


@pytest.mark.parametrize(
    ("per_instance", "instances", "count"),
    [
        ([None] * 12 + [30.0, 25.0, 25.0], 2, 5),
        ([30.0, 9.0, 30.0], 2, 2),
        ([30.0, None, 30.0], 2, 2),
        ([2.0] * 15, 5, 1),
        ([2.0] * 14 + [9.5], 5, 5),
        ([2.0] * 14, 5, 5),
        ([None] + [2.0] * 14, 5, 5),
        ([0.0] * 15, 5, 0),
    ],
)
def test_it_scales_out_on_three_minutes_and_in_on_fifteen(
    per_instance: list[float | None], instances: int, count: int
) -> None:
    assert wanted(per_instance, instances, 10.0) == count


def test_it_does_not_scale_in_when_told_not_to() -> None:
    assert wanted([2.0] * 15, 5, 10.0, scale_in=False) == 5
