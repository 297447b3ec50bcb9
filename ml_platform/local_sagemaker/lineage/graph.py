"""Walking a lineage graph. Pure: edges in, reached entities and the edges on the way out."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

Edge = tuple[str, str]
"""Source and destination, by ARN."""
Neighbours = Callable[[str, str], Iterable[Edge]]
"""Edges at an entity in a direction: those that lead to it (Ascendants) or start at it (Descendants)."""
DIRECTIONS = {"Ascendants": ("Ascendants",), "Descendants": ("Descendants",), "Both": ("Ascendants", "Descendants")}


@dataclass(frozen=True)
class Reach:
    """What was reached in one direction: how far each entity is, and every edge that was followed."""

    direction: str
    depths: dict[str, int]
    edges: tuple[Edge, ...]

    def on_the_way(self, targets: Collection[str]) -> tuple[set[str], list[Edge]]:
        """Return the entities and edges on a path from the start to any target."""
        useful = {arn for arn in targets if arn in self.depths}
        followed: list[Edge] = []
        # Farthest first: when an edge is looked at, all that lies beyond it is known.
        for edge in sorted(self.edges, key=lambda edge: -self.depths[self._near(edge)]):
            if self._far(edge) in useful:
                useful.add(self._near(edge))
                followed.append(edge)
        return useful, followed

    def _near(self, edge: Edge) -> str:
        return edge[1] if self.direction == "Ascendants" else edge[0]

    def _far(self, edge: Edge) -> str:
        return edge[0] if self.direction == "Ascendants" else edge[1]


def walk(starts: Iterable[str], direction: str, depth: int, neighbours: Neighbours) -> Reach:
    """Follow edges breadth first, at most ``depth`` of them from the nearest start; cycles end where they began."""
    depths = dict.fromkeys(starts, 0)
    edges: list[Edge] = []
    frontier = list(depths)
    for distance in range(1, depth + 1):
        following: list[str] = []
        for arn in frontier:
            for edge in neighbours(arn, direction):
                far = edge[0] if direction == "Ascendants" else edge[1]
                # Edges back to what is nearer lie on no shortest path and would only lead in circles.
                if depths.setdefault(far, distance) == distance:
                    edges.append(edge)
                    following.append(far)
        frontier = list(dict.fromkeys(following))
    return Reach(direction, depths, tuple(edges))
