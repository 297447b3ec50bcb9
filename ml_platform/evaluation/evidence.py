"""What the promotion gate leaves behind: the figures it saw and every reason it found, in one document."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from ml_platform.core.fingerprint import fingerprint_json
from ml_platform.core.verdict import Verdict
from ml_platform.evaluation.comparison import Comparison
from ml_platform.evaluation.leakage import LeakageReport
from ml_platform.evaluation.report import EvaluationReport
from ml_platform.modeling.score_stability import ScoreAgreement
from ml_platform.modeling.serving_cost import ServingCost

SEAL = "seal"
"""Under this name the seal is in the metadata of the run that judged."""


class PromotionEvidence(BaseModel):
    """The gate's evidence on one candidate. A candidate is registered only on evidence of its own that passed."""

    model_config = ConfigDict(frozen=True)

    model: str
    candidate_fingerprint: str
    artifact_uri: str
    training_job: str
    challenger: EvaluationReport
    champion: EvaluationReport | None = Field(description="The live model on the same rows; None before the first.")
    champion_version: int | None = None
    comparison: Comparison | None = Field(default=None, description="Both models row by row, with intervals.")
    agreement: ScoreAgreement | None = Field(default=None, description="How far both models rank the rows alike.")
    leakage: LeakageReport | None = Field(default=None, description="What the leakage probes found.")
    explained_by: str = Field(default="", description="How single decisions are explained; empty: they are not.")
    serving: ServingCost | None = Field(default=None, description="What the candidate costs to serve.")
    policies: dict[str, str] = Field(default={}, description="Fingerprints of what judged: name to fingerprint.")
    intervals: dict[str, tuple[float, float]] = Field(
        default={}, description="Of the challenger's own figures, at 90 % by bootstrap of cards."
    )
    failures: tuple[str, ...] = Field(description="Every reason against promotion; empty means passed.")
    decided_at: datetime

    @property
    def verdict(self) -> Verdict:
        """The gate's verdict."""
        return Verdict(self.failures)

    @property
    def seal(self) -> str:
        """The fingerprint of everything it says. It is kept apart from the document, to tell when that was changed."""
        return fingerprint_json(self.model_dump(mode="json"))

    def figures(self) -> dict[str, float]:
        """What is known of both models' figures, the champion's under names of their own."""
        return {
            f"{prefix}{name}": figure
            for prefix, report in (("", self.challenger), ("champion_", self.champion))
            if report is not None
            for name, figure in report.figures.items()
        }
