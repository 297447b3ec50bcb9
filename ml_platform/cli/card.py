"""``ml-platform card``: the model card of a version, as the page a person reads or in SageMaker's schema."""

from pathlib import Path

from ml_platform.aws import model_cards
from ml_platform.aws.model_packages import ModelPackage
from ml_platform.aws.objects import ObjectNotFoundError, ObjectStore
from ml_platform.cli.console import out
from ml_platform.cli.known_models import require_model
from ml_platform.cli.package_versions import package_of
from ml_platform.cli.services import attached
from ml_platform.core.errors import ConfigurationError
from ml_platform.core.settings import Settings


def run_card(model: str, version: int | None, output: Path | None, *, as_json: bool) -> None:
    """Write the page of a version to a file, or print its card in SageMaker's schema.

    Raises:
        ConfigurationError: When there is no such model, version or card.
    """
    from ml_platform.resources.evidence import PackageEvidence

    require_model(model)
    settings = Settings.load()
    with attached(settings):
        package = package_of(settings, model, version)
        if as_json:
            card = model_cards.describe(settings.region, PackageEvidence(settings, model).card_name(package.version))
            if card is None:
                raise _absent(package)
            out.print_json(card.content)
            return
        page = _page(ObjectStore.from_settings(settings), package)
    path = output or Path(f"{model}-v{package.version}.html")
    path.write_bytes(page)
    out.print(f"Wrote the card of {model}, version {package.version}, to {path}", highlight=False)


def _page(store: ObjectStore, package: ModelPackage) -> bytes:
    from ml_platform.resources.evidence import CARD_PAGE

    address = package.properties.get(CARD_PAGE)
    if address is None:
        raise _absent(package)
    try:
        return store.get(store.key(address))
    except ObjectNotFoundError as error:
        raise _absent(package) from error


def _absent(package: ModelPackage) -> ConfigurationError:
    return ConfigurationError(
        f"Version {package.version} has no model card: it was registered before there were any, or not by the "
        "platform. Register its candidate again: materialize its model_package."
    )
