"""Which registered version a command means."""

from typing import TYPE_CHECKING

from ml_platform.core import names
from ml_platform.core.errors import ConfigurationError

if TYPE_CHECKING:
    from ml_platform.aws.model_packages import ModelPackage
    from ml_platform.core.settings import Settings


def package_of(settings: "Settings", model: str, version: int | None) -> "ModelPackage":
    """Return a model's package of this version, or its newest.

    Raises:
        ConfigurationError: When there is none; the message lists those there are.
    """
    from ml_platform.registry import lookup

    packages = lookup.list_packages(settings.region, names.model_package_group(model))
    if not packages:
        raise ConfigurationError(
            f"No package of {model} is registered yet. A candidate that passes its gate is registered: "
            f"materialize {model}/model_package in `ml-platform dev`, or run `ml-platform demo`."
        )
    for package in packages:
        if version in (None, package.version):
            return package
    known = ", ".join(str(package.version) for package in packages)
    raise ConfigurationError(f"{model} has no package version {version}. There are: {known}.")
