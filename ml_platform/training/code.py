"""A model's own training code in S3: kept for ever under its digest, so that any fit can be done again."""

from dataclasses import dataclass
from pathlib import Path

from ml_platform.aws.objects import ObjectStore
from ml_platform.core import names
from ml_platform.core.errors import ConfigurationError
from ml_platform.core.fingerprint import fingerprint_bytes
from ml_platform.modeling.training_code import FILE


@dataclass(frozen=True, slots=True)
class StoredCode:
    """One version of a model's training code."""

    digest: str
    uri: str
    """S3 prefix: a training job's channel."""


def store_code(store: ObjectStore, model: str, path: Path) -> StoredCode:
    """Keep the file and return where it is; the same content is kept once.

    Raises:
        ConfigurationError: When it is no Python: better said here than by a job that is paid for.
    """
    content = path.read_bytes()
    try:
        compile(content, path.name, "exec")
    except (SyntaxError, ValueError) as error:
        raise ConfigurationError(f"The training code of {model} is not valid Python: {error}.") from error
    digest = fingerprint_bytes(content)
    prefix = names.training_code(model, digest)
    key = f"{prefix}{FILE}"
    if not store.exists(key):
        store.put(key, content, "text/x-python")
    return StoredCode(digest, store.uri(prefix))
