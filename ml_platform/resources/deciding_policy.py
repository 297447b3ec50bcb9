"""The decision policy in force, held against what an endpoint serves. Fitting one is ``payment_decisions``."""

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ml_platform.aws.model_packages import ModelPackage
from ml_platform.aws.objects import ObjectNotFoundError, ObjectStore
from ml_platform.core import names
from ml_platform.modeling.decision_policy import DecisionPolicy
from ml_platform.registry.lookup import FINGERPRINT


class DecidingPolicy(BaseModel):
    """Which policy decides, and whether it was fitted for the version that is served."""

    model_config = ConfigDict(frozen=True)

    version: str | None = Field(description="None: what is in force cannot be read by this version of the platform.")
    fits: bool
    said: str


def deciding_policy(store: ObjectStore, model: str, serves: ModelPackage | None) -> DecidingPolicy | None:
    """Return the policy in force, or None before the first one.

    Args:
        store: The bucket.
        model: Whose decisions.
        serves: The package that is live; None: none of the registry, which no policy fits.
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
    fits = serves is not None and serves.properties.get(FINGERPRINT) == policy.artifact_fingerprint
    whose = f"version {serves.version}'s" if serves and fits else "another model's"
    said = f"{policy.version}, fitted on {whose} scores"
    return DecidingPolicy(version=policy.version, fits=fits, said=said if fits else f"{said}: {again}")
