"""moto's own SageMaker tests, in server mode against the stand-in: a net that others knotted.

It is no yardstick: moto invents results and checks little. What is left out, and why, is in ``deselected.toml``;
what moto sends and AWS refuses, in ``repairs.toml``.
"""

from collections import Counter

import pytest

from tests.foreign.moto.net import deselected, run
from tests.foreign.moto.source import repairs

KINDS = {"refused", "invented", "internal", "absent", "gap"}
GOAL = 0.95


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What became of each of moto's tests."""
    left_out = [test for tests in deselected().values() for test in tests]
    return run(tmp_path_factory.mktemp("moto"), left_out)


@pytest.mark.timeout(280)
def test_what_is_not_left_out_passes(outcomes: dict[str, str]) -> None:
    fine = {"passed", "skipped", "left out"}
    assert {test: outcome for test, outcome in outcomes.items() if outcome not in fine} == {}


def test_what_aws_would_accept_passes_but_for_a_twentieth(outcomes: dict[str, str]) -> None:
    passed = Counter(outcomes.values())["passed"]
    assert passed > 80
    assert passed / (passed + len(deselected()["gap"])) >= GOAL


def test_what_is_left_out_is_there_and_has_one_reason(outcomes: dict[str, str]) -> None:
    left_out = deselected()
    assert left_out.keys() == KINDS
    tests = [test for kind in left_out.values() for test in kind]
    assert len(tests) == len({*tests})
    assert {test for test, outcome in outcomes.items() if outcome == "left out"} == {*tests}
    assert all(reason.strip() for kind in left_out.values() for reason in kind.values())


def test_each_repair_says_what_aws_refuses() -> None:
    assert all(repair.why and repair.find != repair.replace for repair in repairs())
