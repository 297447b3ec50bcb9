"""The feature store of these settings: Feast, configured from ``feature_store.yaml`` and holding our definitions.

Definitions are applied here and nowhere else, by one process at a time and only when they changed.
"""

import fcntl
import os
import string
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from ml_platform.core.errors import ConfigurationError
from ml_platform.core.fingerprint import fingerprint_bytes, fingerprint_json, fingerprint_parts, fingerprint_tree
from ml_platform.core.settings import Settings
from ml_platform.features.lean_feast import import_lean_feast
from ml_platform.features.offline.engines import offline_store_config, with_sources_of
from ml_platform.features.registry_snapshots import tell_snapshots_apart

if TYPE_CHECKING:
    from feast import FeatureStore

FEATURE_REPO = "feature_repo"
_REGISTRY_LOCK = 4_127_001
"""Any number that nobody else locks in the registry's database."""


def feature_store(settings: Settings) -> "FeatureStore":
    """Return Feast's store with today's definitions in its registry."""
    apply(settings)
    return _open(settings)


def apply(settings: Settings) -> bool:
    """Bring the registry and the online store's tables to the definitions in ``feature_repo``.

    Safe to repeat and to call from several processes: one applies, the others find it done.

    Returns:
        Whether anything had to be applied.
    """
    settings.feast_home.mkdir(parents=True, exist_ok=True)
    with _lock(settings.feast_home / "apply.lock"):
        applied = settings.feast_home / "applied.txt"
        current = definitions_fingerprint(settings)
        # A registry elsewhere is there as long as its server is; ours may have been deleted.
        registered = settings.feature_registry is not None or _local_registry(settings).exists()
        if registered and applied.exists() and applied.read_text() == current:
            return False
        with _registry_lock(settings.feature_registry):
            store = _open(settings)
            from feature_repo.definitions import DEFINITIONS

            with warnings.catch_warnings():
                # Feast calls on-demand views slow offline. Ours are measured: a second per 100,000 rows.
                warnings.filterwarnings("ignore", "On demand feature view is an experimental", RuntimeWarning)
                store.apply(with_sources_of(settings, DEFINITIONS))
        # Written last: after a crash in between, the definitions are applied again.
        applied.write_text(current)
        return True


def trained_as(store: "FeatureStore", service: str) -> str:
    """Return the service that a training set joins for this one.

    A service that finishes its features at request time names the one whose tables hold the same features as of each
    payment; it is then exact as of the payment, and not as of the last midnight. Any other service is its own.
    """
    from feast.errors import FeatureServiceNotFoundException

    try:
        name: str = store.get_feature_service(service).tags.get("trained_as", service)
    except FeatureServiceNotFoundException:
        return service  # whoever asks for its features is told
    return name


def definitions_fingerprint(settings: Settings) -> str:
    """Return the fingerprint of everything that ``apply`` puts into the registry."""
    with resources.as_file(resources.files(FEATURE_REPO)) as root:
        return fingerprint_parts(
            {
                "definitions": fingerprint_tree(root),
                "config": fingerprint_bytes(_rendered(settings).encode()),
                "offline_store": fingerprint_json(offline_store_config(settings)),
            }
        )


def _open(settings: Settings) -> "FeatureStore":
    import_lean_feast()
    import yaml  # type: ignore[import-untyped]
    from feast import FeatureStore, RepoConfig
    from sqlalchemy.pool import NullPool

    config = yaml.safe_load(_rendered(settings))
    # Feast never closes what its registry keeps open, and asks it seldom: a connection is closed after each use.
    config["registry"]["sqlalchemy_config_kwargs"] = {"poolclass": NullPool}
    store = FeatureStore(config=RepoConfig(**config | {"offline_store": offline_store_config(settings)}))
    tell_snapshots_apart(store.registry)
    return store


def _local_registry(settings: Settings) -> Path:
    return settings.feast_home / "registry.db"


def _rendered(settings: Settings) -> str:
    """Return ``feature_store.yaml`` with its variables replaced; Feast itself would leave unknown ones in place."""
    text = (resources.files(FEATURE_REPO) / "feature_store.yaml").read_text()
    values = {
        "ML_PLATFORM_HOME": str(settings.home),
        "ML_PLATFORM_BUCKET": settings.bucket,
        "ML_PLATFORM_REGION": settings.region,
        "ML_PLATFORM_ONLINE_STORE": settings.online_store,
        "ML_PLATFORM_FEATURE_REGISTRY": settings.feature_registry or f"sqlite:///{_local_registry(settings)}",
    }
    try:
        return string.Template(text).substitute(values)
    except KeyError as error:
        raise ConfigurationError(f"feature_store.yaml uses {error}, which no setting provides.") from error


@contextmanager
def _registry_lock(address: str | None) -> Iterator[None]:
    """Let one machine at a time apply to a shared registry: two that create its tables at once would both fail."""
    if address is None or not address.startswith("postgresql"):
        yield
        return
    from sqlalchemy import create_engine, text

    engine = create_engine(address)
    try:
        with engine.connect() as connection:  # the lock ends with the connection, also when this process is killed
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _REGISTRY_LOCK})
            yield
    finally:
        engine.dispose()


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
