"""Which registered version a command means. What is not there is answered with what is, or how it comes to be."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ml_platform.core import names
from ml_platform.core.errors import ConfigurationError

if TYPE_CHECKING:
    from ml_platform.aws.model_packages import ModelPackage
    from ml_platform.core.settings import Settings


def package_of(settings: "Settings", model: str, version: int | None) -> "ModelPackage":
    """Return a model's package of this version, or its newest.

    Raises:
        ConfigurationError: When there is none.
    """
    from ml_platform.registry import lookup

    packages = lookup.list_packages(settings.region, names.model_package_group(model))
    _require_any(model, packages)
    return packages[0] if version is None else _of_version(model, packages, version)


def pending_or(model: str, packages: "Sequence[ModelPackage]", version: int | None) -> "ModelPackage":
    """Return the package of this version, or else the newest that waits for a decision.

    Raises:
        ConfigurationError: When there is none.
    """
    from ml_platform.aws.model_packages import PENDING

    _require_any(model, packages)
    if version is not None:
        return _of_version(model, packages, version)
    for package in packages:
        if package.status == PENDING:
            return package
    raise ConfigurationError(
        f"No package of {model} waits for approval. Choose one with --version: {_known(packages)}."
    )


def _require_any(model: str, packages: "Sequence[ModelPackage]") -> None:
    if not packages:
        raise ConfigurationError(
            f"No package of {model} is registered yet. A candidate that passes its gate is registered: "
            f"materialize {model}/model_package in `ml-platform dev`, or run `ml-platform demo`."
        )


def _of_version(model: str, packages: "Sequence[ModelPackage]", version: int) -> "ModelPackage":
    for package in packages:
        if package.version == version:
            return package
    raise ConfigurationError(f"{model} has no package version {version}. There are: {_known(packages)}.")


def _known(packages: "Sequence[ModelPackage]") -> str:
    return ", ".join(f"{package.version} ({package.status})" for package in packages)
