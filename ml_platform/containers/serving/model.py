"""The served model: request bytes in, response bytes out. No HTTP here."""

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from ml_platform.core.errors import ArtifactError
from ml_platform.modeling.artifact import Artifact, load_artifact
from ml_platform.modeling.codec import decode_matrix, encode_instances, encode_response
from ml_platform.modeling.contract import JSON

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

    def answer(self, body: bytes, content_type: str, accept: str) -> tuple[bytes, str]:
        """Score a request body; return the response body and its content type.

        Raises:
            RequestError: When the request cannot be answered; its ``status`` is the HTTP status.
        """
        pipeline = self.artifact.pipeline
        matrix = decode_matrix(body, content_type, pipeline.signature)
        return encode_response(pipeline.score_matrix(matrix), pipeline.threshold, accept)

    def _warm_up(self) -> None:
        pipeline = self.artifact.pipeline
        self.answer(encode_instances([dict.fromkeys(pipeline.signature.features, 0.0)]), JSON, JSON)
        # All features missing is the extreme that every model must survive.
        score = pipeline.score_matrix(np.full((1, len(pipeline.signature.features)), np.nan))[0]
        if not 0 <= score <= 1:
            raise ArtifactError(f"The model scores an empty row with {score}, which is no probability.")
