"""Names of jobs: valid, the same for the same inputs, and never the same for others."""

import re

import pytest

from ml_platform.resources.pipes.names import job_name

LONG = "a_very_long_asset_name_that_goes_on_and_on"


@pytest.mark.parametrize(
    ("path", "partition"),
    [
        (["shop", "model"], None),
        (["shop", "model"], "2026-01-05"),
        (["shop", "model"], "2026-01-05...2026-01-09"),
        (["shop", "model"], "2026-01-05|eu west"),
        ([LONG, LONG], "x" * 300),
        (["__", "größe"], "!"),
        (["_"], None),
    ],
)
def test_every_name_is_one_that_sagemaker_accepts(path: list[str], partition: str | None) -> None:
    name = job_name(path, partition, "f" * 64)
    assert re.fullmatch(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", name)
    assert name == job_name(path, partition, "f" * 64)


def test_what_is_made_can_be_read_in_the_name() -> None:
    assert job_name(["shop", "model"], "2026-01-05", "f").startswith("shop-model-2026-01-05-")


def test_asset_partition_and_inputs_each_make_another_name() -> None:
    names = {
        job_name(["shop", "model"], None, "f"),
        job_name(["shop", "model"], None, "g"),
        job_name(["shop", "model"], "a", "f"),
        job_name(["shop_model"], None, "f"),
        job_name(["shop-model"], None, "f"),
        job_name(["shop", LONG * 2], "a", "f"),
        job_name(["shop", LONG * 2], "b", "f"),
    }
    assert len(names) == 7
