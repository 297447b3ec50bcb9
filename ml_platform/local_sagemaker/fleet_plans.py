"""What serves an endpoint config, as values: variants, their containers, weights and sizes.

A plan is kept with its endpoint, so that the servers can be started again from it and from the archives on this machine
alone. Running one is ``fleets``' business.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any

from ml_platform.local_sagemaker.containers_setup import Limits
from ml_platform.local_sagemaker.model_servers import Container


@dataclass(frozen=True)
class VariantPlan:
    """What one variant runs; a shadow variant gets copies of requests, and its answers reach nobody."""

    name: str
    container: Container
    weight: float = 1.0
    instances: int = 1
    shadow: bool = False
    instance_type: str | None = None
    serverless: dict[str, Any] | None = None
    """The ``ServerlessConfig``, where there is one."""


@dataclass(frozen=True)
class FleetPlan:
    """Everything that is needed to serve an endpoint config, in values that JSON can hold."""

    identity: str
    config: str
    variants: tuple[VariantPlan, ...]
    capture: dict[str, Any] | None = None
    asynchronous: dict[str, Any] | None = None
    """The ``AsyncInferenceConfig``, where there is one."""

    @property
    def production(self) -> tuple[VariantPlan, ...]:
        """The variants that answer callers."""
        return tuple(variant for variant in self.variants if not variant.shadow)

    @property
    def shadows(self) -> tuple[VariantPlan, ...]:
        """The variants that get copies."""
        return tuple(variant for variant in self.variants if variant.shadow)

    def as_json(self) -> dict[str, Any]:
        """Return the plan as a JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> "FleetPlan":
        """Read what ``as_json`` returned."""
        variants = tuple(
            VariantPlan(**{**variant, "container": _container(variant["container"])}) for variant in body["variants"]
        )
        return cls(**{**body, "variants": variants})

    def with_variant(
        self,
        name: str,
        *,
        weight: float | None = None,
        instances: int | None = None,
        serverless: dict[str, Any] | None = None,
    ) -> "FleetPlan":
        """Return the plan with another weight, number of instances or serverless config of one variant."""
        changes: dict[str, Any] = {"weight": weight, "instances": instances, "serverless": serverless}
        given = {member: value for member, value in changes.items() if value is not None}
        variants = (replace(plan, **given) if plan.name == name else plan for plan in self.variants)
        return replace(self, variants=tuple(variants))

    def with_capture(self, capture: dict[str, Any] | None) -> "FleetPlan":
        """Return the plan with another data capture configuration."""
        return replace(self, capture=capture)


def _container(body: dict[str, Any]) -> Container:
    return Container(**{**body, "limits": Limits(**body.get("limits", {}))})
