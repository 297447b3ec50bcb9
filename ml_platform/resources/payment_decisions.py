"""Decision policies: fitted on what the live model says of the newest payments, kept by version."""

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from ml_platform.core import names
from ml_platform.core.errors import EndpointError
from ml_platform.modeling.decision_policy import DecisionPolicy
from ml_platform.resources.artifacts import load_model
from ml_platform.resources.platform import PlatformResource

if TYPE_CHECKING:
    import polars as pl

    from ml_platform.modeling.decision_policy import Matured
    from ml_platform.modeling.money import MoneyParameters

MANIFEST = "decision_policy"


class FittedPolicy(BaseModel):
    """A policy and what it would have done with the payments it was fitted on."""

    model_config = ConfigDict(frozen=True)

    policy: DecisionPolicy
    package_version: int
    rows: int
    shares: dict[str, float] = Field(description="Share of the payments that each action takes.")
    expected_cost_per_1000: float = Field(description="By the model's own probabilities, in the payments' currency.")
    address: str


class PaymentDecisions(PlatformResource):
    """Fits decision policies and keeps every version."""

    def fit(
        self,
        model: str,
        payments: "pl.DataFrame",
        features: "pl.DataFrame",
        money: "MoneyParameters",
        matured: "Matured | None" = None,
    ) -> FittedPolicy:
        """Fit a policy for the live package, and make it the one that decides.

        Args:
            model: Name of the model.
            payments: ``transaction_id``, ``event_time`` and ``amount``.
            features: ``transaction_id`` and the model's features of the same payments.
            money: The business's figures.
            matured: Scores that the live package served, with their labels, once there are enough of them.

        Raises:
            EndpointError: When nothing is live.
        """
        import numpy as np

        from ml_platform.modeling.money import Action
        from ml_platform.registry import lookup

        live = lookup.live_package(self.settings.region, names.endpoint(model))
        if live is None:
            raise EndpointError(f"Nothing serves {model}, so there is nothing to decide by. Deploy a package first.")
        artifact = load_model(self.store, live.package.artifact_uri)
        frame = payments.select("transaction_id", "event_time", _amount="amount").join(features, on="transaction_id")
        scores, amounts = artifact.pipeline.score(frame.to_pandas()), frame["_amount"].to_numpy()
        policy = DecisionPolicy.fit(
            scores,
            amounts,
            frame["event_time"].dt.date().to_numpy(),
            model=model,
            artifact_fingerprint=artifact.fingerprint,
            money=money,
            window=(frame["event_time"].min(), frame["event_time"].max()),  # type: ignore[arg-type]  # of a Datetime column
            matured=matured,
        )
        actions = policy.decide(scores, amounts)
        content = policy.model_dump_json(indent=2).encode()
        address = self.store.put(names.decision_policy(model, policy.version), content, "application/json")
        # After the version itself: what scorers read must be found again by its version.
        self.store.put(names.decision_policy_in_force(model), content, "application/json")
        fitted = FittedPolicy(
            policy=policy,
            package_version=live.package.version,
            rows=frame.height,
            shares={action.name.lower(): float(np.mean(actions == action)) for action in Action},
            expected_cost_per_1000=1000 * float(policy.expected_cost(scores, amounts).mean()),
            address=address,
        )
        self.manifests(model).write(MANIFEST, fitted)
        return fitted
