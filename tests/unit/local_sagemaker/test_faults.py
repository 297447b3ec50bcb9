"""Faults: they happen as often as asked, to whom they are meant for, and outlive the process."""

from pathlib import Path
from typing import Any

import pytest

from ml_platform.local_sagemaker.faults import FaultError, Faults


def test_a_fault_happens_as_often_as_it_was_added_for() -> None:
    faults = Faults()
    faults.add("throttling", "Create*", times=2)
    assert faults.take("throttling", "DescribeModel") is None
    assert faults.take("throttling", "CreateModel") == {}
    assert faults.take("throttling", "CreateEndpoint") == {}
    assert faults.take("throttling", "CreateModel") is None
    assert faults.list() == []


def test_a_fault_without_times_stays_until_it_is_removed() -> None:
    faults = Faults()
    identity = faults.add("error-response", "fraud", None, {"status": 503})
    faults.add("capacity")
    assert [faults.take("error-response", "fraud/config-2/primary") for _ in range(3)] == [{"status": 503}] * 3
    assert faults.take("error-response", "fraud-2/config-2/primary") is None
    assert faults.clear(identity) == 1
    assert faults.take("error-response", "fraud/config-2/primary") is None
    assert (faults.clear(), faults.clear()) == (1, 0)


def test_a_share_of_the_occasions_goes_wrong() -> None:
    faults = Faults()
    faults.add("error-response", "*", None, {"share": 0.5})
    taken = sum(faults.take("error-response", "any") is not None for _ in range(1000))
    assert 400 < taken < 600


def test_faults_and_what_is_left_of_them_survive_a_restart(tmp_path: Path) -> None:
    before = Faults(tmp_path / "faults.sqlite")
    before.add("slow-start", "job-*", 3, {"seconds": 5})
    before.take("slow-start", "job-1")
    after = Faults(tmp_path / "faults.sqlite")
    assert [(fault.kind, fault.times, fault.parameters) for fault in after.list()] == [
        ("slow-start", 2, {"seconds": 5})
    ]


@pytest.mark.parametrize(
    ("fault", "complaint"),
    [
        ("throttling", "an object with a `kind`"),
        ({"kind": "earthquake"}, "There are: throttling"),
        ({"kind": "capacity", "times": 0}, "above 0"),
        ({"kind": "capacity", "times": True}, "above 0"),
        ({"kind": "capacity", "target": ""}, "pattern"),
        ({"kind": "capacity", "when": "now"}, "no member 'when'"),
        ({"kind": "capacity", "parameters": [1]}, "is an object"),
        ({"kind": "capacity", "parameters": {"seconds": 1}}, "no parameter 'seconds'"),
        ({"kind": "slow-response", "parameters": {"seconds": "1"}}, "number from 0 to 3600"),
        ({"kind": "error-response", "parameters": {"status": 200}}, "number from 400"),
        ({"kind": "error-response", "parameters": {"share": 2}}, "number from 0 to 1"),
    ],
)
def test_what_is_no_fault_is_refused_and_nothing_of_its_list_is_kept(fault: Any, complaint: str) -> None:
    faults = Faults()
    with pytest.raises(FaultError, match=complaint):
        faults.add_all([{"kind": "capacity"}, fault])
    assert faults.list() == []
