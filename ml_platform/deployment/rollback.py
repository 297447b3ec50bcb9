"""Going back to the version before: what the registry has to say for that, planned and then done.

Afterwards the newest approved version is the one to go back to, so the usual deployment brings it, on the usual path
(``rollout``). Every step may have been done before by an attempt that died half way.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ml_platform.aws import model_packages
from ml_platform.aws.model_packages import PENDING, REJECTED, ModelPackage
from ml_platform.core.errors import EndpointError


class NothingToRollBackToError(EndpointError):
    """A rollback cannot be: nothing was changed."""


@dataclass(frozen=True, slots=True)
class RollbackPlan:
    """Which version goes, which one comes back, and which are kept from coming instead."""

    leaves: ModelPackage
    returns: ModelPackage
    set_aside: tuple[ModelPackage, ...] = ()
    """Approved versions newer than the one that leaves. They would be deployed next, and nobody has seen them live."""


def plan_rollback(packages: Sequence[ModelPackage], live: ModelPackage | None, version: int | None) -> RollbackPlan:
    """Return how to go back from a version to the newest approved one before it.

    Args:
        packages: All of the model's packages.
        live: The one that is served now.
        version: The one to leave; None: the live one. A version that was rejected already is left again: an attempt
            that died before the endpoint moved is completed.

    Raises:
        NothingToRollBackToError: When there is no such version, it is not live, or none before it is approved.
    """
    if version is None and live is None:
        raise NothingToRollBackToError("There is no live endpoint, so there is nothing to roll back.")
    wanted = live.version if version is None and live else version
    leaves = next((package for package in packages if package.version == wanted), None)
    known = ", ".join(f"{package.version} ({package.status})" for package in packages) or "none"
    if leaves is None:
        raise NothingToRollBackToError(f"There is no version {wanted} to roll back. There are: {known}.")
    if (live is None or live.version != leaves.version) and leaves.status != REJECTED:
        raise NothingToRollBackToError(
            f"Version {leaves.version} is not live, {f'version {live.version}' if live else 'nothing'} is. Nothing was "
            f"changed. To keep version {leaves.version} from being deployed, reject it with `ml-platform approve "
            "--reject`."
        )
    before = [package for package in packages if package.approved and package.version < leaves.version]
    if not before:
        raise NothingToRollBackToError(
            f"No version before {leaves.version} is approved, so there is nothing to roll back to; version "
            f"{leaves.version} goes on serving. There are: {known}. Approve an earlier one, or train another."
        )
    newer = tuple(package for package in packages if package.approved and package.version > leaves.version)
    return RollbackPlan(leaves, max(before, key=lambda package: package.version), newer)


def apply_rollback(
    region: str, plan: RollbackPlan, *, by: str, reason: str, decided: Mapping[str, str] | None = None
) -> None:
    """Make the version to return the newest approved one; done twice, it changes nothing the second time.

    Newer versions are set aside first: at no moment would a deployment bring one of them.

    Args:
        region: The registry's.
        plan: What is to be done.
        by: Who wants it.
        reason: Why.
        decided: Properties that say who decided and when, for the version that leaves: else it would go on naming who
            approved it.
    """
    for package in plan.set_aside:
        why = f"set aside by the rollback of version {plan.leaves.version}; approve it again to deploy it"
        model_packages.set_status(region, package.arn, PENDING, f"{PENDING} by {by}: {why}")
    if plan.leaves.status != REJECTED:
        model_packages.set_status(
            region, plan.leaves.arn, REJECTED, f"{REJECTED} by {by}: rolled back: {reason}", decided
        )
