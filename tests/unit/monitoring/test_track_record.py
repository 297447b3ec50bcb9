"""A track record remembers which packages held, and only reports on enough labels enter it."""

from datetime import timedelta

import pytest

from ml_platform.monitoring.performance import PerformanceReport
from ml_platform.monitoring.track_record import TrackRecord
from tests.unit.monitoring.builders import NOW, PACKAGE, a_performance_report, too_early

OTHER = "arn:aws:sagemaker:us-east-1:000000000000:model-package/card-fraud/2"


def test_a_package_whose_performance_held_is_remembered() -> None:
    record = TrackRecord().with_report(a_performance_report())
    assert record.held_before(PACKAGE)
    assert not record.held_before(OTHER)
    assert record.another_held(OTHER)
    assert not record.another_held(PACKAGE)


def test_the_newest_judgement_is_kept() -> None:
    later = NOW + timedelta(days=1)
    record = TrackRecord().with_report(a_performance_report()).with_report(a_performance_report(as_of=later))
    assert record.held_at == {PACKAGE: later}


@pytest.mark.parametrize(
    "report",
    [
        too_early(),
        a_performance_report(ranking_fell=True, failures=("average precision fell",)),
        a_performance_report(ranking_unsure=True, failures=("may be chance",)),
        a_performance_report(reference_average_precision=None),
    ],
)
def test_what_did_not_hold_or_is_unknown_does_not_enter(report: PerformanceReport) -> None:
    assert TrackRecord().with_report(report) == TrackRecord()


def test_a_miscalibrated_package_still_ranks_and_so_held() -> None:
    report = a_performance_report(miscalibrated=True, failures=("calibration error 0.09 > 0.05",))
    assert TrackRecord().with_report(report).held_before(PACKAGE)


def test_a_record_survives_json_unchanged() -> None:
    record = TrackRecord().with_report(a_performance_report())
    assert TrackRecord.model_validate_json(record.model_dump_json()) == record
