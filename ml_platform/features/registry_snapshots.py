"""Keep Feast from answering with definitions of before a refresh.

Feast remembers what it read out of a registry snapshot by the snapshot's ``id()`` and version. The SQL registry gives
every snapshot the same empty version, and Python gives the address of a freed snapshot to the next: a view that was
just applied is then unknown, or a changed one is served as it was.
"""

from typing import TYPE_CHECKING, Any
from uuid import uuid4

if TYPE_CHECKING:
    from feast.infra.registry.base_registry import BaseRegistry


def tell_snapshots_apart(registry: "BaseRegistry") -> None:
    """Give each snapshot that this registry takes a version of its own."""
    take = registry.proto

    def take_with_version() -> Any:
        snapshot = take()
        snapshot.version_id = uuid4().hex
        return snapshot

    # On the instance: Feast constructs its registries by a fixed list of classes.
    registry.proto = take_with_version  # type: ignore[method-assign]
    registry.refresh()
