"""Which online store a setting means."""

from pathlib import Path

from ml_platform.core.errors import ConfigurationError
from ml_platform.features.online.values import OnlineValues


def open_values(address: str, sqlite_path: Path, region: str) -> OnlineValues:
    """Return the online store that an address means.

    Args:
        address: ``sqlite``; ``redis://``, ``rediss://``, ``valkey://``, ``valkeys://`` or ``unix://``; ``dynamodb``.
        sqlite_path: File of the SQLite store.
        region: Region of DynamoDB.

    Raises:
        ConfigurationError: When it means none.
    """
    scheme = address.split(":", maxsplit=1)[0]
    if address == "sqlite":
        from ml_platform.features.online.sqlite_values import SqliteValues

        return SqliteValues(sqlite_path)
    if scheme in ("redis", "rediss", "valkey", "valkeys", "unix"):
        from ml_platform.features.online.valkey_values import ValkeyValues

        return ValkeyValues(address)
    if address == "dynamodb":
        from ml_platform.features.online.dynamodb_values import DynamoDBValues

        return DynamoDBValues(region)
    unset = " The variable is not set in this process." if address.startswith("$") else ""
    raise ConfigurationError(
        f"ML_PLATFORM_ONLINE_STORE is {scheme!r}, which is no online store.{unset} "
        "Use sqlite, dynamodb, or an address such as redis://host:6379/0 or rediss://host:6379/0."
    )
