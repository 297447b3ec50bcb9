"""moto's tests as they run here: from its source distribution, with what AWS would refuse repaired.

Nothing here uses the network: ``make`` puts the source where ``FOLDER`` says.
"""

import shutil
import tomllib
from dataclasses import dataclass
from pathlib import Path

VERSION = "5.2.5"
FOLDER = Path(__file__).parents[3] / ".venv-moto"
DISTRIBUTION = FOLDER / f"moto-{VERSION}"
LIBRARIES = FOLDER / "site"
PACKAGES = ("test_sagemaker", "test_sagemakerruntime", "test_sagemakermetrics")
REPAIRS = Path(__file__).with_name("repairs.toml")


@dataclass(frozen=True)
class Repair:
    """A text of moto's tests that AWS would refuse, and what takes its place."""

    files: tuple[str, ...]
    find: str
    replace: str
    why: str


def repairs() -> list[Repair]:
    """Return the repairs, in the order in which they are made."""
    found = tomllib.loads(REPAIRS.read_text())["repair"]
    return [Repair(tuple(each["files"]), each["find"], each["replace"], each["why"]) for each in found]


def unpack(folder: Path, *, repaired: bool = True) -> tuple[Path, ...]:
    """Copy moto's SageMaker tests into a folder and return it with all else that must be importable beside it.

    Raises:
        FileNotFoundError: When the source was not fetched.
        ValueError: When a repair does not fit these tests: it would do nothing.
    """
    tests = DISTRIBUTION / "tests"
    if not tests.is_dir():
        raise FileNotFoundError(f"{tests} is missing: run `make {FOLDER.name}/.installed` once; it needs the network")
    for package in PACKAGES:
        shutil.copytree(tests / package, folder / "tests" / package)
    for module in ("__init__.py", "conftest.py", "markers.py"):
        shutil.copy(tests / module, folder / "tests" / module)
    for repair in repairs() if repaired else ():
        for file in repair.files:
            path = folder / "tests" / "test_sagemaker" / file
            text = path.read_text()
            if repair.find not in text:
                raise ValueError(f"{file} does not contain {repair.find!r}: the repair is out of date")
            path.write_text(text.replace(repair.find, repair.replace))
    return folder, DISTRIBUTION, LIBRARIES
