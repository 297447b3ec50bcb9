"""QueryLineage: which entities a start is connected to, and how."""

from collections.abc import Callable
from typing import Any

from ml_platform.local_sagemaker.lineage.edges import KIND as EDGE_KIND
from ml_platform.local_sagemaker.lineage.edges import edge_name, edges_of
from ml_platform.local_sagemaker.lineage.entities import VERTICES, Entity, find_entity
from ml_platform.local_sagemaker.lineage.graph import DIRECTIONS, Edge, walk
from ml_platform.local_sagemaker.paging import page_of
from ml_platform.local_sagemaker.service import Request, Response, Service, operation, validation

MAX_DEPTH = 10
BOUNDS: dict[str, tuple[str, Callable[[float, float], bool]]] = {
    "CreatedBefore": ("CreationTime", lambda seen, bound: seen <= bound),
    "CreatedAfter": ("CreationTime", lambda seen, bound: seen >= bound),
    "ModifiedBefore": ("LastModifiedTime", lambda seen, bound: seen <= bound),
    "ModifiedAfter": ("LastModifiedTime", lambda seen, bound: seen >= bound),
}


@operation("QueryLineage")
async def query_lineage(service: Service, request: Request) -> Response:
    """Return what the filters ask for around a start; with edges, also what lies on the way there."""
    starts = request.get("StartArns", [])
    depth, size = request.get("MaxDepth", MAX_DEPTH), request.get("MaxResults", 50)
    if depth < 1 or size < 1:
        raise validation("MaxDepth and MaxResults must be at least 1.")
    for arn in starts:
        find_entity(service, arn)
    with_edges = request.get("IncludeEdges", True)
    filters = request.get("Filters", {})
    if starts:
        vertices, edges = _around(service, starts, request.get("Direction", "Both"), depth, filters, with_edges)
    else:
        vertices, edges = _everywhere(service, filters), []
    shown, token = page_of(vertices, request, 50)
    response: Response = {"Vertices": shown, "NextToken": token}
    if with_edges:
        ends = {vertex["Arn"] for vertex in shown}
        response["Edges"] = [_edge(service, edge) for edge in edges if ends & set(edge)]
    return response


def _around(
    service: Service,
    starts: list[str],
    direction: str,
    depth: int,
    filters: dict[str, Any],
    with_edges: bool,  # noqa: FBT001
) -> tuple[list[dict[str, Any]], list[Edge]]:
    found: dict[str, None] = {}
    edges: dict[Edge, None] = {}
    for each in DIRECTIONS[direction]:
        reach = walk(starts, each, depth, lambda arn, way: _neighbours(service, arn, way))
        wanted = [arn for arn in reach.depths if arn not in starts and _matches(*find_entity(service, arn), filters)]
        on_the_way, followed = reach.on_the_way(wanted)
        # In the order in which they were reached, so that pages are stable and the nearest come first.
        found |= dict.fromkeys(arn for arn in reach.depths if arn in (on_the_way if with_edges else wanted))
        edges |= dict.fromkeys(followed)
    return [_vertex(*find_entity(service, arn)) for arn in found], list(edges)


def _everywhere(service: Service, filters: dict[str, Any]) -> list[dict[str, Any]]:
    bodies = ((entity, body) for entity in VERTICES for body in service.store.list(entity.kind))
    return [_vertex(entity, body) for entity, body in bodies if _matches(entity, body, filters)]


def _neighbours(service: Service, arn: str, direction: str) -> list[Edge]:
    found = edges_of(service, destination=arn) if direction == "Ascendants" else edges_of(service, source=arn)
    return [(edge["SourceArn"], edge["DestinationArn"]) for edge in found]


def _matches(entity: Entity, body: dict[str, Any], filters: dict[str, Any]) -> bool:
    properties = body.get("Properties", {})
    asked = filters.get("Properties", {})
    return (
        (not filters.get("Types") or body.get(entity.type_member) in filters["Types"])
        and (not filters.get("LineageTypes") or entity.title in filters["LineageTypes"])
        and all(holds(body[member], filters[name]) for name, (member, holds) in BOUNDS.items() if name in filters)
        and (not asked or any(properties.get(key) == value for key, value in asked.items()))
    )


def _vertex(entity: Entity, body: dict[str, Any]) -> dict[str, Any]:
    return {"Arn": body[entity.arn_member], "Type": body.get(entity.type_member), "LineageType": entity.title}


def _edge(service: Service, edge: Edge) -> dict[str, Any]:
    return service.store.get(EDGE_KIND, edge_name(*edge)) or {}
