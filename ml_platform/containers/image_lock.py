"""The lock file of each image: the part of the project's ``requirements.lock`` that the image's code needs.

So an image runs the very versions the tests ran, without the orchestrator's two hundred other packages.
``python -m ml_platform.containers.image_lock requirements.lock`` writes both again after the lock has changed; a test
notices when that was forgotten.
"""

import re
import sys
from collections.abc import Iterable
from importlib.metadata import requires
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

IMAGES: Final = {
    "training": ("lightgbm", "numpy", "pandas", "pyarrow", "pydantic", "scikit-learn", "skops"),
    "serving": ("httptools", "lightgbm", "numpy", "pydantic", "scikit-learn", "skops", "uvicorn", "uvloop"),
}
"""What each image's code imports itself."""

_HEADER: Final = "# Written by `python -m ml_platform.containers.image_lock requirements.lock`; do not edit.\n"
_PIN: Final = re.compile(r"^([A-Za-z0-9._-]+)==.*(?:\n .*)*", re.MULTILINE)
_COMMENT: Final = re.compile(r"\n +#.*")


def image_lock(project_lock: str, names: Iterable[str]) -> str:
    """Return the pins, with hashes, of ``names`` and all they need, in the project lock's order."""
    wanted = needed_by(names)
    pins = [
        _COMMENT.sub("", pin.group(0)) for pin in _PIN.finditer(project_lock) if canonicalize_name(pin[1]) in wanted
    ]
    return "\n".join([_HEADER.rstrip("\n"), *pins, ""])


def needed_by(names: Iterable[str]) -> set[str]:
    """Return ``names`` and everything they require, as installed in this environment."""
    found: set[str] = set()
    waiting = [canonicalize_name(name) for name in names]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        for line in requires(name) or []:
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(canonicalize_name(requirement.name))
    return found


def lock_path(image: str) -> Path:
    """Return the file that the image's Dockerfile installs from."""
    return Path(__file__).parent / image / "requirements.lock"


def main(arguments: list[str]) -> int:
    """Write every image's lock file from the project's, whose path is the only argument."""
    project_lock = Path(arguments[0]).read_text(encoding="utf-8")
    for image, names in IMAGES.items():
        lock_path(image).write_text(image_lock(project_lock, names), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
