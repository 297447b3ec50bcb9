"""Which packages there are, which one is approved, and which one is live."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from ml_platform.aws import endpoints, model_packages
from ml_platform.aws.model_packages import ModelPackage
from ml_platform.core.errors import EndpointError
from ml_platform.registry import approval

FINGERPRINT = "candidate_fingerprint"


class LivePackage(BaseModel):
    """The model package that an endpoint serves, which makes it the champion."""

    model_config = ConfigDict(frozen=True)

    endpoint: str
    endpoint_status: str
    config: str
    since: datetime
    package: ModelPackage


def list_packages(region: str, group: str, status: model_packages.Approval | None = None) -> list[ModelPackage]:
    """Return a group's packages, newest version first."""
    found = (model_packages.describe(region, arn) for arn in model_packages.list_arns(region, group, status))
    return [package for package in found if package is not None]


def latest_approved(region: str, group: str) -> ModelPackage | None:
    """Return the newest version that may be deployed, or None."""
    arns = model_packages.list_arns(region, group, model_packages.APPROVED)
    return model_packages.describe(region, arns[0]) if arns else None


def find_by_fingerprint(region: str, group: str, fingerprint: str) -> ModelPackage | None:
    """Return the package of a candidate, or None when it was never registered.

    A group's list does not carry properties, so packages are described one by one, newest first.
    """
    for arn in model_packages.list_arns(region, group):
        package = model_packages.describe(region, arn)
        if package is not None and package.properties.get(FINGERPRINT) == fingerprint:
            return package
    return None


def live_arn(region: str, endpoint: str) -> str | None:
    """Return the ARN of the package that an endpoint serves, whether or not it is still in the registry."""
    state = endpoints.describe(region, endpoint)
    return endpoints.package_of_config(region, state.config) if state is not None and state.serving else None


def live_package(region: str, endpoint: str) -> LivePackage | None:
    """Return what an endpoint serves now, or None when it serves nothing of the registry.

    Raises:
        EndpointError: When it serves a package that is not in the registry any more. That is not "nothing": a
            challenger would be let through as the first model.
    """
    state = endpoints.describe(region, endpoint)
    if state is None or not state.serving:
        return None
    arn = endpoints.package_of_config(region, state.config)
    if arn is None:
        return None
    package = model_packages.describe(region, arn)
    if package is None:
        raise EndpointError(
            f"Endpoint {endpoint} serves {arn}, which is not in the registry any more. Deploy another version first."
        )
    return LivePackage(
        endpoint=endpoint,
        endpoint_status=state.status,
        config=state.config,
        since=state.changed_at,
        package=package,
    )


def champion(region: str, endpoint: str, group: str) -> LivePackage | None:
    """Return what a challenger must beat, or None before the first deployment.

    Raises:
        EndpointError: When the champion is gone: its package, or the endpoint. That is not "none yet": a challenger
            would be let through as the first model.
    """
    live = live_package(region, endpoint)
    if live is None:
        for package in list_packages(region, group, model_packages.APPROVED):
            if approval.was_live(package):
                raise EndpointError(
                    f"Version {package.version} was live, and endpoint {endpoint} serves nothing now: there is no "
                    "champion to compare with. Deploy it again (materialize live_endpoint), or reject it."
                )
    return live
