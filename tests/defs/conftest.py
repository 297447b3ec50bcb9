"""The code location, loaded once, and an instance of each test's own."""

from collections.abc import Iterator

import dagster as dg
import pytest
from dagster import DagsterInstance

from ml_platform.cli.code_location import load_definitions


@pytest.fixture(scope="session")
def definitions() -> dg.Definitions:
    """What Dagster loads."""
    return load_definitions()


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    """A real instance in memory."""
    with DagsterInstance.ephemeral() as instance:
        yield instance
