"""The decision policy in force, held against what an endpoint serves. Fitting one is ``payment_decisions``."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ml_platform.aws.model_packages import ModelPackage
from ml_platform.aws.objects import ObjectNotFoundError, ObjectStore
from ml_platform.core import names
from ml_platform.core.fingerprint import fingerprint_json
from ml_platform.modeling.decision_policy import DecisionPolicy
from ml_platform.registry.lookup import FINGERPRINT


class DecidingPolicy(BaseModel):
    """Which policy decides, and whether it was fitted for the version that is served."""

    model_config = ConfigDict(frozen=True)

    version: str | None = Field(description="None: what is in force cannot be read by this version of the platform.")
    fits: bool
    said: str


MONEY = "decision policy"
"""Under this name the declared policies have the fingerprint of the business's figures."""


def deciding_policy(
    store: ObjectStore, model: str, serves: ModelPackage | None, declared: Mapping[str, str] | None = None
) -> DecidingPolicy | None:
    """Return the policy in force, or None before the first one.

    Args:
        store: The bucket.
        model: Whose decisions.
        serves: The package that is live; None: none of the registry, which no policy fits.
        declared: Fingerprints of the policies declared now; None: they are not compared.
    """
    again = f"materialize {model}/decision_policy"
    try:
        policy = DecisionPolicy.model_validate_json(store.get(names.decision_policy_in_force(model)))
    except ObjectNotFoundError:
        return None
    except ValidationError:
        return DecidingPolicy(
            version=None, fits=False, said=f"the policy in force is none of this platform version: {again}"
        )
    own = serves is not None and serves.properties.get(FINGERPRINT) == policy.artifact_fingerprint
    money = declared is None or declared.get(MONEY) == fingerprint_json(policy.money.model_dump(mode="json"))
    whose = f"version {serves.version}'s" if serves and own else "another model's"
    said = f"{policy.version}, fitted on {whose} scores{'' if money else ' with other figures of the business'}"
    fits = own and money
    return DecidingPolicy(version=policy.version, fits=fits, said=said if fits else f"{said}: {again}")
