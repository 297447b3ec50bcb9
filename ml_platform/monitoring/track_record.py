"""The track record: which packages' served scores were found to hold, and when last.

Pure. It is the evidence for a rollback: a package that never held should not be live, and only one that did is worth
going back to. Judging one window is ``performance``; drawing the consequence is ``decision``.
"""

from datetime import datetime
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from ml_platform.monitoring.performance import PerformanceReport


class TrackRecord(BaseModel):
    """What earlier performance reports said about the packages of one model."""

    model_config = ConfigDict(frozen=True)

    held_at: dict[str, datetime] = Field(
        default_factory=dict, description="Package ARN to the newest judgement on which its performance held."
    )

    def with_report(self, report: PerformanceReport) -> Self:
        """Return the record with one more report. Only a report on enough labels says anything."""
        if not held(report):
            return self
        return self.model_copy(update={"held_at": {**self.held_at, report.package_arn: report.as_of}})

    def held_before(self, package_arn: str) -> bool:
        """Whether this package's performance ever held."""
        return package_arn in self.held_at

    def another_held(self, package_arn: str) -> bool:
        """Whether the performance of any other package ever held."""
        return any(arn != package_arn for arn in self.held_at)


def held(report: PerformanceReport) -> bool:
    """Whether a report shows, on enough labels, that the ranking is as good as the gate's evidence promised."""
    lower = report.ranking_fell or report.ranking_unsure
    return report.judged and report.average_precision_loss is not None and not lower
