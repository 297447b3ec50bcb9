"""The served model: request bytes in, response bytes out. No HTTP here."""

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from ml_platform.core.errors import ArtifactError
from ml_platform.modeling.artifact import Artifact, load_artifact
from ml_platform.modeling.asked import NOTHING, Asked
from ml_platform.modeling.codec import decode_matrix, encode_instances, encode_response
from ml_platform.modeling.contract import JSON
from ml_platform.modeling.reasons import contributions_of, strongest

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ServedModel:
    """An artifact that has proved that it can answer."""

    artifact: Artifact

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Load and verify the artifact, then send one row the whole way through it.

        Raises:
            ArtifactError: When the artifact cannot be used or scores the row with something that is no probability.
        """
        started = time.perf_counter()
        served = cls(load_artifact(directory))
        served._warm_up()
        features = len(served.artifact.pipeline.signature.features)
        _log.info(
            "model %s with %d features ready after %.2f s",
            served.artifact.fingerprint,
            features,
            time.perf_counter() - started,
        )
        return served

    def answer(self, body: bytes, content_type: str, accept: str, asked: Asked = NOTHING) -> tuple[bytes, str]:
        """Score a request body; return the response body and its content type.

        Args:
            body: Rows of features.
            content_type: Form of the body.
            accept: Forms that the caller takes.
            asked: What the caller wants beside scores.

        Raises:
            RequestError: When the request cannot be answered; its ``status`` is the HTTP status.
        """
        pipeline = self.artifact.pipeline
        matrix = decode_matrix(body, content_type, pipeline.signature)
        beside = self._beside(matrix, asked) if asked.recorded else None
        return encode_response(pipeline.score_matrix(matrix), pipeline.threshold, accept, beside)

    def _beside(self, matrix: np.ndarray, asked: Asked) -> list[dict[str, Any]]:
        """What makes an answer a record of its own: the model, the policy it is decided by, and the reasons."""
        said = {"fingerprint": self.artifact.fingerprint, **({"policy": asked.policy} if asked.policy else {})}
        features = self.artifact.pipeline.signature.features
        found = contributions_of(self.artifact.pipeline, matrix) if asked.reasons else None
        if found is None:
            return [said] * len(matrix)
        positions, values = strongest(found, len(features), most=asked.reasons)
        return [
            said
            | {
                "reasons": [
                    {"feature": features[at], "contribution": by} for at, by in zip(*row, strict=True) if by > 0
                ]
            }
            for row in zip(positions.tolist(), values.tolist(), strict=True)
        ]

    def _warm_up(self) -> None:
        pipeline = self.artifact.pipeline
        body = encode_instances([dict.fromkeys(pipeline.signature.features, 0.0)])
        # With reasons: the first that is asked for must not wait for what LightGBM sets up.
        self.answer(body, JSON, JSON, Asked(reasons=1))
        # All features missing is the extreme that every model must survive.
        score = pipeline.score_matrix(np.full((1, len(pipeline.signature.features)), np.nan))[0]
        if not 0 <= score <= 1:
            raise ArtifactError(f"The model scores an empty row with {score}, which is no probability.")
