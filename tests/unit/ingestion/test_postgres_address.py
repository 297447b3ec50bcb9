"""The address of a database source: what it may say, and that no password is ever in it or shown."""

from datetime import timedelta

import pytest

from ml_platform.aws import clients
from ml_platform.core.errors import ConfigurationError
from ml_platform.core.settings import Settings
from ml_platform.ingestion.changes.change_source import ChangeSource
from ml_platform.ingestion.changes.cursor import CursorOrigin
from ml_platform.ingestion.changes.postgres import parse_postgres_address
from ml_platform.ingestion.changes.replication import ReplicationOrigin
from ml_platform.ingestion.source import open_source


def test_ours_is_taken_out_of_the_query_and_the_rest_is_libpqs() -> None:
    address = parse_postgres_address(
        "postgresql://reader@db:5433/shop?table=sales.payments&read=cursor&updated_at=changed&overlap_seconds=5"
        "&sslmode=require"
    )
    assert address.conninfo == "postgresql://reader@db:5433/shop?sslmode=require"
    assert (address.table, address.read, address.updated_at) == ("sales.payments", "cursor", "changed")
    assert address.overlap == timedelta(seconds=5)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("postgresql://reader:hunter2@db/shop?table=payments", "holds a password"),
        ("postgresql://reader@db/shop?table=payments&password=hunter2", "holds a password"),
        ("postgresql://reader@db/shop", "does not say which table"),
        ("postgresql://reader@db/shop?table=a;drop", "does not say which table"),
        ("postgresql://reader@db/shop?table=p&read=all", "has a read that cannot be used"),
        ("postgresql://reader@db/shop?table=p&slot=My-Slot", "has a slot that cannot be used"),
        ("postgresql://reader@db/shop?table=p&overlap_seconds=soon", "has a overlap_seconds that cannot be used"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_without_showing_its_secrets(address: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as refused:
        parse_postgres_address(address)
    assert "hunter2" not in str(refused.value)


def test_another_table_slot_or_way_to_read_is_another_inbox() -> None:
    base = "postgresql://reader@db/shop?table=payments"
    names = {parse_postgres_address(base + more).name for more in ("", "&read=cursor", "&slot=two", "&sslmode=require")}
    assert len(names) == 4


@pytest.mark.parametrize(("read", "origin"), [("changes", ReplicationOrigin), ("cursor", CursorOrigin)])
def test_the_source_is_chosen_by_settings_alone(settings: Settings, read: str, origin: type) -> None:
    address = f"postgresql://reader@db/shop?table=payments&read={read}"
    source = open_source(settings.model_copy(update={"source": address}))
    assert isinstance(source, ChangeSource)
    assert isinstance(source.origin, origin)


@pytest.mark.parametrize("secret", ["hunter2", '{"username": "reader", "password": "hunter2"}'])
def test_the_password_comes_from_an_aws_secret_and_is_not_shown(settings: Settings, secret: str) -> None:
    clients.secrets(settings.region).create_secret(Name=f"payments{len(secret)}{settings.bucket}", SecretString=secret)
    source = open_source(
        settings.model_copy(
            update={
                "source": "postgresql://reader@db/shop?table=payments",
                "source_password_secret": f"payments{len(secret)}{settings.bucket}",
            }
        )
    )
    assert isinstance(source, ChangeSource)
    assert isinstance(source.origin, ReplicationOrigin)
    assert source.origin.database.password() == "hunter2"
    assert "hunter2" not in repr(source)


def test_a_secret_that_is_not_there_is_a_clear_error(settings: Settings) -> None:
    address = {"source": "postgresql://reader@db/shop?table=payments", "source_password_secret": "nothing"}
    source = open_source(settings.model_copy(update=address))
    with pytest.raises(ConfigurationError, match="ML_PLATFORM_SOURCE_PASSWORD_SECRET"):
        source.refresh()


@pytest.mark.parametrize("address", ["mysql://reader:hunter2@db/shop", "postgresql+psycopg://reader:hunter2@db/shop"])
def test_an_address_of_an_unknown_kind_is_refused_without_showing_its_secrets(settings: Settings, address: str) -> None:
    with pytest.raises(ConfigurationError, match="of a kind that is not known") as refused:
        open_source(settings.model_copy(update={"source": address}))
    assert "hunter2" not in str(refused.value)
