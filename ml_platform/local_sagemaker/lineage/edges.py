"""Associations as the store keeps them."""

from typing import Any

from ml_platform.local_sagemaker.service import Service

KIND = "association"


def edge_name(source: str, destination: str) -> str:
    """Return the store's name of the association between two entities: there is at most one in each direction."""
    return f"{source}>{destination}"


def edges_of(service: Service, *, source: str | None = None, destination: str | None = None) -> list[dict[str, Any]]:
    """Return the associations that start at, or lead to, an entity."""
    conditions = {"SourceArn": source, "DestinationArn": destination}
    return service.store.list(KIND, **{member: arn for member, arn in conditions.items() if arn is not None})
