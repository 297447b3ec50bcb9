"""Model artifacts, brought from S3 into memory."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ml_platform.aws.objects import ObjectStore

if TYPE_CHECKING:
    from ml_platform.modeling.artifact import Artifact


def load_model(store: ObjectStore, uri: str) -> "Artifact":
    """Return the artifact behind an address, verified.

    Raises:
        ArtifactError: When it is incomplete or was altered.
    """
    from ml_platform.containers.lean_lightgbm import import_lean_lightgbm
    from ml_platform.modeling.artifact import load_archive

    import_lean_lightgbm()
    with tempfile.TemporaryDirectory() as scratch:
        archive = Path(scratch) / "model.tar.gz"
        store.download(store.key(uri), archive)
        return load_archive(archive)
