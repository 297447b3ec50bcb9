"""Score a transaction through the live endpoint, under an inference id that ties the decision to its label later."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from ml_platform.aws import endpoints
from ml_platform.core.errors import EndpointError, FeatureError
from ml_platform.core.fingerprint import fingerprint_bytes
from ml_platform.core.settings import Settings
from ml_platform.modeling.asked import Asked
from ml_platform.modeling.codec import RequestError, encode_instances
from ml_platform.modeling.contract import JSON
from ml_platform.modeling.decision_policy import DecisionPolicy
from ml_platform.modeling.money import Action
from ml_platform.modeling.reasons import Reason
from ml_platform.scoring.policy_in_force import PolicyInForce

# What SageMaker takes as an inference id; the transaction id is used as it is whenever it fits.
_INFERENCE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:=+@/-]{0,63}")


class Score(BaseModel):
    """One decision: the model's score, whether it is above the model's threshold, and what the policy makes of it."""

    model_config = ConfigDict(frozen=True)

    transaction_id: str
    inference_id: str
    score: float
    flagged: bool
    endpoint: str
    variant: str
    fingerprint: str | None = Field(default=None, description="The artifact that answered, when it said so.")
    reasons: tuple[Reason, ...] | None = Field(
        default=None, description="What raised the score, strongest first; None: not asked, or the model gives none."
    )
    action: str | None = Field(default=None, description="approve, review or decline; None: no policy decides yet.")
    policy_version: str | None = None
    policy_fits: bool | None = Field(
        default=None, description="Whether the policy was fitted on this artifact's scores; None: unknown."
    )


class Prediction(BaseModel):
    """One prediction of an endpoint's answer."""

    model_config = ConfigDict(frozen=True)

    score: float
    flagged: bool
    fingerprint: str | None = None
    reasons: tuple[Reason, ...] | None = None


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
    reasons: int = 0
    """Most reasons to ask for; see ``bench/reasons.py`` for what one costs."""
    policy: PolicyInForce | None = None
    """Decides about each score, and is recorded with it; needs the feature ``amount``."""

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
        # Before the request, which carries its version: data capture then records by what the score was decided.
        policy = self.policy.current() if self.policy else None
        asked = Asked(reasons=self.reasons, policy=policy.version if policy else "")
        answer = endpoints.invoke(self.settings.region, self.endpoint, body, JSON, identity, JSON, asked.written())
        prediction = read_prediction(self.endpoint, answer.body)
        return Score(
            transaction_id=transaction_id,
            inference_id=identity,
            **prediction.model_dump(),
            endpoint=self.endpoint,
            variant=answer.variant,
            action=decide(policy, prediction.score, features.get("amount")),
            policy_version=policy.version if policy else None,
            policy_fits=_fits(policy, prediction.fingerprint),
        )


def decide(policy: DecisionPolicy | None, score: float, amount: float | None) -> str | None:
    """Return what a policy makes of one score, in lower case; None without a policy or an amount."""
    if policy is None or amount is None:
        return None
    import numpy as np

    return Action(int(policy.decide(np.array([score]), np.array([amount]))[0])).name.lower()


def _fits(policy: DecisionPolicy | None, fingerprint: str | None) -> bool | None:
    return None if policy is None or fingerprint is None else policy.artifact_fingerprint == fingerprint


def read_prediction(endpoint: str, body: bytes) -> Prediction:
    """Return what an endpoint answered to one transaction.

    Raises:
        EndpointError: When the answer is anything but one prediction.
    """
    try:
        (prediction,) = json.loads(body)["predictions"]
        return Prediction.model_validate(prediction)
    # Pydantic's error is a ValueError too.
    except (ValueError, KeyError, TypeError) as error:
        raise EndpointError(
            f"Endpoint {endpoint} answered one transaction with {body[:200]!r}, not with one prediction. "
            "Check which image serves it."
        ) from error
