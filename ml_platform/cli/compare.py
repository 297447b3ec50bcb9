"""``ml-platform compare``: what changed between two registered versions of a model."""

import difflib
import json
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from ml_platform.cli.console import out
from ml_platform.cli.known_models import require_model
from ml_platform.cli.package_versions import package_of
from ml_platform.cli.services import attached
from ml_platform.core.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ml_platform.aws.model_packages import ModelPackage
    from ml_platform.aws.objects import ObjectStore
    from ml_platform.training.comparison import Difference, Facts

_DIGEST = 64
_SHOWN = 44


def run_compare(model: str, before: int, after: int, *, as_json: bool) -> None:
    """Print every difference between two versions.

    Raises:
        ConfigurationError: When there is no such model or version.
        ArtifactError: When an artifact cannot be read.
    """
    from ml_platform.aws.objects import ObjectStore
    from ml_platform.training.comparison import compare

    require_model(model)
    settings = Settings.load()
    with attached(settings):
        store = ObjectStore.from_settings(settings)
        facts = [gather(store, model, package_of(settings, model, version)) for version in (before, after)]
        differences = compare(*facts)
        code = code_difference(store, model, facts)
    if as_json:
        out.print_json(json.dumps([difference.model_dump() for difference in differences]))
        return
    if not differences:
        out.print(f"Versions {before} and {after} of {model} are the same in everything that is recorded.")
        return
    out.print(table(model, before, after, differences))
    if any(each.part == "data" and each.name.startswith("holdout") for each in differences):
        out.print(f"Figures are of each version's own holdout; both on the same rows: `ml-platform card {model}`.")
    for line in code:
        out.print(line, markup=False, soft_wrap=True)


def gather(store: "ObjectStore", model: str, package: "ModelPackage") -> "Facts":
    """Return what is known of a package's fit."""
    from ml_platform.modeling.artifact import read_manifest
    from ml_platform.training.comparison import facts_of
    from ml_platform.training.refit_inputs import MissingInputError, training_set_document

    with tempfile.TemporaryDirectory() as scratch:
        archive = Path(scratch) / "model.tar.gz"
        store.download(store.key(package.artifact_uri), archive)
        manifest = read_manifest(archive)
    try:
        training_set = training_set_document(store, model, package.properties.get("training_set_fingerprint", ""))
    except MissingInputError:
        training_set = None
    return facts_of(manifest, training_set, figures_of(package.properties))


def figures_of(properties: "Mapping[str, str]") -> dict[str, str]:
    """Return those properties of a package that are figures."""
    figures = {}
    for name, value in properties.items():
        with suppress(ValueError):
            figures[name] = f"{float(value):.4f}"
    return figures


def code_difference(store: "ObjectStore", model: str, facts: "list[Facts]") -> list[str]:
    """Return the model's own training code of both versions as a unified diff; empty when it is the same or gone."""
    from ml_platform.training.comparison import ABSENT
    from ml_platform.training.refit_inputs import MissingInputError, own_code

    texts = []
    for each in facts:
        digest = each["code"].get("own training code", ABSENT)
        try:
            texts.append("" if digest == ABSENT else own_code(store, model, digest).decode())
        except MissingInputError:
            return []
    before, after = (text.splitlines() for text in texts)
    return list(difflib.unified_diff(before, after, "pipeline.py", "pipeline.py", lineterm=""))


def table(model: str, before: int, after: int, differences: "list[Difference]") -> Table:
    """Return the differences as people read them."""
    shown = Table(title=f"{model}: what changed from version {before} to {after}", title_justify="left", box=None)
    for title in ("part", "name", f"version {before}", f"version {after}"):
        shown.add_column(title, overflow="fold")
    for each in differences:
        shown.add_row(each.part, each.name, _short(each.before), _short(each.after))
    return shown


def _short(text: str) -> str:
    return text[:12] if len(text) == _DIGEST else text[:_SHOWN]
