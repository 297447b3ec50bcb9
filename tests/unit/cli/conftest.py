"""A home of the test's own, on ports that nobody uses."""

from pathlib import Path

import pytest

from ml_platform.cli.home import prepare_home
from ml_platform.core.settings import Settings
from tests.conftest import free_port


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home; the environment points at it and at free ports."""
    for variable in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SAGEMAKER"):
        monkeypatch.delenv(variable, raising=False)
    for service in ("GROUND", "SAGEMAKER", "DAGSTER"):
        monkeypatch.setenv(f"ML_PLATFORM_{service}_PORT", str(free_port()))
    monkeypatch.setenv("ML_PLATFORM_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def prepared(home: Path) -> Settings:
    """Settings of a prepared home."""
    return prepare_home()
