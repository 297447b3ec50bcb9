"""What a caller asks for beside a score: the custom attributes of a request.

``reasons=4,policy=1a2b3c``: up to four reasons of each score, and the version of the decision policy that the caller
will apply, which is written back into the answer. Data capture records the answer, so that one line of it holds the
score, the reasons, the model and the policy of a decision on every SageMaker. Attributes of others are left alone.
"""

import re
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field

from ml_platform.modeling.codec import RequestError

MAX_ASKED: Final = 16
"""Reasons that one answer may hold; more explain nothing to a person."""

_POLICY: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Asked(BaseModel):
    """What one request asks for."""

    model_config = ConfigDict(frozen=True)

    reasons: int = Field(default=0, ge=0, le=MAX_ASKED, description="Most reasons per score.")
    policy: str = Field(default="", description="Version of the decision policy that will decide.")

    @property
    def recorded(self) -> bool:
        """Whether the answer says more than score and flag."""
        return bool(self.reasons or self.policy)

    @classmethod
    def read(cls, attributes: str) -> Self:
        """Read the attributes of a request.

        Raises:
            RequestError: When one of ours cannot be used.
        """
        pairs = (part.partition("=") for part in re.split(r"[,;]", attributes))
        given = {name.strip(): value.strip() for name, _, value in pairs}
        reasons, policy = given.get("reasons", "0"), given.get("policy", "")
        if not (reasons.isascii() and reasons.isdigit() and len(reasons) < len("999") and int(reasons) <= MAX_ASKED):
            raise RequestError(f"reasons={reasons[:20]!r} must be a whole number up to {MAX_ASKED}")
        if policy and not _POLICY.fullmatch(policy):
            raise RequestError(f"policy={policy[:20]!r} must be up to 64 letters, digits, dots and hyphens")
        return cls(reasons=int(reasons), policy=policy)

    def written(self) -> str:
        """Return the attributes that ask for this."""
        parts = {"reasons": str(self.reasons or ""), "policy": self.policy}
        return ",".join(f"{name}={value}" for name, value in parts.items() if value)


NOTHING: Final = Asked()
