"""Manifests: for each model and asset, one small JSON document in S3 that says what exists now.

They are how the stages of a model hand over, and what the command line reads; the things themselves (training
sets, artifacts, reports) are under addresses that the manifest names. Writing one replaces it as a whole.
"""

from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from ml_platform.aws.objects import ObjectNotFoundError, ObjectStore
from ml_platform.core import names
from ml_platform.core.errors import MLPlatformError

Document = TypeVar("Document", bound=BaseModel)


class ManifestMissingError(MLPlatformError):
    """An asset was never materialized, or its manifest cannot be read by this version of the platform."""


@dataclass(frozen=True, slots=True)
class Manifests:
    """The manifests of one model."""

    store: ObjectStore
    model: str

    def key(self, asset: str) -> str:
        """Return the S3 key of an asset's manifest."""
        return f"{names.model_prefix(self.model, 'manifests')}{asset}.json"

    def write(self, asset: str, document: BaseModel) -> str:
        """Replace the manifest of an asset and return its address."""
        return self.store.put(self.key(asset), document.model_dump_json(indent=2).encode(), "application/json")

    def find(self, asset: str, kind: type[Document]) -> Document | None:
        """Return the manifest of an asset, or None before its first materialization."""
        try:
            return kind.model_validate_json(self.store.get(self.key(asset)))
        except ObjectNotFoundError:
            return None
        except ValidationError as error:
            raise ManifestMissingError(
                f"The manifest of {self.model}/{asset} does not fit this version ({error.error_count()} differences). "
                f"Materialize {self.model}/{asset} again."
            ) from error

    def read(self, asset: str, kind: type[Document]) -> Document:
        """Return the manifest of an asset.

        Raises:
            ManifestMissingError: Before the asset's first materialization.
        """
        document = self.find(asset, kind)
        if document is None:
            raise ManifestMissingError(f"{self.model}/{asset} does not exist yet. Materialize it first.")
        return document
