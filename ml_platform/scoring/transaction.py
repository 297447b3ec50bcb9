"""Score a transaction through the live endpoint, under an inference id that ties the decision to its label later."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from ml_platform.aws import endpoints
from ml_platform.core.errors import EndpointError, FeatureError
from ml_platform.core.fingerprint import fingerprint_bytes
from ml_platform.core.settings import Settings
from ml_platform.modeling.codec import RequestError, encode_instances
from ml_platform.modeling.contract import JSON

# What SageMaker takes as an inference id; the transaction id is used as it is whenever it fits.
_INFERENCE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:=+@/-]{0,63}")


class Score(BaseModel):
    """One decision: the model's score and whether it is above the model's threshold."""

    model_config = ConfigDict(frozen=True)

    transaction_id: str
    inference_id: str
    score: float
    flagged: bool
    endpoint: str
    variant: str


def inference_id(transaction_id: str) -> str:
    """Return the inference id of a transaction: its own id, or a hash of one that SageMaker would refuse."""
    if _INFERENCE_ID.fullmatch(transaction_id):
        return transaction_id
    return fingerprint_bytes(transaction_id.encode())


@dataclass(frozen=True, slots=True)
class Scorer:
    """Scores transactions through one endpoint; connections are pooled, so threads may share it."""

    settings: Settings
    endpoint: str

    def score(self, features: Mapping[str, float | None], transaction_id: str) -> Score:
        """Return the score of one transaction.

        Args:
            features: Every feature the model wants, by name; None where a value is missing.
            transaction_id: Ties the captured decision to its label.

        Raises:
            FeatureError: When a value is not a finite number.
            EndpointError: When the endpoint is absent, or the model refuses the features.
            ServiceUnavailableError: When the endpoint does not answer now.
        """
        identity = inference_id(transaction_id)
        try:
            body = encode_instances([features])
        except RequestError as error:
            raise FeatureError(f"Transaction {transaction_id} cannot be scored: {error}.") from error
        answer = endpoints.invoke(self.settings.region, self.endpoint, body, JSON, identity, JSON)
        score, flagged = read_prediction(self.endpoint, answer.body)
        return Score(
            transaction_id=transaction_id,
            inference_id=identity,
            score=score,
            flagged=flagged,
            endpoint=self.endpoint,
            variant=answer.variant,
        )


def score_transaction(
    settings: Settings, endpoint: str, features: Mapping[str, float | None], transaction_id: str
) -> Score:
    """Return the score of one transaction; raises like ``Scorer.score``."""
    return Scorer(settings, endpoint).score(features, transaction_id)


def read_prediction(endpoint: str, body: bytes) -> tuple[float, bool]:
    """Return score and flag of an endpoint's answer to one transaction.

    Raises:
        EndpointError: When the answer is anything but one prediction.
    """
    try:
        (prediction,) = json.loads(body)["predictions"]
        return float(prediction["score"]), bool(prediction["flagged"])
    except (ValueError, KeyError, TypeError) as error:
        raise EndpointError(
            f"Endpoint {endpoint} answered one transaction with {body[:200]!r}, not with one prediction. "
            "Check which image serves it."
        ) from error
